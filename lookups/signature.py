"""Signing a request, so that its endpoint can tell who sent it and that nothing was altered or replayed.

Standard Webhooks 1.0.0 (standardwebhooks.com), symmetric keys.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from standardwebhooks.webhooks import Webhook

from domain.secret import Secret

if TYPE_CHECKING:
    from datetime import datetime

    from domain.identity import LookupId

_KEY_BYTES: Final = 32  # the specification allows 24 to 64
_PREFIX: Final = "whsec_"


def new_signing_key() -> Secret:
    """A new random key in the form that the libraries of Standard Webhooks read."""
    return Secret(f"{_PREFIX}{base64.b64encode(os.urandom(_KEY_BYTES)).decode()}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """Which lookup is signed, with which keys, newest first, and when."""

    lookup_id: LookupId
    keys: tuple[Secret, ...]
    at: datetime

    @property
    def hidden(self) -> tuple[Secret, ...]:
        """What would let others sign: each key as it is issued, and its base64 alone."""
        return tuple(Secret(form) for key in self.keys for form in (key.reveal(), key.reveal().removeprefix(_PREFIX)))

    def headers(self, body: bytes) -> dict[str, str]:
        """The headers that vouch for exactly these bytes; one signature for each key."""
        message, text = str(self.lookup_id), body.decode()
        return {
            "webhook-id": message,
            "webhook-timestamp": str(int(self.at.timestamp())),
            "webhook-signature": " ".join(Webhook(key.reveal()).sign(message, self.at, text) for key in self.keys),
        }

"""Secrets at rest: AES-256-GCM with a ring of keys, each ciphertext bound to the place it is stored in."""

from __future__ import annotations

import base64
import hmac
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.errors import SecretUnreadable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

_VERSION: Final = 1
_NONCE_BYTES: Final = 12  # the size that NIST SP 800-38D, 8.2 recommends
_KEY_BYTES: Final = 32
_FINGERPRINT_DIGITS: Final = 12
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ciphertext lives; opened anywhere else, it does not open."""

    workspace_id: UUID
    table: str
    row_id: UUID
    column: str
    origin: str | None = None
    """Where the value may be sent, for one that is bound to that, too."""

    def associated_data(self, key_id: str) -> bytes:
        """The bytes that are authenticated beside the ciphertext."""
        place = f"v{_VERSION}|{key_id}|{self.workspace_id}|{self.table}|{self.row_id}|{self.column}"
        return (place if self.origin is None else f"{place}|{self.origin}").encode()


class KeyRing:
    """The keys by id: the first encrypts, all decrypt.

    Ciphertext: version (1 byte), length of the key id (1 byte), key id, nonce (12 bytes), ciphertext and tag.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.primary = next(iter(keys))
        self._fingerprints = hmac.digest(keys[self.primary], b"fingerprints of secrets, v1", "sha256")

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._ciphers)})"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``id:base64-of-32-bytes[,id:…]``; raises ValueError with a sentence that shows no key."""
        keys: dict[str, bytes] = {}
        for number, entry in enumerate(filter(None, re.split(r"[,\s]+", text)), start=1):
            key_id, colon, encoded = entry.partition(":")
            if not colon or not _KEY_ID.fullmatch(key_id):
                message = f"entry {number} is not of the form id:base64-of-32-bytes"
                raise ValueError(message)
            if key_id in keys:
                message = f"the id {key_id} stands there twice"
                raise ValueError(message)
            keys[key_id] = _decoded(key_id, encoded)
        if not keys:
            message = "no key given"
            raise ValueError(message)
        return cls(keys)

    def encrypt(self, plain: str, place: Place) -> bytes:
        """Encrypt under the primary key with a fresh random nonce."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[self.primary].encrypt(nonce, plain.encode(), place.associated_data(self.primary))
        key_id = self.primary.encode()
        return bytes([_VERSION, len(key_id)]) + key_id + nonce + sealed

    def decrypt(self, stored: bytes, place: Place) -> str:
        """Open what ``encrypt`` made for this very place; raises SecretUnreadable for anything else."""
        key_id, nonce, sealed = _split(stored)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            message = f"no key with the id {key_id!r} is in the ring"
            raise SecretUnreadable(message)
        try:
            return cipher.decrypt(nonce, sealed, place.associated_data(key_id)).decode()
        except InvalidTag as error:
            message = f"key {key_id} does not open {place.table}.{place.column} of {place.row_id}"
            raise SecretUnreadable(message) from error

    def fingerprint(self, plain: str, place: Place) -> str:
        """Twelve hex digits that tell a value of this row from another.

        Keyed by the primary key: who has only the fingerprint, or the whole database without the keys, cannot try guesses
        against it, however weak the value. A new primary key changes it.
        """
        text = f"{place.workspace_id}|{place.table}|{place.row_id}|{plain}"
        return hmac.digest(self._fingerprints, text.encode(), "sha256").hex()[:_FINGERPRINT_DIGITS]

    def is_current(self, stored: bytes) -> bool:
        """Whether this was encrypted under the primary key."""
        return _split(stored)[0] == self.primary


def new_key_entry() -> str:
    """A new random key as an entry for DISQUA_ENCRYPTION_KEYS."""
    return f"k{os.urandom(4).hex()}:{base64.b64encode(os.urandom(_KEY_BYTES)).decode()}"


def _decoded(key_id: str, encoded: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except ValueError:  # not base64, or not even ASCII
        key = b""
    if len(key) != _KEY_BYTES:
        message = f"key {key_id} is not the base64 of {_KEY_BYTES} bytes"
        raise ValueError(message)
    if len(set(key)) == 1:
        message = f"key {key_id} is one byte repeated, not a random key"
        raise ValueError(message)
    return key


def _split(stored: bytes) -> tuple[str, bytes, bytes]:
    if len(stored) < 2 or stored[0] != _VERSION or len(stored) < 2 + stored[1] + _NONCE_BYTES:  # noqa: PLR2004 - two bytes of head
        message = "the stored value is no ciphertext of ours"
        raise SecretUnreadable(message)
    start = 2 + stored[1]
    key_id = stored[2:start].decode("ascii", errors="replace")
    return key_id, stored[start : start + _NONCE_BYTES], stored[start + _NONCE_BYTES :]

"""The public keys of the company's identity provider (JWKS, RFC 7517)."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import jwt
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

_FETCH_SECONDS: Final = 5.0
_AGED_SECONDS: Final = 300.0
_PAUSE_SECONDS: Final = 10.0
_log = structlog.get_logger(__name__)


class IdentityProvider:
    """Its keys by their ids: fetched when one is missing and when they have aged; the last good ones stand while it is away.

    A fetch that brought nothing new is followed by a pause, so that made-up key ids cannot keep it, or us, busy.
    """

    def __init__(self, jwks_url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` counts seconds."""
        self._client = jwt.PyJWKClient(jwks_url, cache_jwk_set=False, timeout=_FETCH_SECONDS)
        self._clock = clock
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetching = asyncio.Lock()
        self._fetched_at = self._paused_until = float("-inf")

    async def key(self, key_id: str) -> jwt.PyJWK | None:
        """The key with this id; None when the provider has none, or cannot be asked."""
        if self._lacks(key_id) and not (key_id in self._keys and self._fetching.locked()):
            async with self._fetching:
                if self._lacks(key_id) and self._clock() >= self._paused_until:
                    await self._fetch()
                    if self._lacks(key_id):
                        self._paused_until = self._clock() + _PAUSE_SECONDS
        return self._keys.get(key_id)

    def _lacks(self, key_id: str) -> bool:
        return key_id not in self._keys or self._clock() - self._fetched_at >= _AGED_SECONDS

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                keys = await asyncio.to_thread(self._client.get_signing_keys)
        except (jwt.PyJWTError, OSError, ValueError, RecursionError) as error:
            _log.warning("the identity provider gave no keys", reason=type(error).__name__)
        else:
            self._keys = {key.key_id: key for key in keys}
            self._fetched_at = self._clock()

"""Waiting for a condition instead of sleeping."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


async def eventually(look: Callable[[], Awaitable[T | None]], within: float = 10.0) -> T:
    """Look again and again until something truthy is seen, and return it."""
    async with asyncio.timeout(within):
        while not (seen := await look()):  # noqa: ASYNC110 - what is seen has no event to wait for
            await asyncio.sleep(0.01)
    return seen

"""Waiting for a condition instead of sleeping."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
P = ParamSpec("P")

_THREADS = ThreadPoolExecutor(64, thread_name_prefix="stage")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what blocks, beside the loop and beside the few threads that the product itself needs."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, partial(function, *args, **kwargs))


async def eventually(look: Callable[[], Awaitable[T | None]], within: float = 10.0) -> T:
    """Look again and again until something truthy is seen, and return it."""
    async with asyncio.timeout(within):
        while not (seen := await look()):  # noqa: ASYNC110 - what is seen has no event to wait for
            await asyncio.sleep(0.01)
    return seen


def by_now(look: Callable[[], bool], within: float = 10.0) -> None:
    """Wait, blocking, until it is so: for what is set up before any loop runs."""
    end = time.monotonic() + within
    while not look():
        assert time.monotonic() < end, "it has not come about in time"
        time.sleep(0.01)

"""Giving up on what takes too long, at no cost to what does not have to wait at all."""

from __future__ import annotations

import asyncio
from functools import partial
from types import coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

T = TypeVar("T")


class TookTooLong(Exception):
    """The time was up."""


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """What the work brings; raises TookTooLong.

    The clock is set where the work first waits: most of what is asked is answered without, and a clock costs as much as reading
    a row. What the work does before it waits is therefore not counted.
    """
    try:
        awaited = work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await _rest(work, awaited)
    except TimeoutError:
        if limit.expired():
            raise TookTooLong from None
        raise


@coroutine
def _rest(work: Coroutine[Any, Any, T], awaited: Any) -> Generator[Any, Any, T]:  # noqa: ANN401 - whatever it waits for
    """The rest of a coroutine that has begun and waits."""
    while True:
        try:
            step = partial(work.send, (yield awaited))
        except BaseException as error:  # noqa: BLE001 - a cancellation, too, is the work's to hear of
            step = partial(work.throw, error)
        try:
            awaited = step()
        except StopIteration as done:
            result: T = done.value
            return result

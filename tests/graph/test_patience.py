"""Giving up: only on what waits, and on all of what waits."""

from __future__ import annotations

import asyncio

import pytest

from graph.patience import TookTooLong, within


async def test_what_need_not_wait_is_done_at_once_and_without_a_clock() -> None:
    async def answer() -> int:
        return 42

    assert await within(0, answer()) == 42


async def test_what_waits_and_comes_in_time_is_what_it_would_be_alone() -> None:
    told: list[str] = []

    async def answer() -> int:
        for turn in range(3):
            await asyncio.sleep(0)
            told.append(f"turn {turn}")
        try:
            await asyncio.wait_for(asyncio.sleep(60), 0.01)
        except TimeoutError:
            told.append("its own timeout")
        return await asyncio.create_task(asyncio.sleep(0, 42))

    assert await within(30, answer()) == 42
    assert told == ["turn 0", "turn 1", "turn 2", "its own timeout"]


async def test_what_takes_too_long_is_broken_off_and_hears_of_it() -> None:
    heard: list[str] = []

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            heard.append("the end")

    with pytest.raises(TookTooLong):
        await within(0.01, hang())

    assert heard == ["the end"]


@pytest.mark.parametrize("turns", [0, 1])
async def test_an_error_is_that_of_the_work(turns: int) -> None:
    async def fail() -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        await within(30, fail())


async def test_whoever_is_cancelled_cancels_the_work_that_waits() -> None:
    heard = asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            heard.set()
            raise

    task = asyncio.create_task(within(30, hang()))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert heard.is_set()


async def test_work_that_goes_on_after_a_cancellation_is_waited_for() -> None:
    async def stubborn() -> int:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return 42

    task = asyncio.create_task(within(30, stubborn()))
    await asyncio.sleep(0)
    task.cancel()

    assert await task == 42

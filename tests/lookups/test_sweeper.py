"""The net under everything: no lookup stays open because its process died, and none because nobody was woken."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from domain.failure import Failure, FailureKind
from domain.identity import email_address
from domain.lookup import BUDGET, GRACE, LookupStatus, LookupTrigger, Occasion
from lookups.sweeper import Sweeper
from lookups.updates import requester_topic
from tests.lookups.room import arrived, at_work, told
from tests.stage.crm import FOUND
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from domain.connector import Connector
    from domain.ticket import Ticket
    from lookups.runner import Prepared
    from tests.lookups.room import Room
    from tests.stage.crm import Crm

JAN = email_address("jan@firma.cz")
INTERRUPTED = Failure(FailureKind.INTERRUPTED)


async def abandon(room: Room, connector: Connector, ticket: Ticket, occasion: Occasion = Occasion.TICKET_OPENED) -> Prepared:
    """Claim a lookup as a process does that then dies."""
    await room.request(ticket, occasion)
    prepared = await room.runner.claim(room.workspace_id)
    assert prepared is not None
    return prepared


async def test_a_claim_that_ran_out_ends_interrupted(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()
    await abandon(room, connector, ticket)
    room.clock.let_pass(BUDGET + GRACE + timedelta(microseconds=1))

    await room.sweeper.sweep()

    assert (await room.standing(ticket, connector)).newest == INTERRUPTED
    (line,) = await room.log(connector)
    assert (line.status, line.failure, line.completed_at) == (LookupStatus.ERROR, INTERRUPTED, room.clock.now())
    assert (line.http_status, line.duration, line.response) == (None, None, None), "nobody knows how far it came"
    assert crm.requests == [], "it may have been sent before, so it is not sent again"


async def test_a_claim_that_may_still_be_saving_is_left_alone(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()
    await abandon(room, connector, ticket)
    room.clock.let_pass(BUDGET + GRACE)

    await room.sweeper.sweep()

    assert (await room.standing(ticket, connector)).under_way


async def test_whoever_watches_is_told_of_the_interrupted_one(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    await abandon(room, connector, await room.open_ticket())
    room.clock.let_pass(timedelta(minutes=1))

    async with room.updates.watch(room.workspace_id, requester_topic(JAN)) as watch:
        await room.sweeper.sweep()
        assert await told(room.updates, room.workspace_id, watch)

    assert room.observed == [(LookupTrigger.TICKET, LookupStatus.ERROR, timedelta(minutes=1))]


async def test_the_last_good_answer_outlives_a_process_that_died(room: Room, crm: Crm) -> None:
    crm.answers["/lookup"] = FOUND
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()
    await room.runner.run(await abandon(room, connector, ticket))
    before = await room.standing(ticket, connector)
    await abandon(room, connector, ticket, Occasion.REFRESH_ASKED)
    room.clock.let_pass(timedelta(minutes=1))

    await room.sweeper.sweep()

    after = await room.standing(ticket, connector)
    assert (after.answer, after.failure) == (before.answer, INTERRUPTED)


async def test_what_the_dead_process_says_after_all_changes_nothing(room: Room, crm: Crm) -> None:
    crm.answers["/lookup"] = FOUND
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()
    late = await abandon(room, connector, ticket)
    room.clock.let_pass(timedelta(minutes=1))
    await room.sweeper.sweep()

    await room.runner.run(late)

    assert (await room.standing(ticket, connector)).newest == INTERRUPTED


async def test_after_an_interrupted_lookup_the_address_can_be_asked_about_again(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()
    await abandon(room, connector, ticket)
    room.clock.let_pass(timedelta(minutes=1))
    await room.sweeper.sweep()

    async with at_work(room):
        await room.dispatch.send(await room.request(ticket))
        await eventually(lambda: room.ended(connector))

    assert (await room.standing(ticket, connector)).failure is None


async def test_a_test_whose_process_died_ends_in_the_log_and_changes_no_panel(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()
    async with room.database.workspace(room.workspace_id) as store:
        await store.lookups.claim_test(connector.id, JAN, room.clock.now())
    room.clock.let_pass(timedelta(minutes=1))

    await room.sweeper.sweep()

    (line,) = await room.log(connector)
    assert (line.trigger, line.failure) == (LookupTrigger.TEST, INTERRUPTED)
    assert (await room.standing(ticket, connector)).newest is None


async def test_two_sweepers_at_once_end_a_lookup_once(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    await abandon(room, connector, await room.open_ticket())
    room.clock.let_pass(timedelta(minutes=1))
    other = Sweeper(room.database, room.lanes, room.runner, now=room.clock.now)

    await asyncio.gather(room.sweeper.sweep(), other.sweep())

    assert len(room.observed) == 1


async def test_queued_lookups_that_nobody_was_woken_for_are_run(room: Room, crm: Crm) -> None:
    connectors = [await room.connect(crm.url("/crm")), await room.connect(crm.url("/shop"))]
    for number in range(10):
        await room.request(await room.open_ticket(f"{number}@firma.cz"))

    async with at_work(room):
        await room.sweeper.sweep()
        for connector in connectors:
            await eventually(lambda connector=connector: room.ended(connector))  # type: ignore[misc]

    assert (len(crm.asked("/crm")), len(crm.asked("/shop"))) == (10, 10)


async def test_a_sweep_serves_every_workspace(room: Room, crm: Crm) -> None:
    first = await room.connect(crm.url("/first"))
    await room.request(await room.open_ticket())
    room.workspace_id = await room.add_workspace("support@other.example")
    await room.connect(crm.url("/second"))
    await room.request(await room.open_ticket())

    async with at_work(room):
        await room.sweeper.sweep()
        await arrived(crm, 1, "/first")
        await arrived(crm, 1, "/second")

    assert {request.json["workspace_id"] for request in crm.requests} > {str(room.workspace_id)}
    assert await room.log(first) == [], "it belongs to the other workspace"


async def test_a_sweep_asks_eight_at_once_like_everybody_else(room: Room, crm: Crm) -> None:
    release = crm.hang()
    connector = await room.connect(crm.url())
    for number in range(12):
        await room.request(await room.open_ticket(f"{number}@firma.cz"))

    async with at_work(room):
        for _ in range(5):
            await room.sweeper.sweep()
        await arrived(crm, 8)
        await room.sweeper.sweep()
        release.set()
        await eventually(lambda: room.ended(connector))

    assert crm.open_at_most["/lookup"] == 8


class Rounds:
    """Time between the rounds of a sweeper: it stands still until the test lets the next round come."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._next = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self._next.wait()
        self._next.clear()

    async def end_of(self, number: int) -> None:
        async def ended() -> bool:
            return len(self.slept) == number

        await eventually(ended)

    def go_on(self) -> None:
        self._next.set()


@pytest.fixture
async def rounds(room: Room) -> AsyncIterator[Rounds]:
    """The room's sweeper, going its rounds."""
    time = Rounds()
    sweeping = asyncio.create_task(room.sweeper.run(time.sleep))
    yield time
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)


async def test_it_goes_round_at_the_start_and_every_two_seconds(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()
    await abandon(room, connector, ticket)
    room.clock.let_pass(timedelta(minutes=1))
    rounds = Rounds()
    sweeping = asyncio.create_task(room.sweeper.run(rounds.sleep))

    await rounds.end_of(1)
    assert (await room.standing(ticket, connector)).newest == INTERRUPTED
    rounds.go_on()
    await rounds.end_of(2)

    assert rounds.slept == [2.0, 2.0]
    sweeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sweeping


async def test_a_database_that_is_away_does_not_end_the_sweeper(room: Room, crm: Crm, rounds: Rounds) -> None:
    await rounds.end_of(1)
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()
    await abandon(room, connector, ticket)
    room.clock.let_pass(timedelta(minutes=1))
    await room.take_away("lookups")
    rounds.go_on()
    await rounds.end_of(2)
    await room.bring_back("lookups")

    rounds.go_on()
    await rounds.end_of(3)

    assert (await room.standing(ticket, connector)).newest == INTERRUPTED


async def test_an_error_of_ours_does_not_end_the_sweeper(room: Room, crm: Crm, rounds: Rounds) -> None:
    await rounds.end_of(1)
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()
    await abandon(room, connector, ticket)
    room.clock.let_pass(timedelta(minutes=1))
    await room.alter("UPDATE lookups SET trigger = 'NONSENSE'")
    rounds.go_on()
    await rounds.end_of(2)
    await room.alter("UPDATE lookups SET trigger = 'TICKET'")

    rounds.go_on()
    await rounds.end_of(3)

    assert (await room.standing(ticket, connector)).newest == INTERRUPTED


async def test_beside_workers_it_leaves_them_what_has_just_been_queued_and_helps_with_what_waits(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    helping = Sweeper(room.database, room.lanes, room.runner, now=room.clock.now, patience=timedelta(seconds=10))
    await room.request(await room.open_ticket())

    async with at_work(room, patience=timedelta(seconds=10)):
        room.clock.let_pass(timedelta(seconds=9))
        await helping.sweep()
        claims = room.lanes.ring(await room.add_workspace("support@other.example"))
        assert claims is not None
        await claims  # by now a claim that began before has been made
        assert [line.status for line in await room.log(connector)] == [LookupStatus.PENDING]
        assert crm.requests == []

        room.clock.let_pass(timedelta(seconds=1))
        await room.request(await room.open_ticket("young@firma.cz"))
        await helping.sweep()
        await arrived(crm, 1)
        await eventually(lambda: _no_lane_is_busy(room))

    assert [request.json["email"] for request in crm.requests] == [JAN], "the young one is left to the workers"


async def _no_lane_is_busy(room: Room) -> bool:
    async with room.database.operator_reading() as operator:
        return (await operator.lookups.depth())["running"] == 0


async def test_a_row_that_cannot_be_read_keeps_no_queued_lookup_from_being_run(room: Room, crm: Crm, rounds: Rounds) -> None:
    await rounds.end_of(1)
    broken = await room.connect(crm.url("/broken"))
    await abandon(room, broken, await room.open_ticket())
    await room.alter("UPDATE lookups SET trigger = 'NONSENSE'")
    room.clock.let_pass(timedelta(minutes=1))
    room.workspace_id = await room.add_workspace("support@other.example")
    well = await room.connect(crm.url("/well"))
    await room.request(await room.open_ticket())

    async with at_work(room):
        rounds.go_on()
        await eventually(lambda: room.ended(well))

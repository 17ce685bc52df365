"""One lookup from its claim to its end: sent at most once, no transaction held meanwhile, saved before it is told."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest

from domain.answer import Found, NotFound
from domain.failure import Failure, FailureKind
from domain.identity import ConnectorId, WorkspaceId, email_address
from domain.lookup import BUDGET, GRACE, LookupStatus, LookupTrigger, Occasion, status_of
from graph.types import LookupTrial
from lookups.client import LookupClient
from lookups.connectors import change_connector
from lookups.guard import Guard
from lookups.runner import Runner
from lookups.updates import requester_topic
from persistence.database import Database, DatabaseAway
from persistence.encryption import KeyRing, Place, new_key_entry
from persistence.tables import new_id
from tests.lookups.room import POLICY, arrived, told
from tests.stage.crm import FOUND, response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from domain.connector import Connector
    from lookups.runner import Prepared
    from persistence.store import WorkspaceStore
    from tests.lookups.room import Room
    from tests.stage.crm import Crm, Request

JAN = email_address("jan@firma.cz")


async def claimed(room: Room, connector: Connector) -> Prepared:
    prepared = await room.runner.claim(room.workspace_id)
    assert prepared is not None
    return prepared


async def change(room: Room, connector: Connector, **changes: Any) -> None:  # noqa: ANN401 - any setting
    async with room.database.workspace(room.workspace_id) as store:
        await change_connector(store, connector.id, changes, None, policy=POLICY, now=room.clock.now())


# Claiming


async def test_there_is_nothing_to_claim_where_nothing_is_queued(room: Room, crm: Crm) -> None:
    await room.connect(crm.url())

    assert await room.runner.claim(room.workspace_id) is None


async def test_of_many_who_claim_one_lookup_one_gets_it(room: Room, crm: Crm) -> None:
    await room.connect(crm.url())
    await room.request(await room.open_ticket())

    claims = await asyncio.gather(*(room.runner.claim(room.workspace_id) for _ in range(20)))

    assert len([claim for claim in claims if claim is not None]) == 1


async def test_a_lookup_is_claimed_before_its_request_is_sent(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    await room.request(await room.open_ticket())
    seen = []

    async def look(_request: Request) -> Any:  # noqa: ANN401 - an answer
        async with room.database.operator_reading() as store:
            seen.append(await store.lookups.depth())
        return FOUND

    crm.answers["/lookup"] = look
    await room.runner.run(await claimed(room, connector))

    assert seen == [{"queued": 0, "running": 1}]


async def test_another_workspace_claims_nothing_of_it(room: Room, crm: Crm) -> None:
    await room.connect(crm.url())
    await room.request(await room.open_ticket())

    assert await room.runner.claim(WorkspaceId(new_id())) is None


# Running


async def test_it_asks_saves_and_tells(room: Room, crm: Crm) -> None:
    crm.answers["/lookup"] = FOUND
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()
    await room.request(ticket)
    prepared = await claimed(room, connector)

    async with room.updates.watch(room.workspace_id, requester_topic(JAN)) as watch:
        await room.runner.run(prepared)
        assert await told(room.updates, room.workspace_id, watch)

    standing = await room.standing(ticket, connector)
    assert standing.answer is not None
    assert isinstance(standing.answer.answer, Found)
    assert (standing.answer.fetched_at, standing.failure, standing.under_way) == (room.clock.now(), None, False)
    (line,) = await room.log(connector)
    assert (line.status, line.http_status, line.completed_at) == (LookupStatus.FOUND, 200, room.clock.now())


async def test_whoever_is_told_sees_it_saved(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()
    await room.request(ticket)
    prepared = await claimed(room, connector)

    async with room.updates.watch(room.workspace_id, requester_topic(JAN)) as watch:
        running = asyncio.create_task(room.runner.run(prepared))
        await watch.wait(10)
        assert isinstance((await room.standing(ticket, connector)).newest, NotFound)
    await running


async def test_no_transaction_is_held_while_an_endpoint_is_asked(room: Room, crm: Crm) -> None:
    release = crm.hang()
    connector = await room.connect(crm.url())
    await room.request(await room.open_ticket())
    running = asyncio.create_task(room.runner.run(await claimed(room, connector)))
    await arrived(crm, 1)

    async with asyncio.timeout(1):
        await room.open_ticket("eva@firma.cz")

    assert not running.done()
    release.set()
    await running


async def test_how_it_ended_is_observed_with_the_time_since_it_was_wanted(room: Room, crm: Crm) -> None:
    crm.answers["/lookup"] = response(500, b"")
    connector = await room.connect(crm.url())
    await room.request(await room.open_ticket(), Occasion.REFRESH_ASKED)
    prepared = await claimed(room, connector)
    room.clock.let_pass(timedelta(seconds=2))

    await room.runner.run(prepared)

    assert room.observed == [(LookupTrigger.REFRESH, LookupStatus.ERROR, timedelta(seconds=2))]


async def test_a_secret_that_does_not_open_ends_it_without_a_request(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url(), secret="s3cret")
    ticket = await room.open_ticket()
    await room.request(ticket)
    lost = KeyRing.parse(new_key_entry()).encrypt("s3cret", Place(room.workspace_id, "connectors", connector.id, "secret"))
    await room.alter("UPDATE connectors SET secret = :lost", lost=lost)

    await room.runner.run(await claimed(room, connector))

    assert (await room.standing(ticket, connector)).newest == Failure(FailureKind.SECRET_UNREADABLE)
    assert [line.duration for line in await room.log(connector)] == [None]
    assert crm.requests == []


async def test_plain_http_is_judged_at_each_lookup_because_the_connector_may_be_older_than_the_setting(
    room: Room, crm: Crm
) -> None:
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()
    await room.request(ticket)
    async with LookupClient(Guard(allowed_networks=[ip_network("127.0.0.0/8")])) as client:
        strict = Runner(room.database, client, room.updates, now=room.clock.now, observe=lambda *_: None, plain_http=False)
        prepared = await strict.claim(room.workspace_id)
        assert prepared is not None
        await strict.run(prepared)
        trial = await strict.try_out(room.workspace_id, connector.id, JAN)

    assert (await room.standing(ticket, connector)).newest == Failure(FailureKind.BLOCKED_ADDRESS)
    assert trial is not None
    assert trial.reply.outcome == Failure(FailureKind.BLOCKED_ADDRESS)
    assert [line.duration for line in await room.log(connector)] == [None, None]
    assert LookupTrial.of(trial).duration_ms == 0
    assert crm.requests == []


async def test_whether_results_are_logged_is_decided_when_they_are_saved(room: Room, crm: Crm) -> None:
    crm.answers["/lookup"] = FOUND | {"name": 42}
    connector = await room.connect(crm.url())
    await room.request(await room.open_ticket())
    prepared = await claimed(room, connector)
    await change(room, connector, log_results=False)

    await room.runner.run(prepared)

    (line,) = await room.log(connector)
    assert (line.status, line.response, [warning.received for warning in line.warnings]) == (LookupStatus.FOUND, None, ["number"])


# What came too late


async def test_what_was_interrupted_meanwhile_stores_tells_and_observes_nothing(room: Room, crm: Crm) -> None:
    crm.answers |= {"/lookup": FOUND}
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()
    await room.request(ticket)
    prepared = await claimed(room, connector)
    await change(room, connector, lookup_url=crm.url("/other"))

    async with room.updates.watch(room.workspace_id, requester_topic(JAN)) as watch:
        await room.runner.run(prepared)
        assert not await told(room.updates, room.workspace_id, watch)

    assert (await room.standing(ticket, connector)).newest is None
    (line,) = await room.log(connector)
    assert (line.failure, line.response, line.duration) == (Failure(FailureKind.INTERRUPTED), None, None)
    assert room.observed == []


async def test_what_was_interrupted_meanwhile_leaves_the_lookup_that_began_since(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()
    await room.request(ticket)
    late = await claimed(room, connector)
    await change(room, connector, lookup_url=crm.url("/other"))
    await room.request(ticket)

    await room.runner.run(late)

    newer, older = await room.log(connector)
    assert (newer.status, older.failure) == (LookupStatus.PENDING, Failure(FailureKind.INTERRUPTED))
    assert (await room.standing(ticket, connector)).under_way


async def test_what_belongs_to_a_deleted_connector_is_dropped(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    await room.request(await room.open_ticket())
    prepared = await claimed(room, connector)
    async with room.database.workspace(room.workspace_id) as store:
        await store.connectors.delete(connector.id)

    await room.runner.run(prepared)

    assert await room.log(connector) == []
    assert room.observed == []


async def test_an_outcome_is_saved_once(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()
    await room.request(ticket)
    prepared = await claimed(room, connector)
    await room.runner.run(prepared)
    first = await room.log(connector)
    crm.answers["/lookup"] = FOUND

    await room.runner.run(prepared)

    assert await room.log(connector) == first
    assert isinstance((await room.standing(ticket, connector)).newest, NotFound)
    assert len(room.observed) == 1


async def test_an_outcome_outlives_a_database_that_is_away_for_a_moment(room: Room, crm: Crm) -> None:
    crm.answers["/lookup"] = FOUND
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()
    await room.request(ticket)
    prepared = await claimed(room, connector)
    await room.take_away("answers")

    running = asyncio.create_task(room.runner.run(prepared))
    await arrived(crm, 1)
    await room.bring_back("answers")
    await running

    assert (await room.standing(ticket, connector)).answer is not None
    assert len(crm.requests) == 1


class Forgetful(Database):
    """A database the reply of whose next commit is lost on the way."""

    forgets = False

    @asynccontextmanager
    async def workspace(
        self, workspace_id: WorkspaceId, *, power_safe: bool = True, at_length: bool = False
    ) -> AsyncIterator[WorkspaceStore]:
        async with super().workspace(workspace_id, power_safe=power_safe, at_length=at_length) as store:
            yield store
        if self.forgets:
            self.forgets = False
            raise DatabaseAway("the connection was cut after the commit")


@pytest.fixture
async def forgetful(room: Room, url: str) -> AsyncIterator[Forgetful]:
    """The room's database by another way."""
    database = Forgetful(url, KeyRing.parse(new_key_entry()))
    yield database
    await database.close()


@pytest.fixture
async def runner(room: Room, forgetful: Forgetful) -> AsyncIterator[Runner]:
    """One over that database."""
    async with LookupClient(Guard(allowed_networks=[ip_network("127.0.0.0/8")])) as client:
        yield Runner(forgetful, client, room.updates, now=room.clock.now, observe=lambda *seen: room.observed.append(seen))


async def test_a_save_whose_reply_was_lost_is_told_like_any_other(
    room: Room, crm: Crm, forgetful: Forgetful, runner: Runner
) -> None:
    crm.answers["/lookup"] = FOUND
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()
    await room.request(ticket)
    prepared = await runner.claim(room.workspace_id)
    assert prepared is not None

    forgetful.forgets = True
    async with room.updates.watch(room.workspace_id, requester_topic(JAN)) as watch:
        await runner.run(prepared)
        assert await told(room.updates, room.workspace_id, watch)

    assert (await room.standing(ticket, connector)).answer is not None
    assert [status for _, status, _ in room.observed] == [LookupStatus.FOUND]


async def test_a_trial_whose_reply_was_lost_tells_what_the_log_says(
    room: Room, crm: Crm, forgetful: Forgetful, runner: Runner
) -> None:
    async def answer(_request: Request) -> Any:  # noqa: ANN401 - an answer
        forgetful.forgets = True
        return FOUND

    crm.answers["/lookup"] = answer
    connector = await room.connect(crm.url())

    trial = await runner.try_out(room.workspace_id, connector.id, JAN)

    assert trial is not None
    (line,) = await room.log(connector)
    assert (status_of(trial.reply.outcome), line.status) == (LookupStatus.FOUND, LookupStatus.FOUND)


async def test_an_interrupted_lookup_is_not_taken_for_one_whose_reply_was_lost(
    room: Room, crm: Crm, forgetful: Forgetful, runner: Runner
) -> None:
    crm.answers["/lookup"] = FOUND
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()
    await room.request(ticket)
    prepared = await runner.claim(room.workspace_id)
    assert prepared is not None
    await room.runner.interrupt(prepared.claim)

    forgetful.forgets = True
    await runner.run(prepared)

    assert (await room.standing(ticket, connector)).newest == Failure(FailureKind.INTERRUPTED)


async def test_an_outcome_that_cannot_be_saved_leaves_the_lookup_to_the_sweeper(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()
    await room.request(ticket)
    prepared = await claimed(room, connector)
    await room.take_away("answers")

    with pytest.raises(DatabaseAway):
        await room.runner.run(prepared)

    await room.bring_back("answers")
    assert (await room.standing(ticket, connector)).under_way
    room.clock.let_pass(BUDGET + GRACE + timedelta(seconds=1))
    await room.sweeper.sweep()
    assert (await room.standing(ticket, connector)).newest == Failure(FailureKind.INTERRUPTED)


# Trials


async def test_a_trial_is_the_reply_with_the_settings_that_it_was_made_with(room: Room, crm: Crm) -> None:
    crm.answers["/lookup"] = FOUND
    connector = await room.connect(crm.url(), link_template="https://crm.example/{customer_id}")

    trial = await room.runner.try_out(room.workspace_id, connector.id, JAN)

    assert trial is not None
    assert trial.connector == connector
    assert isinstance(trial.reply.outcome, Found)
    assert room.observed == [(LookupTrigger.TEST, LookupStatus.FOUND, timedelta())]


@pytest.mark.parametrize("mine", [True, False], ids=["unknown", "of another workspace"])
async def test_there_is_no_trial_of_a_connector_that_is_not_there(room: Room, crm: Crm, mine: bool) -> None:
    connector = await room.connect(crm.url())
    unknown = (room.workspace_id, ConnectorId(new_id())) if mine else (WorkspaceId(new_id()), connector.id)

    assert await room.runner.try_out(*unknown, JAN) is None

    assert crm.requests == []


async def test_a_trial_stores_no_answer(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()

    await room.runner.try_out(room.workspace_id, connector.id, JAN)

    assert (await room.standing(ticket, connector)).newest is None
    assert [(line.trigger, line.ticket_id) for line in await room.log(connector)] == [(LookupTrigger.TEST, None)]


async def test_a_trial_that_is_interrupted_says_so(room: Room, crm: Crm) -> None:
    release = crm.hang()
    connector = await room.connect(crm.url())
    trying = asyncio.create_task(room.runner.try_out(room.workspace_id, connector.id, JAN))
    await arrived(crm, 1)
    await change(room, connector, lookup_url=crm.url("/other"))
    release.set()

    trial = await trying

    assert trial is not None
    assert (trial.reply.outcome, trial.reply.response) == (Failure(FailureKind.INTERRUPTED), None)

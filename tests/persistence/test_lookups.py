from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from domain.answer import AnswerWarning
from domain.failure import Failure, FailureKind
from domain.health import TrackRecord
from domain.identity import EmailAddress, LookupId, TicketId
from domain.lookup import BUDGET, GRACE, LookupStatus, LookupTrigger, Outcome
from persistence.lookups import Claim, Ending, Waiting
from tests.persistence.samples import (
    EVA,
    FAILURE,
    FOUND,
    INSTANT,
    INTERRUPTED,
    JAN,
    NOT_FOUND,
    NOW,
    SECOND,
    connect,
    open_ticket,
    running,
)

if TYPE_CHECKING:
    from domain.connector import Connector
    from domain.identity import ConnectorId, WorkspaceId
    from domain.lookup import Lookup
    from persistence.database import Database
    from persistence.store import WorkspaceStore
    from tests.stage.back_door import BackDoor

LATER = NOW + SECOND
DEADLINE = NOW + BUDGET + GRACE
WARNINGS = (
    AnswerWarning("name", "a text", "number", "CANARY-1"),
    AnswerWarning("fields.CANARY-2", "a text", "null", None, "fields[0]"),
    AnswerWarning("fields.CANARY-3", "at most 500 characters", "string", "CANARY-4…", "fields[1]"),
)
ENDING = Ending(
    outcome=FOUND, http_status=200, duration=timedelta(milliseconds=41), warnings=WARNINGS, response='{"CANARY-5": 1}'
)


@pytest.fixture
async def connector(database: Database, workspace_id: WorkspaceId) -> Connector:
    async with database.workspace(workspace_id) as store:
        return await connect(store)


async def queue(
    store: WorkspaceStore, connector_id: ConnectorId, email: EmailAddress, trigger: LookupTrigger = LookupTrigger.TICKET
) -> bool:
    """Want an answer about this address for a new ticket."""
    ticket = await open_ticket(store, email)
    return await store.lookups.queue(connector_id, ticket.id, email, trigger, NOW)


async def claim_all(store: WorkspaceStore, connector_id: ConnectorId) -> list[EmailAddress]:
    """The addresses of a connector in the order in which they would be asked about."""
    return [claim.email for claim in await claim_everything(store) if claim.connector_id == connector_id]


async def claim_everything(store: WorkspaceStore) -> list[Claim]:
    """What runs until no more may."""
    claimed = []
    while claim := await store.lookups.claim_next(NOW):
        claimed.append(claim)
    return claimed


async def end(store: WorkspaceStore, *claims: Claim) -> None:
    for claim in claims:
        assert await store.lookups.finish(claim, ENDING, NOW)


async def log(store: WorkspaceStore, connector_id: ConnectorId) -> list[Lookup]:
    return await store.lookups.newest(connector_id, 1000)


async def only_line(store: WorkspaceStore, connector_id: ConnectorId) -> Lookup:
    (line,) = await log(store, connector_id)
    return line


# Queueing


@pytest.mark.parametrize("trigger", [LookupTrigger.TICKET, LookupTrigger.VIEW, LookupTrigger.REFRESH])
async def test_a_queued_lookup_is_a_pending_line_of_the_log(
    database: Database, workspace_id: WorkspaceId, connector: Connector, trigger: LookupTrigger
) -> None:
    async with database.workspace(workspace_id) as store:
        ticket = await open_ticket(store)
        assert await store.lookups.queue(connector.id, ticket.id, JAN, trigger, NOW)

        line = await only_line(store, connector.id)

    assert (line.connector_id, line.ticket_id, line.email, line.trigger) == (connector.id, ticket.id, JAN, trigger)
    assert (line.status, line.failure, line.http_status, line.duration) == (LookupStatus.PENDING, None, None, None)
    assert (line.warnings, line.response, line.requested_at, line.completed_at) == ((), None, NOW, None)


async def test_two_hundred_that_want_the_same_at_once_make_one_lookup(
    database: Database, neighbour: Database, workspace_id: WorkspaceId, connector: Connector
) -> None:
    async with database.workspace(workspace_id) as store:
        ticket = await open_ticket(store)

    async def want(turn: int) -> bool:
        async with (database, neighbour)[turn % 2].workspace(workspace_id) as racing:
            return await racing.lookups.queue(connector.id, ticket.id, JAN, LookupTrigger.TICKET, NOW)

    started = await asyncio.gather(*map(want, range(200)))

    assert started.count(True) == 1
    async with database.reading(workspace_id) as store:
        assert len(await log(store, connector.id)) == 1


@pytest.mark.parametrize("claimed", [False, True], ids=["queued", "running"])
async def test_who_comes_while_a_lookup_is_under_way_joins_it_and_the_log_names_the_starter(
    database: Database, workspace_id: WorkspaceId, connector: Connector, claimed: bool
) -> None:
    async with database.workspace(workspace_id) as store:
        starter, joiner = [await open_ticket(store) for _ in range(2)]
        await store.lookups.queue(connector.id, starter.id, JAN, LookupTrigger.TICKET, NOW)
        if claimed:
            await store.lookups.claim_next(NOW)

        assert not await store.lookups.queue(connector.id, joiner.id, JAN, LookupTrigger.REFRESH, LATER)

        line = await only_line(store, connector.id)
        assert (line.ticket_id, line.trigger, line.requested_at) == (starter.id, LookupTrigger.TICKET, NOW)


async def test_lookups_of_other_connectors_and_addresses_are_not_joined(
    database: Database, workspace_id: WorkspaceId, connector: Connector
) -> None:
    async with database.workspace(workspace_id) as store:
        other = await connect(store)
        started = [await queue(store, connector_id, email) for connector_id in (connector.id, other.id) for email in (JAN, EVA)]

    assert started == [True] * 4


@pytest.mark.parametrize("outcome", [FOUND, NOT_FOUND, FAILURE, INTERRUPTED])
async def test_after_its_end_the_next_one_can_start(
    database: Database, workspace_id: WorkspaceId, connector: Connector, outcome: Outcome
) -> None:
    async with database.workspace(workspace_id) as store:
        claim = await running(store, connector.id)
        await store.lookups.finish(claim, Ending(outcome=outcome), NOW)

        assert await queue(store, connector.id, JAN)
        assert await claim_all(store, connector.id) == [JAN]


# Claiming


async def test_a_claim_holds_what_the_request_needs(database: Database, workspace_id: WorkspaceId, connector: Connector) -> None:
    async with database.workspace(workspace_id) as store:
        ticket = await open_ticket(store)
        await store.lookups.queue(connector.id, ticket.id, JAN, LookupTrigger.VIEW, NOW, trace="00-trace")
        line = await only_line(store, connector.id)

        claim = await store.lookups.claim_next(LATER)

    assert claim is not None
    assert claim == Claim(
        lookup_id=line.id,
        token=claim.token,
        workspace_id=workspace_id,
        connector_id=connector.id,
        ticket_id=ticket.id,
        email=JAN,
        trigger=LookupTrigger.VIEW,
        requested_at=NOW,
        until=LATER + BUDGET + GRACE,
        trace="00-trace",
    )


async def test_eight_lookups_that_thirty_want_to_claim_are_claimed_once_each(
    database: Database, neighbour: Database, workspace_id: WorkspaceId, connector: Connector
) -> None:
    addresses = [EmailAddress(f"{number}@firma.cz") for number in range(10)]
    async with database.workspace(workspace_id) as store:
        for address in addresses:
            await queue(store, connector.id, address)

    async def take(turn: int) -> Claim | None:
        async with (database, neighbour)[turn % 2].workspace(workspace_id) as racing:
            return await racing.lookups.claim_next(NOW)

    claims = [claim for claim in await asyncio.gather(*map(take, range(30))) if claim]

    assert sorted(claim.email for claim in claims) == addresses[:8], "no more run at once"
    assert len({claim.token for claim in claims}) == 8


async def test_nothing_is_claimed_where_nothing_is_queued(
    database: Database, workspace_id: WorkspaceId, other_workspace_id: WorkspaceId, connector: Connector
) -> None:
    async with database.workspace(other_workspace_id) as theirs:
        await queue(theirs, (await connect(theirs)).id, JAN)

    async with database.workspace(workspace_id) as store:
        assert await store.lookups.claim_next(NOW) is None


async def test_eight_run_at_once_for_a_connector_and_each_that_ends_makes_room(
    database: Database, workspace_id: WorkspaceId, connector: Connector
) -> None:
    async with database.workspace(workspace_id) as store:
        for number in range(10):
            await queue(store, connector.id, EmailAddress(f"{number}@firma.cz"))

        first = await claim_everything(store)
        assert [claim.email for claim in first] == [f"{number}@firma.cz" for number in range(8)]
        await end(store, first[3])

        assert [claim.email for claim in await claim_everything(store)] == ["8@firma.cz"]


async def test_thirty_two_run_at_once_for_a_workspace_and_each_that_ends_makes_room(
    database: Database, workspace_id: WorkspaceId
) -> None:
    async with database.workspace(workspace_id) as store:
        for connector in [await connect(store) for _ in range(5)]:
            for number in range(8):
                await queue(store, connector.id, EmailAddress(f"{number}@firma.cz"))

        first = await claim_everything(store)
        assert len(first) == 32
        await end(store, *first[:3])

        assert len(await claim_everything(store)) == 3


async def test_the_limits_of_one_workspace_are_not_those_of_another(
    database: Database, workspace_id: WorkspaceId, other_workspace_id: WorkspaceId
) -> None:
    async with database.workspace(workspace_id) as store:
        for connector in [await connect(store) for _ in range(5)]:
            for number in range(8):
                await queue(store, connector.id, EmailAddress(f"{number}@firma.cz"))
        await claim_everything(store)

    async with database.workspace(other_workspace_id) as theirs:
        await queue(theirs, (await connect(theirs)).id, JAN)
        assert len(await claim_everything(theirs)) == 1


async def test_tests_that_run_take_no_room(database: Database, workspace_id: WorkspaceId, connector: Connector) -> None:
    async with database.workspace(workspace_id) as store:
        for number in range(40):
            await store.lookups.claim_test(connector.id, EmailAddress(f"{number}@firma.cz"), NOW)
        for number in range(9):
            await queue(store, connector.id, EmailAddress(f"{number}@firma.cz"))

        assert len(await claim_everything(store)) == 8


async def test_the_connector_with_the_fewest_running_is_next(
    database: Database, workspace_id: WorkspaceId, connector: Connector
) -> None:
    async with database.workspace(workspace_id) as store:
        other = await connect(store)
        for number in range(4):
            await queue(store, connector.id, EmailAddress(f"{number}@firma.cz"))
        for number in range(4, 7):
            await queue(store, other.id, EmailAddress(f"{number}@firma.cz"))

        order = [claim.email[0] for claim in await claim_everything(store)]

    assert order == ["0", "4", "1", "5", "2", "6", "3"]


async def test_an_urgent_one_goes_first_whatever_runs_for_its_connector(
    database: Database, workspace_id: WorkspaceId, connector: Connector
) -> None:
    async with database.workspace(workspace_id) as store:
        other = await connect(store)
        await running(store, connector.id, EmailAddress("running@firma.cz"))
        await queue(store, other.id, JAN)
        await queue(store, connector.id, EVA, LookupTrigger.REFRESH)

        assert [claim.email for claim in await claim_everything(store)] == [EVA, JAN]


async def test_who_looks_for_urgent_ones_takes_no_other(
    database: Database, workspace_id: WorkspaceId, connector: Connector
) -> None:
    async with database.workspace(workspace_id) as store:
        await queue(store, connector.id, JAN)
        assert await store.lookups.claim_next(NOW, urgent_only=True) is None
        await queue(store, connector.id, EVA, LookupTrigger.VIEW)

        claim = await store.lookups.claim_next(NOW, urgent_only=True)

    assert claim is not None
    assert claim.email == EVA


async def test_the_oldest_is_asked_first_and_whoever_an_agent_waits_for_before_all(
    database: Database, workspace_id: WorkspaceId, connector: Connector
) -> None:
    wanted = [
        ("1@firma.cz", LookupTrigger.TICKET),
        ("2@firma.cz", LookupTrigger.TICKET),
        ("3@firma.cz", LookupTrigger.VIEW),
        ("4@firma.cz", LookupTrigger.TICKET),
        ("5@firma.cz", LookupTrigger.REFRESH),
    ]
    async with database.workspace(workspace_id) as store:
        for email, trigger in wanted:
            await queue(store, connector.id, EmailAddress(email), trigger)

        claimed = await claim_all(store, connector.id)

    assert [email[0] for email in claimed] == ["3", "5", "1", "2", "4"]


@pytest.mark.parametrize(
    ("trigger", "order"),
    [(LookupTrigger.TICKET, ["1", "2", "3"]), (LookupTrigger.VIEW, ["2", "1", "3"]), (LookupTrigger.REFRESH, ["2", "1", "3"])],
)
async def test_an_agent_who_joins_a_queued_lookup_brings_it_forward(
    database: Database, workspace_id: WorkspaceId, connector: Connector, trigger: LookupTrigger, order: list[str]
) -> None:
    async with database.workspace(workspace_id) as store:
        for email in ("1@firma.cz", "2@firma.cz", "3@firma.cz"):
            await queue(store, connector.id, EmailAddress(email))
        await queue(store, connector.id, EmailAddress("2@firma.cz"), trigger)

        assert [email[0] for email in await claim_all(store, connector.id)] == order


async def test_joining_brings_nothing_forward_but_what_was_joined(
    database: Database, workspace_id: WorkspaceId, connector: Connector
) -> None:
    async with database.workspace(workspace_id) as store:
        other = await connect(store)
        for connector_id in (connector.id, other.id):
            await queue(store, connector_id, EVA)
            await queue(store, connector_id, JAN)
        await queue(store, connector.id, JAN, LookupTrigger.VIEW)

        claims = await claim_everything(store)

    assert [claim.email for claim in claims if claim.connector_id == connector.id] == [JAN, EVA]
    assert [claim.email for claim in claims if claim.connector_id == other.id] == [EVA, JAN]


# Ending


async def test_what_a_lookup_brought_stands_in_its_line(
    database: Database, workspace_id: WorkspaceId, connector: Connector
) -> None:
    async with database.workspace(workspace_id) as store:
        claim = await running(store, connector.id)

        assert await store.lookups.finish(claim, ENDING, LATER)

        line = await only_line(store, connector.id)
    assert (line.id, line.status, line.failure) == (claim.lookup_id, LookupStatus.FOUND, None)
    assert (line.http_status, line.duration) == (200, timedelta(milliseconds=41))
    assert (line.warnings, line.response) == (WARNINGS, '{"CANARY-5": 1}')
    assert (line.requested_at, line.completed_at) == (NOW, LATER)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (FOUND, LookupStatus.FOUND),
        (NOT_FOUND, LookupStatus.NOT_FOUND),
        *((Failure(kind, 503), LookupStatus.ERROR) for kind in FailureKind if kind is not FailureKind.TIMEOUT),
        (Failure(FailureKind.TIMEOUT, 503), LookupStatus.TIMEOUT),
    ],
)
async def test_the_log_tells_every_outcome(
    database: Database, workspace_id: WorkspaceId, connector: Connector, outcome: Outcome, status: LookupStatus
) -> None:
    async with database.workspace(workspace_id) as store:
        claim = await running(store, connector.id)
        await store.lookups.finish(claim, Ending(outcome=outcome, http_status=503), NOW)

        line = await only_line(store, connector.id)

    assert (line.status, line.http_status) == (status, 503)
    assert line.failure == (outcome if isinstance(outcome, Failure) else None)


async def test_a_lookup_ends_once(database: Database, workspace_id: WorkspaceId, connector: Connector) -> None:
    async with database.workspace(workspace_id) as store:
        claim = await running(store, connector.id)

        assert await store.lookups.finish(claim, Ending(outcome=FOUND), NOW)
        assert not await store.lookups.finish(claim, Ending(outcome=FAILURE), LATER)

        line = await only_line(store, connector.id)
        assert (line.status, line.completed_at) == (LookupStatus.FOUND, NOW)


async def test_only_who_holds_the_claim_can_end_it(database: Database, workspace_id: WorkspaceId, connector: Connector) -> None:
    async with database.workspace(workspace_id) as store:
        claim = await running(store, connector.id)

        assert not await store.lookups.finish(replace(claim, token=uuid4()), ENDING, NOW)

        assert (await only_line(store, connector.id)).completed_at is None


async def test_interrupting_ends_what_is_queued_running_or_tested_and_nothing_else(
    database: Database, workspace_id: WorkspaceId, connector: Connector
) -> None:
    async with database.workspace(workspace_id) as store:
        other = await connect(store)
        ended = await running(store, connector.id, EmailAddress("ended@firma.cz"))
        await store.lookups.finish(ended, Ending(outcome=FOUND), NOW)
        claim = await running(store, connector.id)
        test = await store.lookups.claim_test(connector.id, JAN, NOW)
        await queue(store, connector.id, EVA)
        await queue(store, other.id, EVA)

        await store.lookups.interrupt(connector.id, LATER)

        lines = await log(store, connector.id)
        untouched = await only_line(store, other.id)
        late = [await store.lookups.finish(late, ENDING, LATER) for late in (claim, test)]
        again = await queue(store, connector.id, EVA)

    assert [(line.status, line.failure, line.completed_at) for line in lines] == [
        *([(LookupStatus.ERROR, INTERRUPTED, LATER)] * 3),
        (LookupStatus.FOUND, None, NOW),
    ]
    assert [line.response for line in lines] == [None] * 4
    assert untouched.completed_at is None
    assert late == [False, False]
    assert again


async def test_deleting_the_connector_ends_its_lookups_without_a_trace(
    database: Database, workspace_id: WorkspaceId, connector: Connector
) -> None:
    async with database.workspace(workspace_id) as store:
        claim = await running(store, connector.id)
        await store.connectors.delete(connector.id)

        assert not await store.lookups.finish(claim, ENDING, LATER)
        assert await log(store, connector.id) == []


# Tests


async def test_a_test_stands_apart_from_every_other_lookup(
    database: Database, workspace_id: WorkspaceId, connector: Connector
) -> None:
    async with database.workspace(workspace_id) as store:
        tests = [await store.lookups.claim_test(connector.id, JAN, NOW) for _ in range(2)]
        assert await queue(store, connector.id, JAN)
        tests.append(await store.lookups.claim_test(connector.id, JAN, NOW))
        claimed = await claim_all(store, connector.id)
        finished = [await store.lookups.finish(test, Ending(outcome=FAILURE), NOW) for test in tests]

        lines = await log(store, connector.id)

    assert len({test.token for test in tests}) == len({test.lookup_id for test in tests}) == 3
    assert {(test.ticket_id, test.trigger, test.email) for test in tests} == {(None, LookupTrigger.TEST, JAN)}
    assert claimed == [JAN]
    assert finished == [True] * 3
    assert [(line.trigger, line.ticket_id is None, line.status) for line in lines] == [
        (LookupTrigger.TEST, True, LookupStatus.ERROR),
        (LookupTrigger.TICKET, False, LookupStatus.PENDING),
        (LookupTrigger.TEST, True, LookupStatus.ERROR),
        (LookupTrigger.TEST, True, LookupStatus.ERROR),
    ]


# The log


async def test_the_log_is_read_newest_first_page_by_page(
    database: Database, workspace_id: WorkspaceId, connector: Connector
) -> None:
    async with database.workspace(workspace_id) as store:
        other = await connect(store)
        for number in range(5):
            await queue(store, connector.id, EmailAddress(f"{number}@firma.cz"))
            await queue(store, other.id, EmailAddress(f"{number}@jinde.cz"))

        pages: list[list[str]] = []
        before: LookupId | None = None
        while page := await store.lookups.newest(connector.id, 2, before=before):
            pages.append([line.email for line in page])
            before = page[-1].id
        nothing = await store.lookups.newest(connector.id, 0)

    assert pages == [["4@firma.cz", "3@firma.cz"], ["2@firma.cz", "1@firma.cz"], ["0@firma.cz"]]
    assert nothing == []


async def test_forgetting_responses_leaves_no_byte_of_one_in_the_log(
    database: Database, back_door: BackDoor, workspace_id: WorkspaceId, connector: Connector
) -> None:
    async with database.workspace(workspace_id) as store:
        other = await connect(store)
        for connector_id in (connector.id, other.id):
            await store.lookups.finish(await running(store, connector_id), ENDING, LATER)
            await store.lookups.finish(await store.lookups.claim_test(connector_id, JAN, NOW), ENDING, LATER)
        await queue(store, connector.id, EVA)

        await store.lookups.forget_responses(connector.id)

        pending, *ended = await log(store, connector.id)
        assert [line.response for line in await log(store, other.id)] == [ENDING.response] * 2

    assert pending.status is LookupStatus.PENDING
    assert [line.status for line in ended] == [LookupStatus.FOUND] * 2
    for line in ended:
        assert line.response is None
        assert (line.http_status, line.duration, line.completed_at) == (200, ENDING.duration, LATER)
        assert [(warning.path, warning.expected, warning.received) for warning in line.warnings] == [
            ("name", "a text", "number"),
            ("fields[0]", "a text", "null"),
            ("fields[1]", "at most 500 characters", "string"),
        ]
    assert "CANARY" not in repr(rows_of(back_door, connector.id))
    assert repr(rows_of(back_door, other.id)).count("CANARY") == 10


def rows_of(back_door: BackDoor, connector_id: ConnectorId) -> list[Any]:
    """Every column of a connector's log, as it is stored."""
    return back_door.rows("SELECT * FROM lookups WHERE connector_id = :id", id=connector_id)


# The sweeper's view


async def test_a_claim_is_abandoned_when_budget_and_grace_have_passed(
    database: Database, workspace_id: WorkspaceId, connector: Connector
) -> None:
    async with database.workspace(workspace_id) as store:
        claims = [await running(store, connector.id), await store.lookups.claim_test(connector.id, JAN, NOW)]
        await queue(store, connector.id, EVA)

    async with database.operator_reading() as operator:
        assert await operator.lookups.abandoned(DEADLINE) == []
        abandoned = await operator.lookups.abandoned(DEADLINE + INSTANT)

    assert sorted(abandoned, key=lambda claim: claim.lookup_id) == claims


async def test_an_abandoned_claim_can_be_ended_by_whoever_finds_it(
    database: Database, workspace_id: WorkspaceId, connector: Connector
) -> None:
    async with database.workspace(workspace_id) as store:
        slow = await running(store, connector.id)
    async with database.operator_reading() as operator:
        (abandoned,) = await operator.lookups.abandoned(DEADLINE + INSTANT)

    async with database.workspace(workspace_id) as store:
        assert await store.lookups.finish(abandoned, Ending(outcome=INTERRUPTED), LATER)
        assert not await store.lookups.finish(slow, ENDING, LATER)
    async with database.operator_reading() as operator:
        assert await operator.lookups.abandoned(DEADLINE + INSTANT) == []


async def test_workspaces_wait_while_they_have_queued_lookups(
    database: Database, workspace_id: WorkspaceId, other_workspace_id: WorkspaceId, connector: Connector
) -> None:
    async with database.workspace(workspace_id) as store:
        busy, idle = [await connect(store) for _ in range(2)]
        await running(store, busy.id)
        await store.lookups.claim_test(idle.id, JAN, NOW)
        for email in (JAN, EVA):
            await queue(store, connector.id, email)
    async with database.workspace(other_workspace_id) as store:
        theirs = await connect(store)
        await queue(store, theirs.id, JAN, LookupTrigger.REFRESH)
        await queue(store, theirs.id, EVA)

    async with database.operator_reading() as operator:
        waiting = await operator.lookups.waiting(NOW)
        depth = await operator.lookups.depth()

    assert set(waiting) == {Waiting(workspace_id, urgent=False), Waiting(other_workspace_id, urgent=True)}
    assert depth == {"queued": 4, "running": 2}


async def test_who_has_just_come_can_be_left_out(database: Database, workspace_id: WorkspaceId, connector: Connector) -> None:
    async with database.workspace(workspace_id) as store:
        await queue(store, connector.id, JAN)

    async with database.operator_reading() as operator:
        assert await operator.lookups.waiting(NOW, before=NOW - INSTANT) == []
        assert await operator.lookups.waiting(NOW) == [Waiting(workspace_id, urgent=False)]


async def test_nobody_waits_where_everything_has_ended(
    database: Database, workspace_id: WorkspaceId, connector: Connector
) -> None:
    async with database.workspace(workspace_id) as store:
        await store.lookups.finish(await running(store, connector.id), ENDING, NOW)

    async with database.operator_reading() as operator:
        assert await operator.lookups.waiting(NOW) == []
        assert await operator.lookups.abandoned(DEADLINE + INSTANT) == []
        assert await operator.lookups.depth() == {"queued": 0, "running": 0}


async def test_a_lookup_for_a_ticket_that_is_not_there_is_not_stored(
    database: Database, workspace_id: WorkspaceId, connector: Connector
) -> None:
    nowhere = TicketId(UUID(int=1))

    with pytest.raises(Exception, match=r"(?i)foreign key"):
        async with database.workspace(workspace_id) as store:
            await store.lookups.queue(connector.id, nowhere, JAN, LookupTrigger.TICKET, NOW)

    async with database.reading(workspace_id) as store:
        assert await log(store, connector.id) == []


# A failing endpoint


async def test_a_backlog_ends_interrupted_but_for_what_an_agent_waits_for(
    database: Database, workspace_id: WorkspaceId, connector: Connector
) -> None:
    async with database.workspace(workspace_id) as store:
        other = await connect(store)
        running_now = await running(store, connector.id, EmailAddress("running@firma.cz"))
        for number, trigger in enumerate([LookupTrigger.TICKET, LookupTrigger.VIEW, LookupTrigger.REFRESH]):
            await queue(store, connector.id, EmailAddress(f"{number}@firma.cz"), trigger)
        await queue(store, connector.id, EVA)
        await queue(store, connector.id, EVA, LookupTrigger.REFRESH)  # joins
        await queue(store, other.id, JAN)

        await store.lookups.interrupt_backlog(connector.id, LATER)

        lines = {line.email: line for line in await store.lookups.newest(connector.id, 10)}
        (others,) = await store.lookups.newest(other.id, 10)
    ended = lines.pop(EmailAddress("0@firma.cz"))
    assert (ended.trigger, ended.failure, ended.completed_at) == (LookupTrigger.TICKET, INTERRUPTED, LATER)
    assert {line.completed_at for line in [*lines.values(), others]} == {None}
    assert running_now.email in lines


async def test_a_track_record_is_of_the_newest_lines_less_tests_and_what_was_not_sent(
    database: Database, workspace_id: WorkspaceId, connector: Connector
) -> None:
    async with database.workspace(workspace_id) as store:
        assert await store.lookups.track_record(connector.id, 3) == TrackRecord([])
        outcomes: list[Outcome] = [FOUND, NOT_FOUND, FAILURE, FAILURE]
        for second, outcome in enumerate(outcomes):
            ending = Ending(outcome=outcome, duration=second * SECOND)
            await store.lookups.finish(await running(store, connector.id), ending, NOW + second * SECOND)
        assert await store.lookups.track_record(connector.id, 3) == TrackRecord([3 * SECOND, 2 * SECOND, SECOND])

        await store.lookups.finish(await running(store, connector.id), Ending(outcome=INTERRUPTED), LATER)
        test = await store.lookups.claim_test(connector.id, JAN, LATER)
        await store.lookups.finish(test, Ending(outcome=FOUND, duration=9 * SECOND), NOW + 9 * SECOND)
        await queue(store, connector.id, EVA)

        assert await store.lookups.track_record(connector.id, 4) == TrackRecord([3 * SECOND])
        assert await store.lookups.track_record(connector.id, 3) == TrackRecord([]), "no more is read than asked for"


# Watching the log


async def test_what_stands_is_the_log_from_a_line_on_and_whatever_is_open(
    database: Database, workspace_id: WorkspaceId, connector: Connector
) -> None:
    async with database.workspace(workspace_id) as store:
        for email in (JAN, EVA, EmailAddress("iva@firma.cz")):
            await queue(store, connector.id, email)
        running_one, ended_one = [await store.lookups.claim_next(NOW) for _ in range(2)]
        assert running_one
        assert ended_one
        await end(store, ended_one)
        tests = [await store.lookups.claim_test(connector.id, JAN, NOW) for _ in range(3)]
        await end(store, *tests[:2])

        first, second, third = (claim.lookup_id for claim in tests)
        (queued_one,) = {line.id for line in await log(store, connector.id)} - {
            claim.lookup_id for claim in (running_one, ended_one, *tests)
        }
        old = {running_one.lookup_id: LookupStatus.PENDING, queued_one: LookupStatus.PENDING}
        new = {second: LookupStatus.FOUND, third: LookupStatus.PENDING}
        rest = {first: LookupStatus.FOUND, ended_one.lookup_id: LookupStatus.FOUND}
        assert await store.lookups.standing(connector.id, since=second) == old | new
        assert await store.lookups.standing(connector.id, since=None) == old | new | rest
        assert await store.lookups.newest_but(connector.id, 2) == first
        assert await store.lookups.newest_but(connector.id, 6) is None
        assert [line.id for line in await store.lookups.some(connector.id, [third, first, LookupId(uuid4())])] == [first, third]

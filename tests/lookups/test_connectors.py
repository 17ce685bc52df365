"""Making and changing connectors: what is refused changes nothing, and what a change undoes goes with it or not at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain.answer import NotFound
from domain.connector import MAX_CONNECTORS, UNCHANGED, ConnectorSettings, EndpointPolicy, Unchanged
from domain.errors import InvalidConnector
from domain.failure import Failure, FailureKind
from domain.identity import ConnectorId, WorkspaceId
from domain.lookup import Occasion, Standing
from domain.secret import Secret
from lookups.connectors import change_connector, create_connector
from persistence.encryption import KeyRing, Place, new_key_entry
from persistence.tables import new_id
from tests.lookups.room import POLICY
from tests.stage.crm import NOT_FOUND, response

if TYPE_CHECKING:
    from domain.connector import Connector
    from domain.ticket import Ticket
    from tests.lookups.room import Room
    from tests.stage.crm import Crm

URL = "https://crm.example/lookup"
FAILED = Failure(FailureKind.HTTP_STATUS, 500)


async def change(
    room: Room,
    connector: Connector,
    secret: Secret | Unchanged | None = UNCHANGED,
    policy: EndpointPolicy = POLICY,
    **changes: Any,  # noqa: ANN401 - any setting
) -> Connector | None:
    async with room.database.workspace(room.workspace_id) as store:
        return await change_connector(store, connector.id, changes, secret, policy=policy, now=room.clock.now())


async def stored(room: Room, connector: Connector) -> tuple[Connector | None, Secret | None]:
    async with room.database.reading(room.workspace_id) as store:
        return await store.connectors.get(connector.id), await store.credentials.secret(connector.id)


async def asked(room: Room, connector: Connector, ticket: Ticket) -> Standing:
    """What is known once the connector has been asked."""
    await room.request(ticket, Occasion.REFRESH_ASKED)
    prepared = await room.runner.claim(room.workspace_id)
    assert prepared is not None
    await room.runner.run(prepared)
    return await room.standing(ticket, connector)


# Making


async def test_a_connector_is_stored_as_it_was_given(room: Room) -> None:
    connector = await room.connect(URL, secret="s3cret", name="Shop", cache_ttl=timedelta(hours=3), position=7)

    assert (connector.name, connector.lookup_url, connector.cache_ttl, connector.position) == ("Shop", URL, timedelta(hours=3), 7)
    assert (connector.created_at, connector.updated_at) == (room.clock.now(), room.clock.now())
    assert await stored(room, connector) == (connector, Secret("s3cret"))


async def test_an_invalid_connector_is_refused_with_every_problem_and_not_stored(room: Room) -> None:
    with pytest.raises(InvalidConnector) as refused:
        await room.connect("ftp://crm.example", name="", cache_ttl=timedelta(hours=9000))

    assert [problem.field for problem in refused.value.problems] == ["name", "lookupUrl", "cacheTtlHours"]
    async with room.database.reading(room.workspace_id) as store:
        assert await store.connectors.all() == []


async def test_a_workspace_has_room_for_so_many_connectors_and_no_more(room: Room) -> None:
    for _ in range(MAX_CONNECTORS):
        await room.connect(URL)

    with pytest.raises(InvalidConnector):
        await room.connect(URL)

    async with room.database.reading(room.workspace_id) as store:
        assert await store.connectors.count() == MAX_CONNECTORS == 25


async def test_the_connectors_of_another_workspace_take_no_room(room: Room) -> None:
    for _ in range(MAX_CONNECTORS):
        await room.connect(URL)
    room.workspace_id = await room.add_workspace("support@other.example")

    await room.connect(URL)


async def test_the_endpoint_policy_is_asked_on_making_and_on_changing(room: Room) -> None:
    strict = EndpointPolicy(plain_http=False, address_allowed=lambda _: False)
    connector = await room.connect(URL)
    settings = ConnectorSettings(
        name="CRM", lookup_url="http://crm.example", secret_header_name=None, has_secret=False, link_template=None,
        cache_ttl=timedelta(), log_results=True, enabled=True, position=0,
    )  # fmt: skip

    for url in ("http://crm.example", "https://203.0.113.7"):
        with pytest.raises(InvalidConnector):
            await change(room, connector, policy=strict, lookup_url=url)
        async with room.database.workspace(room.workspace_id) as store:
            with pytest.raises(InvalidConnector):
                await create_connector(store, replace(settings, lookup_url=url), None, policy=strict, now=room.clock.now())


# Changing


async def test_what_a_change_does_not_mention_stays(room: Room) -> None:
    connector = await room.connect(URL, secret="s3cret")
    room.clock.let_pass(timedelta(hours=1))

    changed = await change(room, connector, name="Shop")

    assert changed == replace(connector, name="Shop", updated_at=room.clock.now())
    assert await stored(room, connector) == (changed, Secret("s3cret"))


async def test_a_change_of_a_connector_that_is_not_there_is_none(room: Room) -> None:
    connector = await room.connect(URL)

    async with room.database.workspace(room.workspace_id) as store:
        unknown = await change_connector(store, ConnectorId(new_id()), {}, UNCHANGED, policy=POLICY, now=room.clock.now())
    room.workspace_id, mine = WorkspaceId(new_id()), room.workspace_id
    foreign = await change(room, connector, name="Stolen")

    assert unknown is foreign is None
    room.workspace_id = mine
    assert (await stored(room, connector))[0] == connector


async def test_a_change_that_is_refused_undoes_nothing(room: Room, crm: Crm) -> None:
    crm.answers["/lookup"] = response(500, b"")
    connector = await room.connect(crm.url(), secret="s3cret")
    ticket = await room.open_ticket()
    failed = await asked(room, connector, ticket)
    await room.request(ticket, Occasion.REFRESH_ASKED)
    before = await stored(room, connector)

    with pytest.raises(InvalidConnector):
        await change(room, connector, Secret("another"), lookup_url="https://crm.example", name="")

    assert await stored(room, connector) == before
    assert await room.standing(ticket, connector) == replace(failed, under_way=True)


async def test_a_change_whose_transaction_fails_undoes_nothing(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()
    known = await asked(room, connector, ticket)
    await room.request(ticket, Occasion.REFRESH_ASKED)

    async def change_and_fail() -> None:
        async with room.database.workspace(room.workspace_id) as store:
            changes = {"lookup_url": crm.url("/other")}
            await change_connector(store, connector.id, changes, UNCHANGED, policy=POLICY, now=room.clock.now())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change_and_fail()

    assert await room.standing(ticket, connector) == replace(known, under_way=True)


async def test_a_secret_that_no_key_opens_counts_as_changed_whatever_is_set(room: Room, crm: Crm) -> None:
    crm.answers["/lookup"] = response(500, b"")
    connector = await room.connect(crm.url(), secret="s3cret")
    ticket = await room.open_ticket()
    assert (await asked(room, connector, ticket)).failure == FAILED
    lost = KeyRing.parse(new_key_entry()).encrypt("s3cret", Place(room.workspace_id, "connectors", connector.id, "secret"))
    await room.alter("UPDATE connectors SET secret = :lost", lost=lost)

    await change(room, connector, Secret("s3cret"))

    assert (await room.standing(ticket, connector)).failure is None
    assert (await stored(room, connector))[1] == Secret("s3cret")


async def test_header_and_secret_go_together_when_both_are_cleared(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url(), secret="s3cret")

    changed = await change(room, connector, None, secret_header_name=None)

    assert changed is not None
    assert (changed.secret_header_name, changed.has_secret) == (None, False)
    assert (await stored(room, connector))[1] is None


async def test_a_change_undoes_what_is_known_of_every_address_and_of_no_other_connector(room: Room, crm: Crm) -> None:
    crm.answers["/lookup"] = response(500, b"")
    connector, other = await room.connect(crm.url()), await room.connect(crm.url())
    tickets = [await room.open_ticket(f"{number}@firma.cz") for number in range(3)]
    for ticket in tickets:
        await room.request(ticket)
        for _ in (connector, other):
            prepared = await room.runner.claim(room.workspace_id)
            assert prepared is not None
            await room.runner.run(prepared)

    await change(room, connector, Secret("s3cret"), secret_header_name="X-Api-Key")

    assert [await room.standing(ticket, connector) for ticket in tickets] == [Standing()] * 3
    assert [(await room.standing(ticket, other)).failure for ticket in tickets] == [FAILED] * 3


async def test_the_good_answer_before_a_failure_outlives_a_new_secret_and_falls_with_a_new_url(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url(), secret="s3cret")
    ticket = await room.open_ticket()
    crm.answers["/lookup"] = NOT_FOUND
    good = await asked(room, connector, ticket)
    crm.answers["/lookup"] = response(500, b"")
    assert await asked(room, connector, ticket) == replace(good, failure=FAILED)

    await change(room, connector, Secret("another"))
    assert await room.standing(ticket, connector) == good
    assert isinstance(good.newest, NotFound)

    await change(room, connector, lookup_url=crm.url("/lookup?v=2"))
    assert await room.standing(ticket, connector) == Standing()

"""Following the panels of a ticket: read once for all, shown to each whole, and nothing is left of a feed that nobody follows."""

from __future__ import annotations

import asyncio
import gc
import socket
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import jwt
import pytest
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed

from domain.identity import ConnectorId
from graph.context import Context
from graph.errors import Reported
from graph.events import Audience
from graph.feed import Feeds, Follower
from graph.limits import Limits
from graph.push import Push
from lookups.updates import CONNECTORS
from server.clock import utc_now
from server.socket import SocketProtocol
from tests.graph.desk import open_ticket, statements, watches
from tests.stage.back_door import BackDoor
from tests.stage.front_end import PATIENCE, receive, send
from tests.stage.helpdesk import LIST, Helpdesk, open_helpdesk
from tests.stage.waiting import eventually, in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from websockets.asyncio.client import ClientConnection

    from tests.stage.front_end import Watching

WATCH = "subscription ($id: ID!) { crmPanels(ticketId: $id) { connectorName } }"
EXECUTED = """
subscription ($id: ID!) { ...Panels }
fragment Panels on Subscription { crmPanels(ticketId: $id) { connectorName } }
"""
LARGE = "subscription ($id: ID!) { crmPanels(ticketId: $id) { connectorName MORE } }".replace(
    "MORE", " ".join(f"alias{number}: connectorName" for number in range(150))
)
WAYS = pytest.mark.parametrize("watch", [WATCH, EXECUTED], ids=["pushed", "executed"])
UPDATE = "mutation ($id: ID!, $input: UpdateConnectorInput!) { updateConnector(id: $id, input: $input) { __typename } }"


@pytest.fixture
async def product(url: str, database_kind: str, tmp_path: Path) -> AsyncIterator[Helpdesk]:
    """The whole product, on each kind of database in turn."""
    settings: dict[str, Any] = {"database_url": url} if database_kind == "postgresql" else {}
    async with open_helpdesk(tmp_path / "data", **settings) as opened:
        yield opened


async def settled(helpdesk: Helpdesk, name: str) -> tuple[str, str]:
    """A connector and a ticket of which nothing is going to be announced."""
    connector_id = await helpdesk.connect("http://127.0.0.1:9/", name)
    ticket_id = await open_ticket(helpdesk.agent)
    await helpdesk.settled()
    return connector_id, ticket_id


async def rename(helpdesk: Helpdesk, connector_id: str, name: str) -> None:
    await helpdesk.admin.ask(UPDATE, id=connector_id, input={"name": name})


async def rename_silently(helpdesk: Helpdesk, connector_id: str, name: str) -> None:
    """As if the announcement had been lost."""
    async with helpdesk.parts.database.workspace(helpdesk.workspace_id) as store:
        connector = await store.connectors.get(ConnectorId(UUID(connector_id)))
        assert connector is not None
        await store.connectors.save(connector.id, replace(connector, name=name), utc_now())


async def nobody_watches(helpdesk: Helpdesk) -> bool:
    return watches(helpdesk) == 0


async def shows(panels: Watching, name: str) -> None:
    await panels.until(lambda panel: panel["connectorName"] == name)


def alive(*kinds: type) -> int:
    """How many objects of these kinds there are."""
    gc.collect()
    return sum(isinstance(one, kinds) for one in gc.get_objects())


@WAYS
async def test_whoever_comes_later_is_shown_the_panels_by_a_reading_of_their_own(helpdesk: Helpdesk, watch: str) -> None:
    connector_id, ticket_id = await settled(helpdesk, "before")
    async with helpdesk.agent.watching(WATCH, id=ticket_id) as panels:
        await shows(panels, "before")
        await rename_silently(helpdesk, connector_id, "after")

        async with helpdesk.agent.watching(watch, id=ticket_id) as newcomer:
            assert (await newcomer.next())["connectorName"] == "after"

        await shows(panels, "after")


@WAYS
async def test_what_no_panel_shows_is_not_sent(helpdesk: Helpdesk, watch: str) -> None:
    connector_id, ticket_id = await settled(helpdesk, "before")
    async with helpdesk.agent.watching(watch, id=ticket_id) as panels:
        await panels.next()
        await helpdesk.admin.ask(UPDATE, id=connector_id, input={"logResults": False})
        await helpdesk.parts.updates.announce(helpdesk.workspace_id, CONNECTORS)
        async with helpdesk.agent.watching(watch, id=ticket_id) as newcomer:  # and so it has been read
            await newcomer.next()

        await rename(helpdesk, connector_id, "after")

        assert (await panels.next())["connectorName"] == "after"


async def test_a_thousand_who_come_at_once_are_shown_the_panels_by_few_readings(helpdesk: Helpdesk) -> None:
    await helpdesk.connect("http://127.0.0.1:9/", "CRM")
    await open_ticket(helpdesk.agent)
    services = helpdesk.parts.endpoint().services
    async with services.database.reading(helpdesk.workspace_id) as store:
        (ticket,) = await store.tickets.opened_after(0, limit=1)
    shown = [asyncio.Event() for _ in range(1000)]

    with statements(helpdesk) as executed:
        followers = [services.feeds.follow(helpdesk.workspace_id, ticket, one.set) for one in shown]
        await asyncio.gather(*(one.wait() for one in shown))

    panels = [follower.take() for follower in followers]
    assert {id(panel) for panel in panels} == {id(panels[0])}
    assert len(executed) < 10
    for follower in followers:
        follower.leave()
    assert len(services.feeds) == 0


@WAYS
async def test_a_reader_who_lags_behind_is_shown_the_last_state_and_holds_nobody_up(helpdesk: Helpdesk, watch: str) -> None:
    connector_id, ticket_id = await settled(helpdesk, "0" * 100)
    narrow, changes = await narrow_connection(helpdesk), 300

    async with (
        helpdesk.agent.signed_in(sock=narrow, max_queue=1, ping_interval=None) as slow,
        helpdesk.agent.watching(WATCH, id=ticket_id) as quick,
    ):
        await send(slow, id="1", type="subscribe", payload={"query": enlarged(watch), "variables": {"id": ticket_id}})
        await eventually(lambda: nth_name(slow))
        await quick.next()
        slow.transport.pause_reading()
        for number in range(1, changes):
            await rename_silently(helpdesk, connector_id, f"{number:0100}")
            await helpdesk.parts.updates.announce(helpdesk.workspace_id, CONNECTORS)
            await shows(quick, f"{number:0100}")
        slow.transport.resume_reading()

        seen = [await nth_name(slow)]
        while seen[-1] != f"{changes - 1:0100}":
            seen.append(await nth_name(slow))

    assert seen == sorted(seen)
    assert len(seen) < changes


async def narrow_connection(helpdesk: Helpdesk) -> socket.socket:
    """One that holds no more than some kilobytes that nobody has read."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.setblocking(False)
    await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", helpdesk.port))
    return narrow


def enlarged(watch: str) -> str:
    return LARGE if watch == WATCH else LARGE.replace("{ crmPanels", "{ ...P } fragment P on Subscription { crmPanels")


@WAYS
async def test_a_reader_who_takes_nothing_any_more_is_let_go(
    impatient: Helpdesk, watch: str, trouble: Callable[[], list[str]]
) -> None:
    connector_id, ticket_id = await settled(impatient, "before")
    narrow = await narrow_connection(impatient)
    async with impatient.agent.signed_in(sock=narrow, max_queue=1, ping_interval=None, close_timeout=0) as slow:
        await send(slow, id="1", type="subscribe", payload={"query": enlarged(watch), "variables": {"id": ticket_id}})
        await nth_name(slow)
        slow.transport.pause_reading()
        for number in range(300):
            await rename_silently(impatient, connector_id, f"{number:0100}")
            await impatient.parts.updates.announce(impatient.workspace_id, CONNECTORS)

        await eventually(lambda: nobody_watches(impatient))
        await eventually(lambda: nobody_is_connected(impatient))  # whatever lay in the connection is gone with it
        slow.transport.abort()
    assert trouble() == []


def lines(helpdesk: Helpdesk) -> list[SocketProtocol]:
    """The server's ends of the sockets."""
    return [one for one in helpdesk.server.server_state.connections if isinstance(one, SocketProtocol)]


async def nobody_is_connected(helpdesk: Helpdesk) -> bool:
    return not lines(helpdesk)


async def test_whatever_follows_on_one_socket_writes_no_more_than_its_reader_takes(helpdesk: Helpdesk) -> None:
    connector_id, ticket_id = await settled(helpdesk, "0" * 100)
    narrow, operations = await narrow_connection(helpdesk), 60
    payload = {"query": LARGE, "variables": {"id": ticket_id}}
    async with (
        helpdesk.agent.signed_in(sock=narrow, max_queue=1, ping_interval=None) as slow,
        helpdesk.agent.watching(WATCH, id=ticket_id) as quick,
    ):
        for number in range(operations):
            await send(slow, id=str(number), type="subscribe", payload=payload)
            await nth_name(slow)
        slow.transport.pause_reading()
        changes = 0
        while not lags(helpdesk):
            changes += 1
            await rename(helpdesk, connector_id, f"{changes:0100}")
            await shows(quick, f"{changes:0100}")
        await rename(helpdesk, connector_id, "last" * 25)  # now each of them waits
        await shows(quick, "last" * 25)
        slow.transport.resume_reading()

        unread, shown = [], 0
        while shown < operations:
            shown += await nth_name(slow) == "last" * 25
            unread += [line.transport.get_write_buffer_size() for line in lines(helpdesk)]

    frame = 150 * 120
    assert max(unread) < 64 * 1024 + 2 * frame


@pytest.mark.parametrize("end", ["its token is revoked", "its workspace is suspended"])
async def test_a_reader_who_lags_behind_is_sent_nothing_once_it_may_see_no_more(helpdesk: Helpdesk, end: str) -> None:
    connector_id, ticket_id = await settled(helpdesk, "0" * 100)
    agent, narrow = helpdesk.agent, await narrow_connection(helpdesk)
    async with agent.signed_in(sock=narrow, max_queue=1, ping_interval=None) as slow:
        await send(slow, id="1", type="subscribe", payload={"query": LARGE, "variables": {"id": ticket_id}})
        await nth_name(slow)
        slow.transport.pause_reading()
        changes = 0
        while not lags(helpdesk):
            changes += 1
            await rename_silently(helpdesk, connector_id, f"{changes:0100}")
            await helpdesk.parts.updates.announce(helpdesk.workspace_id, CONNECTORS)

        async with helpdesk.parts.database.operator() as store:
            if end == "its token is revoked":
                token_id = jwt.decode(agent.token, options={"verify_signature": False})["jti"]
                await store.revocations.add(token_id, utc_now())
            else:
                await store.workspaces.suspend(helpdesk.workspace_id, utc_now())
        await helpdesk.parts.tokens.revocations.refresh()
        await rename_silently(helpdesk, connector_id, "secret")
        await helpdesk.parts.updates.announce(helpdesk.workspace_id, CONNECTORS)
        await eventually(lambda: nobody_watches(helpdesk))
        slow.transport.resume_reading()

        shown: list[str] = []
        with suppress(ConnectionClosed):
            while True:
                shown.append(await nth_name(slow))
    assert "secret" not in shown
    assert slow.close_code == 4403


def lags(helpdesk: Helpdesk) -> bool:
    return any(line.lags() for line in lines(helpdesk))


async def nth_name(connection: ClientConnection) -> str:
    name: str = (await receive(connection))["payload"]["data"]["crmPanels"]["connectorName"]
    return name


@WAYS
async def test_one_who_breaks_off_takes_nobody_along(helpdesk: Helpdesk, watch: str) -> None:
    connector_id, ticket_id = await settled(helpdesk, "before")
    async with (
        helpdesk.agent.watching(watch, id=ticket_id) as leaving,
        helpdesk.agent.watching(watch, id=ticket_id) as staying,
    ):
        await leaving.next()
        await staying.next()
        leaving.socket.transport.abort()

        await rename(helpdesk, connector_id, "after")

        await shows(staying, "after")
    await eventually(lambda: nobody_watches(helpdesk))


async def test_nothing_is_left_when_all_who_followed_have_gone(helpdesk: Helpdesk) -> None:
    _, ticket_id = await settled(helpdesk, "CRM")
    kinds = (Follower, Push, Audience)
    rest = alive(*kinds, Context)

    for _ in range(3):
        async with AsyncExitStack() as stack:
            watching = [await stack.enter_async_context(helpdesk.agent.watching(WATCH, id=ticket_id)) for _ in range(20)]
            for panels in watching:
                await panels.next()
            assert watches(helpdesk) == 1
            assert (alive(Follower), alive(Push), alive(Audience)) == (20, 20, 1)
        await eventually(lambda: nobody_watches(helpdesk))

    assert alive(*kinds) == 0
    assert alive(*kinds, Context) <= rest + 1
    assert all(len(feeds) == 0 for feeds in gc.get_objects() if isinstance(feeds, Feeds))


@WAYS
async def test_whoever_watches_goes_on_when_the_database_comes_back(product: Helpdesk, watch: str) -> None:
    connector_id, ticket_id = await settled(product, "before")
    door = BackDoor(product.parts.settings.async_database_url)
    async with product.agent.watching(watch, id=ticket_id) as panels:
        await panels.next()
        await in_thread(door.take_away, "answers")
        await product.parts.updates.announce(product.workspace_id, CONNECTORS)
        assert await product.agent.refused(LIST) == "UNAVAILABLE"
        await in_thread(door.bring_back, "answers")

        await eventually(lambda: renamed(product, connector_id))

        await shows(panels, "after")


async def renamed(product: Helpdesk, connector_id: str) -> bool:
    """Once the database is back."""
    answer: Any = (await product.admin.post(UPDATE, {"id": connector_id, "input": {"name": "after"}})).json()
    return "errors" not in answer


@WAYS
async def test_what_cannot_be_read_ends_the_subscription_with_an_error(helpdesk: Helpdesk, watch: str) -> None:
    connector_id, ticket_id = await settled(helpdesk, "CRM")
    door = BackDoor(helpdesk.parts.settings.async_database_url)
    async with helpdesk.agent.watching(watch, id=ticket_id) as panels:
        await panels.next()
        await in_thread(door.alter, "UPDATE connectors SET cache_ttl_hours = 'nonsense' WHERE id = :id", id=UUID(connector_id))

        await helpdesk.parts.updates.announce(helpdesk.workspace_id, CONNECTORS)

        while "errors" not in (event := await receive(panels.socket))["payload"]:
            pass
        assert event["payload"]["errors"][0]["extensions"]["code"] == "INTERNAL"
        assert await receive(panels.socket) == {"id": "1", "type": "complete"}
    await eventually(lambda: nobody_watches(helpdesk))


async def test_what_ends_a_feed_is_reported_once_for_all_who_follow(helpdesk: Helpdesk) -> None:
    connector_id, _ = await settled(helpdesk, "CRM")
    services = helpdesk.parts.endpoint().services
    async with services.database.reading(helpdesk.workspace_id) as store:
        (ticket,) = await store.tickets.opened_after(0, limit=1)
    door = BackDoor(helpdesk.parts.settings.async_database_url)
    await in_thread(door.alter, "UPDATE connectors SET cache_ttl_hours = 'nonsense' WHERE id = :id", id=UUID(connector_id))
    told = [asyncio.Event() for _ in range(200)]

    with capture_logs() as log:
        followers = [services.feeds.follow(helpdesk.workspace_id, ticket, one.set) for one in told]
        await asyncio.gather(*(one.wait() for one in told))

    failures = [failure_of(follower) for follower in followers]
    assert len(set(map(id, failures))) == len(failures)
    assert [line["event"] for line in log if line["log_level"] == "error"] == ["a feed broke off"]
    for follower in followers:
        follower.leave()


def failure_of(follower: Follower) -> Reported:
    with pytest.raises(Reported) as raised:
        follower.take()
    return raised.value


@WAYS
async def test_the_id_of_an_operation_is_free_again_when_it_has_ended(helpdesk: Helpdesk, watch: str) -> None:
    _, ticket_id = await settled(helpdesk, "CRM")
    payload = {"query": watch, "variables": {"id": ticket_id}}
    async with helpdesk.agent.signed_in() as connection:
        for _ in range(2):
            await send(connection, id="1", type="subscribe", payload=payload)
            assert (await receive(connection))["type"] == "next"
            await send(connection, id="1", type="complete")
        await send(connection, id="1", type="subscribe", payload=payload)
        assert (await receive(connection))["type"] == "next"
        await send(connection, id="1", type="subscribe", payload=payload)
        async with asyncio.timeout(PATIENCE):
            await connection.wait_closed()
    assert connection.close_code == 4409


@WAYS
async def test_a_socket_has_room_for_a_hundred_who_follow(helpdesk: Helpdesk, watch: str) -> None:
    _, ticket_id = await settled(helpdesk, "CRM")
    payload = {"query": watch, "variables": {"id": ticket_id}}
    async with helpdesk.agent.signed_in() as connection:
        for number in range(Limits().socket_operations):
            await send(connection, id=str(number), type="subscribe", payload=payload)
            assert (await receive(connection))["type"] == "next"
        await send(connection, id="one too many", type="subscribe", payload=payload)

        refusal = await receive(connection)

    assert (refusal["id"], refusal["type"]) == ("one too many", "error")
    assert refusal["payload"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"

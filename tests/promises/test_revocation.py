"""A token that is revoked, or whose workspace is suspended, opens nothing after 5 seconds, and what it had opened is closed."""

from __future__ import annotations

import asyncio
import smtplib
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.exceptions import ConnectionClosed

from domain.identity import EmailAddress, Role
from domain.lookup import Occasion
from domain.ticket import Requester
from lookups.request import request_lookups
from server.clock import utc_now
from tests.stage.back_door import BackDoor
from tests.stage.front_end import NO_TLS, PATIENCE, FrontEnd, receive, send
from tests.stage.helpdesk import SUPPORT, Helpdesk, message, open_helpdesk
from tests.stage.process import disqua, free_port, serving
from tests.stage.waiting import eventually, in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from websockets.asyncio.client import ClientConnection

    from tests.promises.conftest import Figure
    from tests.stage.crm import Crm
    from tests.stage.redis import RedisServer

pytestmark = pytest.mark.timed

PROMISED = 5.0
VIEWER = "{ viewer { name } }"
OPENED = "subscription { ticketOpened { subject } }"
OPEN = 'mutation { createTicket(input: {requesterEmail: "jan@firma.cz", subject: "Hello"}) { __typename } }'


def token_id(token: str) -> str:
    found: str = jwt.decode(token, options={"verify_signature": False})["jti"]
    return found


async def operate(tmp_path: Path, *command: str, **settings: str) -> float:
    """Type a command, as an operator beside the service; when it ended."""
    await disqua(*command, data_dir=tmp_path / "data", **settings)
    return time.monotonic()


async def refused(front_end: FrontEnd) -> bool:
    answer = await front_end.post(VIEWER)
    return answer.status_code == 401 and answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def accepted(front_end: FrontEnd) -> bool:
    return (await front_end.post(VIEWER)).status_code == 200


async def deliver(helpdesk: Helpdesk, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "message/rfc822", "X-Envelope-To": SUPPORT}
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
        raw = message(From="Jan <jan@firma.cz>", Message_ID=f"<{time.monotonic_ns()}@firma.cz>")
        return (await client.post(f"{helpdesk.base_url}/inbound/email", content=raw, headers=headers)).status_code


@asynccontextmanager
async def listening(front_end: FrontEnd) -> AsyncIterator[Callable[[], Awaitable[float]]]:
    """An event stream; what is yielded waits for its end and says when that was."""
    headers = {"Authorization": f"Bearer {front_end.token}", "Accept": "text/event-stream"}
    async with (
        httpx.AsyncClient(trust_env=False, verify=NO_TLS, timeout=4 * PROMISED) as client,
        client.stream("POST", f"{front_end.base_url}/graphql", json={"query": OPENED}, headers=headers) as response,
    ):
        assert response.status_code == 200

        async def ended() -> float:
            async for _ in response.aiter_lines():
                pass
            return time.monotonic()

        yield ended


async def watch(front_end: FrontEnd, stack: AsyncExitStack) -> ClientConnection:
    """A socket on which a subscription runs."""
    socket = await stack.enter_async_context(front_end.signed_in())
    await send(socket, id="1", type="subscribe", payload={"query": OPENED})
    await send(socket, type="ping")
    assert (await receive(socket))["type"] == "pong"
    return socket


async def closed(socket: ClientConnection) -> tuple[int | None, float]:
    """With which code the socket is closed, and when."""
    async with asyncio.timeout(4 * PROMISED):
        with suppress(ConnectionClosed):
            async for _ in socket:
                pass
    return socket.close_code, time.monotonic()


async def test_whatever_a_token_had_opened_is_closed_and_others_go_on(helpdesk: Helpdesk, tmp_path: Path, figure: Figure) -> None:
    lost, other = helpdesk.agent, helpdesk.agent
    async with AsyncExitStack() as stack:
        idle = await stack.enter_async_context(lost.signed_in())
        watching = await watch(lost, stack)
        stream_ended = await stack.enter_async_context(listening(lost))
        going_on = await watch(other, stack)

        revoked_at = await operate(tmp_path, "token", "revoke", token_id(lost.token))

        ends = await asyncio.gather(closed(idle), closed(watching), stream_ended())
        await eventually(lambda: refused(lost))
        took = max(ends[0][1], ends[1][1], ends[2], time.monotonic()) - revoked_at
        assert (ends[0][0], ends[1][0]) == (4403, 4403)
        assert took < PROMISED
        async with lost.socket() as again:
            await send(again, type="connection_init", payload={"Authorization": f"Bearer {lost.token}"})
            assert (await closed(again))[0] == 4403
        await other.ask(OPEN)
        assert (await receive(going_on))["type"] == "next"
    figure("seconds from revoking to the last door shut", round(took, 1))


async def test_a_mail_token_delivers_no_more(helpdesk: Helpdesk, tmp_path: Path) -> None:
    token = helpdesk.token(Role.MAIL)
    assert await deliver(helpdesk, token) == 201

    revoked_at = await operate(tmp_path, "token", "revoke", token)

    async def shut() -> bool:
        return await deliver(helpdesk, token) == 401

    await eventually(shut)
    assert time.monotonic() - revoked_at < PROMISED
    assert await deliver(helpdesk, helpdesk.token(Role.MAIL)) == 201


async def test_no_frame_leaves_after_the_time(helpdesk: Helpdesk, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        watching = await watch(lost := helpdesk.agent, stack)
        await operate(tmp_path, "token", "revoke", token_id(lost.token))
        await eventually(lambda: refused(lost))

        await helpdesk.agent.ask(OPEN)

        with pytest.raises(ConnectionClosed):
            assert await asyncio.wait_for(watching.recv(), PATIENCE) is None, "a frame for a revoked token"
        assert watching.close_code == 4403


async def test_a_token_of_the_identity_provider_is_revoked_by_its_id(tmp_path: Path, crm: Crm) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    jwk: dict[str, Any] = jwt.get_algorithm_by_name("ES256").to_jwk(key.public_key(), as_dict=True)
    crm.answers["/keys"] = {"keys": [jwk | {"kid": "k", "use": "sig"}]}
    provider = crm.url("/keys")
    async with open_helpdesk(tmp_path / "data", jwks_url=provider) as helpdesk:

        def issued(jti: str) -> FrontEnd:
            claims = {"sub": "eva", "workspace": str(helpdesk.workspace_id), "role": "agent", "jti": jti}
            until = {"exp": utc_now() + timedelta(hours=1)}
            return FrontEnd(helpdesk.base_url, jwt.encode(claims | until, key, algorithm="ES256", headers={"kid": "k"}))

        lost, other = issued("aB3/x"), issued("aB3/y")
        assert await accepted(lost)

        await operate(tmp_path, "token", "revoke", "aB3/x", JWKS_URL=provider)

        await eventually(lambda: refused(lost), within=PROMISED)
        assert await accepted(other)


async def test_what_is_known_holds_while_the_database_is_away(helpdesk: Helpdesk, tmp_path: Path) -> None:
    lost, other = helpdesk.agent, helpdesk.agent
    assert await accepted(other)
    await operate(tmp_path, "token", "revoke", lost.token)
    await eventually(lambda: refused(lost))
    back_door = BackDoor(helpdesk.parts.settings.async_database_url)

    await in_thread(back_door.take_away, "revoked_tokens")
    with pytest.raises(Exception, match="revoked_tokens"):
        await helpdesk.parts.tokens.revocations.refresh()

    assert await refused(lost)
    assert await accepted(other)
    await in_thread(back_door.bring_back, "revoked_tokens")


async def test_a_process_that_starts_later_knows_it_from_its_first_request(tmp_path: Path) -> None:
    async with open_helpdesk(tmp_path / "data") as helpdesk:
        lost = helpdesk.token()
        await operate(tmp_path, "token", "revoke", lost)

    port = free_port()
    async with serving(tmp_path / "data", port=port, mail_port=free_port()) as served:
        assert await refused(FrontEnd(served.base_url, lost))


async def test_a_suspended_workspace_has_every_door_shut_and_opens_them_again(
    helpdesk: Helpdesk, tmp_path: Path, figure: Figure
) -> None:
    theirs = await helpdesk.add_workspace("Next door", "support@nextdoor.example")
    agent, mail_token, neighbour = helpdesk.agent, helpdesk.token(Role.MAIL), helpdesk.front_end(workspace=theirs)
    async with AsyncExitStack() as stack:
        watching = await watch(agent, stack)
        stream_ended = await stack.enter_async_context(listening(agent))
        next_door = await watch(neighbour, stack)

        suspended_at = await operate(tmp_path, "workspace", "suspend", str(helpdesk.workspace_id))

        (code, _), _ = await asyncio.gather(closed(watching), stream_ended())
        await eventually(lambda: refused(agent))
        took = time.monotonic() - suspended_at
        assert (code, await deliver(helpdesk, mail_token)) == (4403, 401)
        assert took < PROMISED
        assert await answer_to(helpdesk, SUPPORT) == 451, "the sender's server keeps it"
        assert await answer_to(helpdesk, "support@nextdoor.example") == 250
        await neighbour.ask(OPEN)
        assert (await receive(next_door))["type"] == "next"

    await operate(tmp_path, "workspace", "resume", str(helpdesk.workspace_id))

    await eventually(lambda: accepted(agent), within=PROMISED)
    assert await answer_to(helpdesk, SUPPORT) == 250
    figure("seconds from suspending to the last door shut", round(took, 1))


async def answer_to(helpdesk: Helpdesk, recipient: str) -> int:
    """What SMTP answers to a mail."""

    def send_mail() -> int:
        with smtplib.SMTP("127.0.0.1", helpdesk.mail_port, timeout=PATIENCE) as connection:
            try:
                connection.sendmail("jan@firma.cz", [recipient], message(From="jan@firma.cz", Subject="Hello"))
            except smtplib.SMTPRecipientsRefused as refusal:
                return refusal.recipients[recipient][0]
            return 250

    return await in_thread(send_mail)


async def test_queued_lookups_of_a_suspended_workspace_wait_until_it_is_resumed(
    helpdesk: Helpdesk, crm: Crm, tmp_path: Path
) -> None:
    await helpdesk.connect(crm.url())
    await operate(tmp_path, "workspace", "suspend", str(helpdesk.workspace_id))
    await queue_lookup(helpdesk)

    assert await helpdesk.parts.runner.claim(helpdesk.workspace_id) is None
    async with helpdesk.parts.database.operator_reading() as store:
        assert await store.lookups.waiting(utc_now()) == []
    assert crm.requests == []
    await operate(tmp_path, "workspace", "resume", str(helpdesk.workspace_id))

    async def asked() -> bool:
        return len(crm.requests) == 1

    await eventually(asked)


async def queue_lookup(helpdesk: Helpdesk) -> None:
    async with helpdesk.parts.database.workspace(helpdesk.workspace_id) as store:
        requester = Requester(EmailAddress("jan@firma.cz"))
        ticket = await store.tickets.open(subject="Hello", requester=requester, now=utc_now())
        requested = await request_lookups(store, ticket, Occasion.TICKET_OPENED, now=utc_now())
    assert requested.connectors
    await helpdesk.parts.dispatch.send(requested, opened=True)


@pytest.mark.timeout(120)
async def test_each_of_several_processes_learns_of_it(tmp_path: Path, redis_server: RedisServer, figure: Figure) -> None:
    data_dir, port, settings = tmp_path / "data", free_port(), {"REDIS_URL": redis_server.url}
    workspace = await disqua("workspace", "create", "Disqua", "--address", SUPPORT, data_dir=data_dir)
    token = await disqua("token", "--workspace", workspace, "--role", "agent", data_dir=data_dir)
    front_end = FrontEnd(f"http://127.0.0.1:{port}", token)
    async with serving(data_dir, 2, port=port, mail_port=free_port(), **settings), AsyncExitStack() as stack:
        sockets = [await watch(front_end, stack) for _ in range(12)]

        revoked_at = await operate(tmp_path, "token", "revoke", token_id(token))

        ends = await asyncio.gather(*(closed(socket) for socket in sockets))
        assert {code for code, _ in ends} == {4403}
        assert max(at for _, at in ends) - revoked_at < PROMISED
    figure("sockets closed in two processes", len(ends))

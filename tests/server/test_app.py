"""What the application serves where, and to pages of which origins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from tests.stage.front_end import NO_TLS
from tests.stage.helpdesk import open_helpdesk
from tests.stage.waiting import eventually, in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.stage.helpdesk import Helpdesk
    from tests.stage.redis import RedisServer

OURS = "https://desk.example.com"


@pytest.fixture
async def open_to_ours(tmp_path: Path) -> AsyncIterator[Helpdesk]:
    """A helpdesk whose front end lives on another host; the operator wrote its origin his own way."""
    async with open_helpdesk(tmp_path / "data", allowed_origins="HTTPS://Desk.Example.com:443/,http://localhost:5173") as opened:
        yield opened


async def preflight(helpdesk: Helpdesk, origin: str) -> httpx.Response:
    """What a browser asks before it sends a query with a token from a page of this origin."""
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
        return await client.options(f"{helpdesk.base_url}/graphql", headers=headers)


@pytest.mark.parametrize("origin", [OURS, "http://localhost:5173"])
async def test_a_page_of_an_allowed_origin_may_ask_and_read_the_answer(open_to_ours: Helpdesk, origin: str) -> None:
    allowed = await preflight(open_to_ours, origin)
    answer = await open_to_ours.agent.post("{ viewer { name } }", Origin=origin)

    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == origin
    assert "authorization" in allowed.headers["access-control-allow-headers"].lower()
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-expose-headers"] == "X-Request-Id"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origin", ["https://evil.example", "http://desk.example.com", f"{OURS}.evil.example", "null"])
async def test_a_page_of_another_origin_may_not(open_to_ours: Helpdesk, origin: str) -> None:
    refused = await preflight(open_to_ours, origin)
    answer = await open_to_ours.agent.post("{ viewer { name } }", Origin=origin)

    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers
    assert "access-control-allow-origin" not in answer.headers


async def test_without_the_setting_no_origin_is_allowed(helpdesk: Helpdesk) -> None:
    assert (await preflight(helpdesk, OURS)).status_code == 400


async def test_the_short_way_to_the_api_is_the_usual_one(open_to_ours: Helpdesk) -> None:
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS, base_url=open_to_ours.base_url) as client:
        credentials = open_to_ours.agent.credentials
        redirected = await client.post("/graphql/", json={"query": "{ viewer { name } }"}, headers=credentials)
        plain = await client.options("/graphql", headers=credentials)
        nobody = await client.post("/graphql", json={"query": "{ viewer { name } }"}, headers={"Origin": OURS})
        read = await client.get("/graphql", headers=credentials | {"Origin": OURS})

    assert (redirected.status_code, redirected.headers["location"]) == (307, f"{open_to_ours.base_url}/graphql")
    assert (plain.status_code, read.status_code, nobody.status_code) == (405, 405, 401)
    for refused in (nobody, read):
        assert refused.headers["access-control-allow-origin"] == OURS, "a page is told why"
        assert refused.headers["vary"] == "Origin"


async def test_a_page_behind_a_proxy_with_tls_is_not_redirected_out_of_tls(helpdesk: Helpdesk) -> None:
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS, base_url=helpdesk.base_url) as client:
        redirected = await client.get("/graphiql/", headers={"X-Forwarded-Proto": "https"})

    assert redirected.headers["location"] == f"{helpdesk.base_url}/graphiql".replace("http:", "https:")


async def test_sockets_follow_the_same_list(open_to_ours: Helpdesk) -> None:
    async with open_to_ours.agent.signed_in(origin=Origin(OURS)):
        pass
    async with open_to_ours.agent.signed_in(origin=Origin(open_to_ours.base_url)):
        pass
    with pytest.raises(InvalidStatus) as refused:
        async with open_to_ours.agent.signed_in(origin=Origin("https://evil.example")):
            pass

    assert refused.value.response.status_code == 403


async def test_any_origin_may_be_allowed(tmp_path: Path) -> None:
    async with open_helpdesk(tmp_path / "data", allowed_origins="*") as helpdesk:
        assert (await preflight(helpdesk, "https://any.example")).status_code == 200
        async with helpdesk.agent.signed_in(origin=Origin("https://any.example")):
            pass


async def test_the_server_does_not_say_what_it_is_made_of(helpdesk: Helpdesk) -> None:
    answer = await helpdesk.agent.post("{ viewer { name } }")

    assert "server" not in answer.headers


async def test_an_unknown_path_is_404(helpdesk: Helpdesk) -> None:
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
        assert (await client.get(f"{helpdesk.base_url}/nothing")).status_code == 404


async def test_announcements_travel_over_redis_where_the_operator_names_one(tmp_path: Path, redis_server: RedisServer) -> None:
    def named() -> object:
        return redis_server.run("CLIENT", "LIST")

    async def connected() -> bool:
        return helpdesk.parts.updates.connected

    async with open_helpdesk(tmp_path / "data", redis_url=redis_server.url) as helpdesk:
        await eventually(connected)
        assert "disqua-updates" in str(await in_thread(named))

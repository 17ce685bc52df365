"""The console as browsers get it: pages of one request, files of for ever, and a sentence where it was not built."""

from __future__ import annotations

import asyncio
import gzip
import re
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from structlog.testing import capture_logs

from server.console import console_routes, warn_if_not_built
from tests.stage.front_end import NO_TLS
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


PAGE = '<meta property="csp-nonce" nonce="__CSP_NONCE__"><script src="./assets/a-1.js" nonce="__CSP_NONCE__"></script>'
SCRIPT = b"export const a = 1;" * 100
ELEMENT = b"customElements.define('disqua-crm-panel', class extends HTMLElement {});"


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """What a build of the console leaves, as small as can be."""
    web = tmp_path / "web"
    for folder in ("assets", "embed"):
        (web / folder).mkdir(parents=True)
    for page in ("index", "graphiql"):
        (web / f"{page}.html").write_text(f"<title>{page}</title>{PAGE}")
    (web / "favicon.svg").write_text("<svg/>")
    (web / "assets" / "a-1.js").write_bytes(SCRIPT)
    (web / "assets" / "a-1.js.gz").write_bytes(gzip.compress(SCRIPT))
    (web / "assets" / "a-1.js.br").write_bytes(b"as small as brotli makes it")
    (web / "embed" / "crm-panel.js").write_bytes(ELEMENT)
    (tmp_path / "secret.txt").write_text("secret")
    return web


@asynccontextmanager
async def serving(web: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Whoever asks the server of what was built there; takes no encoding unless it says so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = Starlette(routes=console_routes(web))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        running = asyncio.create_task(server.serve(sockets=[listener]))

        async def started() -> bool:
            return server.started

        await eventually(started)
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        headers = {"accept-encoding": "identity"}
        async with httpx.AsyncClient(base_url=base_url, headers=headers, trust_env=False, verify=NO_TLS) as client:
            yield client
        server.should_exit = True
        await running


@pytest.fixture
async def browser(web: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A browser before a server with the console."""
    async with serving(web) as client:
        yield client


# Pages


@pytest.mark.parametrize(("path", "title"), [("/", "index"), ("/graphiql", "graphiql")])
async def test_each_request_of_a_page_has_a_nonce_of_its_own(browser: httpx.AsyncClient, path: str, title: str) -> None:
    first, second = [await browser.get(path) for _ in range(2)]

    nonces = [set(re.findall(r'nonce="([^"]*)"', page.text)) for page in (first, second)]
    assert f"<title>{title}</title>" in first.text
    assert [len(nonce) for nonce in nonces] == [1, 1]
    assert nonces[0] != nonces[1]
    assert "CSP_NONCE" not in first.text + str(first.headers)
    assert first.headers["cache-control"] == "no-store"


async def test_a_process_that_goes_on_while_it_is_upgraded_shows_the_page_that_goes_with_the_files(
    browser: httpx.AsyncClient, web: Path
) -> None:
    old = web.rename(web.with_name("old"))
    assert "a-1.js" in (await browser.get("/")).text

    (old / "index.html").write_text(PAGE.replace("a-1.js", "b-2.js"))
    (old / "assets" / "b-2.js").write_bytes(SCRIPT)
    old.rename(web)

    (script,) = re.findall(r'src="\./([^"]*)"', (await browser.get("/")).text)
    assert script == "assets/b-2.js"
    assert (await browser.get(f"/{script}")).status_code == 200


async def test_the_console_may_run_and_show_nothing_but_its_own(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/")
    (nonce,) = set(re.findall(r'nonce="([^"]*)"', page.text))
    policy = policy_of(page)

    assert policy["default-src"] == ["'self'"]
    assert f"'nonce-{nonce}'" in policy["style-src"]
    assert "'unsafe-inline'" not in page.headers["content-security-policy"]
    assert not {"script-src", "connect-src", "img-src"} & set(policy)


async def test_graphiql_may_write_styles_and_run_nothing_but_its_own(browser: httpx.AsyncClient) -> None:
    policy = policy_of(await browser.get("/graphiql"))

    assert policy["style-src"] == ["'self'", "'unsafe-inline'"]
    assert policy["default-src"] == ["'self'"]
    assert "script-src" not in policy


@pytest.mark.parametrize("path", ["/", "/graphiql"])
async def test_a_page_is_shown_in_no_frame_and_tells_nobody_where_it_was(browser: httpx.AsyncClient, path: str) -> None:
    page = await browser.get(path)
    policy = policy_of(page)

    assert [policy[name] for name in ("frame-ancestors", "base-uri", "object-src")] == [["'none'"]] * 3
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in page.headers["permissions-policy"]


def policy_of(page: httpx.Response) -> dict[str, list[str]]:
    """The content security policy, by directive."""
    directives = [directive.split() for directive in page.headers["content-security-policy"].split(";")]
    return {name: sources for name, *sources in directives}


# Files


async def test_an_asset_is_kept_for_ever_for_its_name_tells_what_is_in_it(browser: httpx.AsyncClient) -> None:
    asset = await browser.get("/assets/a-1.js")

    assert asset.content == SCRIPT
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert asset.headers["content-type"].startswith("text/javascript")
    assert asset.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in asset.headers


@pytest.mark.parametrize(
    ("accepted", "sent"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate", "gzip"),
        ("br;q=0, gzip;q=0.5", "gzip"),
        ("BR; q=0.001", "br"),
        ("gzip;q=0.0", None),
        ("identity", None),
        ("", None),
        ("brotli", None),
    ],
)
async def test_a_file_is_sent_in_the_smallest_form_that_the_browser_takes(
    browser: httpx.AsyncClient, web: Path, accepted: str, sent: str | None
) -> None:
    async with browser.stream("GET", "/assets/a-1.js", headers={"accept-encoding": accepted}) as answer:
        body = b"".join([piece async for piece in answer.aiter_raw()])

    form = {"br": "a-1.js.br", "gzip": "a-1.js.gz", None: "a-1.js"}[sent]
    assert answer.headers.get("content-encoding") == sent
    assert answer.headers["vary"] == "accept-encoding"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert body == (web / "assets" / form).read_bytes()


@pytest.mark.parametrize("accepted", ["br", "gzip", "identity"])
async def test_who_has_the_newest_form_of_a_file_is_told_so(browser: httpx.AsyncClient, accepted: str) -> None:
    async def ask(**headers: str) -> httpx.Response:
        return await browser.request("HEAD", "/assets/a-1.js", headers={"accept-encoding": accepted, **headers})

    before = await ask()
    again = await ask(**{"if-none-match": f'"other", W/{before.headers["etag"]}'})
    other = await ask(**{"if-none-match": '"other"'})

    assert (before.status_code, again.status_code, other.status_code) == (200, 304, 200)
    assert again.headers["vary"] == "accept-encoding"
    assert again.headers["cache-control"] == before.headers["cache-control"]


async def test_each_form_of_a_file_has_an_etag_of_its_own(browser: httpx.AsyncClient) -> None:
    forms = [await browser.head("/assets/a-1.js", headers={"accept-encoding": form}) for form in ("br", "gzip", "identity")]

    assert len({form.headers["etag"] for form in forms}) == 3


async def test_head_is_get_without_the_body(browser: httpx.AsyncClient) -> None:
    for path in ("/", "/assets/a-1.js", "/embed/crm-panel.js", "/favicon.svg"):
        head, get = await browser.head(path), await browser.get(path)

        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == get.headers["content-length"]


async def test_pages_of_other_origins_may_import_the_element_and_see_a_new_one_soon(browser: httpx.AsyncClient) -> None:
    element = await browser.get("/embed/crm-panel.js", headers={"origin": "https://desk.example.com"})

    assert element.content == ELEMENT
    assert element.headers["access-control-allow-origin"] == "*"
    assert element.headers["cross-origin-resource-policy"] == "cross-origin"
    assert element.headers["cache-control"] == "public, max-age=300"
    assert element.headers["etag"]


@pytest.mark.parametrize(
    "path",
    [
        "/index.html",
        "/assets/",
        "/assets/b.js",
        "/assets/../index.html",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/assets//etc/passwd",
        "/assets/%00",
        "/assets/" + "a" * 300,
        "/settings",
    ],
)
async def test_nothing_else_is_served(browser: httpx.AsyncClient, path: str) -> None:
    host, port = browser.base_url.host, browser.base_url.port
    reader, writer = await asyncio.open_connection(host, port)  # a client of HTTP would tidy the path up
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()

    assert answer.startswith(b"HTTP/1.1 404 "), answer


async def test_files_are_only_read(browser: httpx.AsyncClient) -> None:
    assert [(await browser.post(path)).status_code for path in ("/", "/assets/a-1.js", "/favicon.svg")] == [405] * 3


# Without a build


@pytest.mark.parametrize("path", ["/", "/graphiql"])
async def test_an_installation_without_the_console_says_how_to_get_it(tmp_path: Path, path: str) -> None:
    async with serving(tmp_path / "web") as client:
        answer = await client.get(path)

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "make console" in answer.text
    assert "wheel" in answer.text
    assert answer.text.count("\n") == 1


def test_the_log_says_so_only_where_it_is_so(web: Path, tmp_path: Path) -> None:
    with capture_logs() as log:
        warn_if_not_built(web)
        warn_if_not_built(tmp_path / "elsewhere")

    assert [(line["event"], line["log_level"]) for line in log] == [("this installation has no web console", "warning")]
    assert "make console" in log[0]["how_to_get_it"]

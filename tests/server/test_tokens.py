"""Tokens: what is issued, and what is refused; a refusal is never an exception, whatever came."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from domain.identity import Principal, Role, WorkspaceId, support_address
from server.clock import utc_now
from server.database import open_database
from server.settings import load_settings
from server.tokens import MAX_REMEMBERED, Tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from persistence.database import Database
    from tests.stage.crm import Crm

KEY = "a key of our own that is long enough"
HOUR = timedelta(hours=1)
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    settings = load_settings(_env_file=None, data_dir=tmp_path)
    settings.prepare_data_dir()
    opened = open_database(settings)
    await opened.migrate()
    yield opened
    await opened.close()


@pytest.fixture
async def workspace_id(database: Database) -> WorkspaceId:
    async with database.operator() as store:
        return await store.workspaces.create("Acme", [support_address("support@acme.example")], utc_now())


@pytest.fixture
def ours(database: Database) -> Tokens:
    """Tokens under our own key alone."""
    return Tokens(database=database, signing_key=KEY, jwks_url=None, now=utc_now)


@pytest.fixture
def theirs(database: Database, provider: Crm) -> Tokens:
    """Tokens of the identity provider alone."""
    return Tokens(database=database, signing_key=None, jwks_url=provider.url("/keys"), now=utc_now)


@pytest.fixture
def both(database: Database, provider: Crm) -> Tokens:
    """Both kinds."""
    return Tokens(database=database, signing_key=KEY, jwks_url=provider.url("/keys"), now=utc_now)


@pytest.fixture
def provider(crm: Crm) -> Crm:
    """An identity provider with three keys: any web server will do."""
    crm.answers["/keys"] = {"keys": [jwk("rsa", RSA), jwk("ec", EC), jwk("ed", ED)]}
    return crm


def jwk(key_id: str, key: Any) -> dict[str, Any]:  # noqa: ANN401 - a private key of any kind
    algorithm = {"rsa": "RS256", "ec": "ES256", "ed": "EdDSA"}.get(key_id, "RS256")
    document: dict[str, Any] = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    return document | {"kid": key_id, "use": "sig"}


def claims(workspace_id: WorkspaceId, **other: object) -> dict[str, Any]:
    return {
        "sub": "eva",
        "name": "Eva",
        "workspace": str(workspace_id),
        "role": "agent",
        "exp": (utc_now() + HOUR).timestamp(),
    } | other


def signed(payload: object, *, key: Any = KEY, algorithm: str = "HS256", **header: object) -> str:  # noqa: ANN401
    """A token as an attacker may make it: the payload is any JSON value."""
    return jwt.api_jws.encode(json.dumps(payload).encode(), key, algorithm=algorithm, headers=header)


def part(document: object) -> str:
    """One part of a token, from JSON or from bytes."""
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def with_digest(head: object, payload: object, key: bytes) -> str:
    """A token signed as HS256 has it, whatever its head says."""
    text = f"{part(head)}.{part(payload)}"
    return f"{text}.{part(hmac.digest(key, text.encode(), hashlib.sha256))}"


class Clock:
    """The time, which a test moves on."""

    def __init__(self) -> None:
        self.passed = timedelta()

    def now(self) -> datetime:
        return utc_now() + self.passed


# Remembered


async def test_a_token_that_was_good_once_still_ends_in_time(database: Database, workspace_id: WorkspaceId) -> None:
    clock = Clock()
    tokens = Tokens(database=database, signing_key=KEY, jwks_url=None, now=clock.now)
    token = tokens.issue(workspace_id, Role.AGENT, name=None, ttl=HOUR)
    assert await tokens.authenticate(token)

    clock.passed = HOUR + timedelta(seconds=1)

    assert await tokens.authenticate(token) is None


async def test_a_token_that_was_good_once_is_asked_for_its_revocation_each_time(ours: Tokens, workspace_id: WorkspaceId) -> None:
    token = ours.issue(workspace_id, Role.AGENT, name=None, ttl=HOUR)
    holder = await ours.authenticate(token)
    assert holder is not None
    assert holder.token_id is not None
    async with ours._database.operator() as store:  # noqa: SLF001
        await store.revocations.add(holder.token_id, utc_now())

    await ours.revocations.refresh()

    assert await ours.authenticate(token) is None


async def test_doors_wait_for_none_of_those_who_read_at_length(
    ours: Tokens, database: Database, workspace_id: WorkspaceId
) -> None:
    token = ours.issue(workspace_id, Role.AGENT, name=None, ttl=HOUR)
    async with AsyncExitStack() as stack:
        for _ in range(15):  # the engine has no connection left
            await stack.enter_async_context(database.reading(workspace_id))

        async with asyncio.timeout(1):
            await ours.revocations.refresh()
            assert await ours.authenticate(token) is not None


async def test_a_key_that_the_provider_takes_back_ends_the_tokens_that_were_good_under_it(
    theirs: Tokens, provider: Crm, workspace_id: WorkspaceId
) -> None:
    old = jwt.encode(claims(workspace_id), RSA, algorithm="RS256", headers={"kid": "rsa"})
    new = jwt.encode(claims(workspace_id), EC, algorithm="ES256", headers={"kid": "new"})
    assert await theirs.authenticate(old)

    provider.answers["/keys"] = {"keys": [jwk("ec", EC) | {"kid": "new"}]}

    assert await theirs.authenticate(new)  # an unknown key id has the keys fetched again
    assert await theirs.authenticate(old) is None


async def test_thousands_of_tokens_leave_no_more_behind_than_may_be_remembered(ours: Tokens, workspace_id: WorkspaceId) -> None:
    first = ours.issue(workspace_id, Role.AGENT, name=None, ttl=HOUR)
    assert await ours.authenticate(first)
    for _ in range(MAX_REMEMBERED + 1):
        assert await ours.authenticate(ours.issue(workspace_id, Role.AGENT, name=None, ttl=HOUR))

    assert ours.remembered == MAX_REMEMBERED
    assert await ours.authenticate(first), "it is verified anew"


# Our own


@pytest.mark.parametrize("role", Role)
async def test_a_token_opens_the_door_for_its_role(ours: Tokens, workspace_id: WorkspaceId, role: Role) -> None:
    token = ours.issue(workspace_id, role, name="Eva Nováková", ttl=HOUR)

    holder = await ours.authenticate(token)

    assert holder is not None
    assert (holder.workspace, holder.role, holder.name) == (workspace_id, role, "Eva Nováková")
    assert abs(holder.expires_at - (utc_now() + HOUR)) < timedelta(minutes=1)


def test_a_token_has_the_claims_of_the_contract_and_our_keys_utf8_bytes(database: Database) -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    workspace_id = WorkspaceId(uuid4())
    tokens = Tokens(database=database, signing_key="ž" * 32, jwks_url=None, now=lambda: now)

    token = tokens.issue(workspace_id, Role.ADMIN, name=None, ttl=HOUR)

    decoded = jwt.decode(token, "ž".encode() * 32, algorithms=["HS256"], options={"verify_exp": False})
    assert UUID(decoded.pop("jti")).version == 7
    assert decoded == {
        "sub": f"admin@{workspace_id}",
        "name": None,
        "workspace": str(workspace_id),
        "role": "admin",
        "exp": int((now + HOUR).timestamp()),
    }


async def test_a_token_that_someone_else_made_under_our_key_is_as_good(ours: Tokens, workspace_id: WorkspaceId) -> None:
    token = signed(claims(workspace_id, iss="https://portal.example", aud="desk", iat=1, extra=[1]))

    holder = await ours.authenticate(token)

    assert holder is not None
    assert holder == Principal("eva", "Eva", workspace_id, Role.AGENT, holder.expires_at)


async def test_a_name_may_be_missing_and_an_odd_one_is_none(ours: Tokens, workspace_id: WorkspaceId) -> None:
    without = claims(workspace_id)
    del without["name"]

    for payload in (without, claims(workspace_id, name=None), claims(workspace_id, name={"first": "Eva"})):
        holder = await ours.authenticate(signed(payload))
        assert holder is not None
        assert holder.name is None


@pytest.mark.parametrize("claim", ["sub", "workspace", "role", "exp"])
async def test_a_token_without_one_of_its_claims_is_refused(ours: Tokens, workspace_id: WorkspaceId, claim: str) -> None:
    payload = claims(workspace_id)
    del payload[claim]

    assert await ours.authenticate(signed(payload)) is None


@pytest.mark.parametrize(
    "other",
    [
        {"exp": 1},
        {"exp": -1},
        {"exp": 0},
        {"exp": True},
        {"exp": None},
        {"exp": []},
        {"exp": {}},
        {"exp": ""},
        {"exp": "tomorrow"},
        {"exp": "4000000000"},
        {"exp": 10**12},
        {"exp": 2**62},
        {"exp": 2**63},
        {"exp": 10**30},
        {"exp": 1e308},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"nbf": 4_000_000_000},
        {"sub": 7},
        {"sub": None},
        {"role": "owner"},
        {"role": "ADMIN"},
        {"role": None},
        {"role": ["agent"]},
        {"role": {"agent": 1}},
        {"workspace": "00000000-0000-0000-0000-000000000000"},
        {"workspace": "acme"},
        {"workspace": ""},
        {"workspace": 7},
        {"workspace": None},
        {"workspace": ["x"]},
        {"workspace": "\ud800"},
    ],
    ids=str,
)
async def test_a_token_with_an_odd_claim_is_refused(ours: Tokens, workspace_id: WorkspaceId, other: dict[str, Any]) -> None:
    assert await ours.authenticate(signed(claims(workspace_id))) is not None

    assert await ours.authenticate(signed(claims(workspace_id) | other)) is None


async def test_a_token_may_last_as_long_as_the_calendar(ours: Tokens, workspace_id: WorkspaceId) -> None:
    holder = await ours.authenticate(signed(claims(workspace_id, exp=253_402_300_799)))

    assert holder is not None
    assert holder.expires_at.year == 9999


@pytest.mark.parametrize("payload", [[], "text", 7, None, True])
async def test_a_payload_that_is_no_object_is_refused(ours: Tokens, payload: object) -> None:
    assert await ours.authenticate(signed(payload)) is None


DEEP = part(b"[" * 200_000)


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "a.b.c.d",
        "e30.e30.",
        "W10.e30.AA",
        "\ud800.\ud800.\ud800",
        "š.š.š",
        "\0",
        f"{DEEP}.e30.AA",
        f"{part({'alg': 'HS256'})}.{DEEP}.AA",
        "x" * 1_000_000,
    ],
    ids=lambda token: ascii(token[:20]),
)
async def test_what_is_no_token_is_refused(ours: Tokens, both: Tokens, token: str) -> None:
    assert await ours.authenticate(token) is None
    assert await both.authenticate(token) is None


async def test_a_token_whose_signature_is_not_ours_is_refused(ours: Tokens, workspace_id: WorkspaceId) -> None:
    token = signed(claims(workspace_id))
    head, payload, signature = token.split(".")
    other = part(claims(workspace_id, role="admin"))

    for forged in (
        signed(claims(workspace_id), key="another key of someone else's choosing"),
        f"{head}.{other}.{signature}",
        f"{head}.{payload}.",
        f"{head}.{payload}",
        f"{head}.{payload}.{signature[:-2]}",
    ):
        assert await ours.authenticate(forged) is None


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", "HS384", "HS512", "hs256", "", None, 7, [], {}, "HS256 "])
async def test_a_token_of_another_algorithm_is_refused(both: Tokens, workspace_id: WorkspaceId, algorithm: object) -> None:
    head = {"alg": algorithm, "typ": "JWT", "kid": "rsa"}

    assert await both.authenticate(f"{part(head)}.{part(claims(workspace_id))}.") is None
    assert await both.authenticate(with_digest(head, claims(workspace_id), KEY.encode())) is None


async def test_a_workspace_made_after_a_refusal_is_known_at_once(ours: Tokens, database: Database) -> None:
    assert await ours.authenticate(ours.issue(WorkspaceId(uuid4()), Role.AGENT, name=None, ttl=HOUR)) is None

    async with database.operator() as store:
        made = await store.workspaces.create("Acme", [support_address("support@acme.example")], utc_now())

    assert await ours.authenticate(ours.issue(made, Role.AGENT, name=None, ttl=HOUR)) is not None


async def test_a_workspace_that_is_known_is_not_looked_up_again(
    ours: Tokens, database: Database, workspace_id: WorkspaceId, tmp_path: Path
) -> None:
    token = ours.issue(workspace_id, Role.AGENT, name=None, ttl=HOUR)
    assert await ours.authenticate(token) is not None

    await database.close()
    (tmp_path / "disqua.sqlite3").rename(tmp_path / "elsewhere")

    assert await ours.authenticate(token) is not None


# The identity provider's


@pytest.mark.parametrize(
    ("algorithm", "key_id", "key"),
    [("RS256", "rsa", RSA), ("PS256", "rsa", RSA), ("RS512", "rsa", RSA), ("ES256", "ec", EC), ("EdDSA", "ed", ED)],
)
async def test_a_token_of_the_identity_provider_opens_the_door(
    theirs: Tokens, workspace_id: WorkspaceId, algorithm: str, key_id: str, key: object
) -> None:
    holder = await theirs.authenticate(signed(claims(workspace_id), key=key, algorithm=algorithm, kid=key_id))

    assert holder is not None
    assert (holder.workspace, holder.role) == (workspace_id, Role.AGENT)


async def test_our_own_tokens_are_refused_where_only_the_identity_provider_issues_them(
    ours: Tokens, theirs: Tokens, workspace_id: WorkspaceId
) -> None:
    token = ours.issue(workspace_id, Role.ADMIN, name=None, ttl=HOUR)

    assert await ours.authenticate(token) is not None
    assert await theirs.authenticate(token) is None
    with pytest.raises(ValueError, match="identity provider"):
        theirs.issue(workspace_id, Role.ADMIN, name=None, ttl=HOUR)


async def test_the_identity_providers_tokens_are_refused_where_it_is_not_set(ours: Tokens, workspace_id: WorkspaceId) -> None:
    assert await ours.authenticate(signed(claims(workspace_id), key=RSA, algorithm="RS256", kid="rsa")) is None


async def test_both_kinds_are_good_where_both_keys_are_set(both: Tokens, workspace_id: WorkspaceId) -> None:
    assert await both.authenticate(both.issue(workspace_id, Role.AGENT, name=None, ttl=HOUR)) is not None
    assert await both.authenticate(signed(claims(workspace_id), key=EC, algorithm="ES256", kid="ec")) is not None


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
async def test_a_public_key_is_no_shared_secret(
    both: Tokens, theirs: Tokens, workspace_id: WorkspaceId, encoding: Encoding
) -> None:
    public = RSA.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    token = with_digest({"alg": "HS256", "kid": "rsa"}, claims(workspace_id), public)

    assert await both.authenticate(token) is None
    assert await theirs.authenticate(token) is None


async def test_a_shared_key_in_the_key_set_signs_nothing(theirs: Tokens, provider: Crm, workspace_id: WorkspaceId) -> None:
    shared = b"a shared key that everyone can read in the set" * 2
    provider.answers["/keys"]["keys"] = [{"kty": "oct", "kid": "oct", "k": part(shared)}]

    for algorithm in ("HS256", "HS384", "HS512"):
        assert await theirs.authenticate(signed(claims(workspace_id), key=shared, algorithm=algorithm, kid="oct")) is None
    assert await theirs.authenticate(signed(claims(workspace_id), key=RSA, algorithm="RS256", kid="oct")) is None


@pytest.mark.parametrize(
    ("algorithm", "key", "key_id"),
    [
        ("RS256", rsa.generate_private_key(public_exponent=65537, key_size=2048), "rsa"),
        ("RS256", RSA, "ec"),
        ("ES256", EC, "rsa"),
        ("ES256", EC, "ed"),
        ("EdDSA", ED, "ec"),
        ("ES384", ec.generate_private_key(ec.SECP384R1()), "ec"),
        ("RS256", RSA, "unknown"),
        ("RS256", RSA, ""),
    ],
)
async def test_a_token_that_the_key_of_its_id_did_not_sign_is_refused(
    theirs: Tokens, workspace_id: WorkspaceId, algorithm: str, key: object, key_id: str
) -> None:
    assert await theirs.authenticate(signed(claims(workspace_id), key=key, algorithm=algorithm, kid=key_id)) is None


async def test_a_token_cannot_bring_its_own_key(theirs: Tokens, provider: Crm, workspace_id: WorkspaceId) -> None:
    forger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    provider.answers["/forged"] = {"keys": [jwk("forged", forger)]}
    own = {"kid": "forged", "jwk": jwk("forged", forger), "jku": provider.url("/forged")}

    assert await theirs.authenticate(signed(claims(workspace_id), key=forger, algorithm="RS256", **own)) is None
    assert provider.asked("/forged") == []


async def test_a_token_without_a_key_id_is_refused_without_asking_for_keys(
    theirs: Tokens, provider: Crm, workspace_id: WorkspaceId
) -> None:
    assert await theirs.authenticate(signed(claims(workspace_id), key=RSA, algorithm="RS256")) is None
    assert provider.requests == []


async def test_a_key_that_is_new_is_fetched_when_its_first_token_comes(
    theirs: Tokens, provider: Crm, workspace_id: WorkspaceId
) -> None:
    assert await theirs.authenticate(signed(claims(workspace_id), key=RSA, algorithm="RS256", kid="rsa")) is not None
    fresh = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    provider.answers["/keys"] = {"keys": [jwk("fresh", fresh)]}

    assert await theirs.authenticate(signed(claims(workspace_id), key=fresh, algorithm="RS256", kid="fresh")) is not None
    assert await theirs.authenticate(signed(claims(workspace_id), key=RSA, algorithm="RS256", kid="rsa")) is None


async def test_without_the_identity_provider_its_tokens_are_refused_and_ours_are_good(
    database: Database, workspace_id: WorkspaceId
) -> None:
    tokens = Tokens(database=database, signing_key=KEY, jwks_url="http://127.0.0.1:9/keys", now=utc_now)

    assert await tokens.authenticate(signed(claims(workspace_id), key=RSA, algorithm="RS256", kid="rsa")) is None
    assert await tokens.authenticate(tokens.issue(workspace_id, Role.AGENT, name=None, ttl=HOUR)) is not None

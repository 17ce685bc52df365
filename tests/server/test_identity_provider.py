"""The identity provider's keys: fetched when they are wanted, kept while it is away, asked for no more often than is fair."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from server.identity_provider import IdentityProvider
from tests.stage.crm import response
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from tests.stage.crm import Crm


class Clock:
    """Stands until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def provider(crm: Crm, clock: Clock) -> IdentityProvider:
    crm.answers["/keys"] = key_set("one")
    return IdentityProvider(crm.url("/keys"), clock=clock)


def key_set(*key_ids: str) -> dict[str, Any]:
    algorithm = jwt.get_algorithm_by_name("ES256")
    keys = [algorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True) for _ in key_ids]
    return {"keys": [key | {"kid": key_id} for key, key_id in zip(keys, key_ids, strict=True)]}


async def test_keys_are_fetched_once_for_all_who_want_them(provider: IdentityProvider, crm: Crm) -> None:
    found = await asyncio.gather(*(provider.key("one") for _ in range(20)))

    assert all(found)
    assert len(crm.requests) == 1


async def test_a_new_key_is_fetched_at_once(provider: IdentityProvider, crm: Crm) -> None:
    assert await provider.key("one")
    crm.answers["/keys"] = key_set("two")

    assert await provider.key("two")
    assert await provider.key("one") is None


async def test_made_up_key_ids_do_not_keep_the_provider_busy(provider: IdentityProvider, crm: Crm, clock: Clock) -> None:
    assert await provider.key("one")

    assert not any(await asyncio.gather(*(provider.key(f"made up {number}") for number in range(50))))
    assert len(crm.requests) == 2

    clock.now += 10
    crm.answers["/keys"] = key_set("one", "two")
    assert await provider.key("two")
    assert len(crm.requests) == 3


async def test_keys_that_have_aged_are_fetched_anew(provider: IdentityProvider, crm: Crm, clock: Clock) -> None:
    assert await provider.key("one")
    crm.answers["/keys"] = key_set("two")

    clock.now += 299
    assert await provider.key("one")
    clock.now += 1
    assert await provider.key("one") is None


NONSENSE = [
    response(500, b"{}"),
    response(302, b"", "Location: http://127.0.0.1:9/keys"),
    response(200, b""),
    response(200, b"<html>"),
    response(200, b"\xff\xfe"),
    response(200, b"[" * 100_000),
    response(200, b"[]"),
    response(200, b"null"),
    response(200, b'{"keys": []}'),
    response(200, b'{"keys": {}}'),
    response(200, b'{"keys": 7}'),
    response(200, b'{"keys": [7]}'),
    response(200, b'{"keys": [{"kty": "RSA", "kid": "one", "n": 7, "e": "!"}]}'),
    response(200, b'{"keys": [{"kty": "EC", "crv": "P-256", "kid": "one", "x": "AA", "y": "AA"}]}'),
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"\xff" * 70_000,
    b"",
]


@pytest.mark.parametrize("nonsense", NONSENSE, ids=lambda nonsense: ascii(nonsense[:60] + nonsense[-30:]))
async def test_an_answer_without_keys_gives_none_and_the_last_good_keys_stand(
    provider: IdentityProvider, crm: Crm, clock: Clock, nonsense: bytes
) -> None:
    good, crm.answers["/keys"] = crm.answers["/keys"], nonsense
    assert await provider.key("one") is None
    assert await provider.key("one") is None
    assert len(crm.requests) == 1

    clock.now += 10
    crm.answers["/keys"] = good
    assert await provider.key("one")

    clock.now += 300
    crm.answers["/keys"] = nonsense
    assert await provider.key("one")
    assert len(crm.requests) == 3


async def test_keys_stand_while_the_provider_is_away(clock: Clock, crm: Crm) -> None:
    crm.answers["/keys"] = key_set("one")
    provider = IdentityProvider(crm.url("/keys"), clock=clock)
    assert await provider.key("one")
    release = crm.hang("/keys")
    clock.now += 300

    async def asked_again() -> bool:
        return len(crm.requests) == 2

    waiting = asyncio.create_task(provider.key("one"))
    await eventually(asked_again)
    async with asyncio.timeout(1):
        assert await provider.key("one"), "only the first one waits for a provider that hangs"
    release.set()

    assert await waiting


async def test_a_provider_that_does_not_answer_costs_five_seconds_once(provider: IdentityProvider, crm: Crm) -> None:
    release = crm.hang("/keys")

    async with asyncio.timeout(8):
        assert await provider.key("one") is None
        assert await provider.key("one") is None

    release.set()
    assert len(crm.requests) == 1

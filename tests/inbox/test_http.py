"""The HTTP door: a raw message with a mail token."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import httpx
import pytest

from domain.identity import Role
from inbox.limits import MAX_BYTES
from tests.stage.front_end import NO_TLS
from tests.stage.helpdesk import SUPPORT, Helpdesk, message, open_helpdesk

if TYPE_CHECKING:
    from pathlib import Path


async def post(
    helpdesk: Helpdesk, raw: bytes, *, role: Role = Role.MAIL, token: str | None = None, **headers: str
) -> httpx.Response:
    given = {"Content-Type": "message/rfc822", "Authorization": f"Bearer {token or helpdesk.token(role)}"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS, timeout=20) as client:
        return await client.post(f"{helpdesk.base_url}/inbound/email", content=raw, headers=given | named)


async def test_a_message_opens_a_ticket_and_is_recognised_the_second_time(helpdesk: Helpdesk) -> None:
    raw = message(From="jan@firma.cz", Subject="By HTTP", Message_ID="<1@firma.cz>")

    first = await post(helpdesk, raw, X_Envelope_To=SUPPORT)
    again = await post(helpdesk, raw.replace(b"\r\n", b"\n"), X_Envelope_To=SUPPORT)

    (ticket,) = await helpdesk.tickets()
    assert (first.status_code, first.json()) == (201, {"ticketId": ticket["id"]})
    assert (again.status_code, again.json()) == (200, {"ticketId": ticket["id"]})


async def test_a_message_that_came_by_smtp_is_known(helpdesk: Helpdesk) -> None:
    raw = message(From="jan@firma.cz", Subject="Twice")
    await helpdesk.mail(raw)
    assert (await post(helpdesk, raw, X_Envelope_To=SUPPORT)).status_code == 200


@pytest.mark.parametrize("header", ["To", "Cc", "Delivered_To"])
async def test_without_an_envelope_the_message_names_the_recipient(helpdesk: Helpdesk, header: str) -> None:
    raw = message(**{"From": "jan@firma.cz", header: f"Somebody <x@y.example>, Support <{SUPPORT}>"})
    assert (await post(helpdesk, raw)).status_code == 201


async def test_an_empty_return_path_marks_a_bounce(helpdesk: Helpdesk) -> None:
    await post(helpdesk, message(Return_Path="<>", From="jan@firma.cz"), X_Envelope_To=SUPPORT)
    (ticket,) = await helpdesk.tickets()
    assert ticket["automatic"] is True


async def test_a_recipient_of_another_workspace_is_unknown(helpdesk: Helpdesk) -> None:
    await helpdesk.add_workspace("Other", "help@other.example")
    answers = [
        await post(helpdesk, message(From="jan@firma.cz"), X_Envelope_To=recipient)
        for recipient in ("help@other.example", "nobody@nowhere.example", "not an address")
    ]
    assert [answer.status_code for answer in answers] == [422] * 3
    assert len({answer.text for answer in answers}) == 1


@pytest.mark.parametrize("role", [Role.AGENT, Role.ADMIN])
async def test_only_a_mail_token_delivers(helpdesk: Helpdesk, role: Role) -> None:
    answer = await post(helpdesk, message(From="jan@firma.cz"), role=role, X_Envelope_To=SUPPORT)
    assert answer.status_code == 403
    assert answer.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_without_a_good_token_nobody_delivers(helpdesk: Helpdesk) -> None:
    answer = await post(helpdesk, message(From="jan@firma.cz"), token="nonsense", X_Envelope_To=SUPPORT)
    assert answer.status_code == 401
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_another_content_type_is_refused(helpdesk: Helpdesk) -> None:
    assert (await post(helpdesk, b"{}", Content_Type="application/json", X_Envelope_To=SUPPORT)).status_code == 415


async def test_a_message_over_25_mb_is_refused(helpdesk: Helpdesk) -> None:
    assert (await post(helpdesk, b"x" * (MAX_BYTES + 1), X_Envelope_To=SUPPORT)).status_code == 413


async def test_bytes_of_any_kind_are_stored(helpdesk: Helpdesk) -> None:
    for raw in (b"", b"\x00\xff\xfe", b"no header at all"):
        assert (await post(helpdesk, raw, X_Envelope_To=SUPPORT)).status_code == 201
    assert [ticket["requester"] for ticket in await helpdesk.tickets()] == [None] * 3


async def test_too_many_mails_of_one_sender_are_refused_for_now(tmp_path: Path) -> None:
    async with open_helpdesk(tmp_path / "data", mails_per_sender_and_hour=1) as helpdesk:
        answers = [await post(helpdesk, message(text, From="jan@firma.cz"), X_Envelope_To=SUPPORT) for text in ("one", "two")]
    assert [answer.status_code for answer in answers] == [201, 429]


async def test_a_database_that_is_away_gets_503(helpdesk: Helpdesk, tmp_path: Path) -> None:
    token = helpdesk.token(Role.MAIL)
    with closing(sqlite3.connect(tmp_path / "data" / "disqua.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        answer = await post(helpdesk, message(From="jan@firma.cz"), token=token, X_Envelope_To=SUPPORT)
        other.execute("ROLLBACK")
    assert answer.status_code == 503
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"

"""A sender is verified by the operator's own mail server or by nobody: whatever a mail says of itself is not believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stage.helpdesk import Helpdesk, message, open_helpdesk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.promises.conftest import Figure

OURS = "mx.disqua.example"
PASS = "dmarc=pass header.from=firma.cz"
FROM = b"From: Jan <jan@firma.cz>\r\n"
SHOWN = "{ tickets(first: 1) { nodes { messages { nodes { senderVerification } } } } }"
OPEN = 'mutation { createTicket(input: {requesterEmail: "jan@firma.cz", subject: "x", text: "y"}) { __typename } }'


def field(text: str) -> bytes:
    return f"Authentication-Results: {text}\r\n".encode()


OWN = field(f"{OURS}; {PASS}")
FORGED = {
    "nothing": FROM,
    "of another server": field(f"mx.evil.example; {PASS}") + FROM,
    "of a server of like name": field(f"{OURS}.evil.example; {PASS}") + field(f"x{OURS}; {PASS}") + field(f"mx; {PASS}") + FROM,
    "with our name in a comment": field(f"({OURS}) mx.evil.example; {PASS}") + FROM,
    "with our name behind": field(f"mx.evil.example {OURS}; {PASS}") + FROM,
    "below our own": field(f"{OURS}; dmarc=none") + OWN + FROM,
    "below our own that cannot be read": field(f"{OURS}; spf=none (open") + OWN + FROM,
    "below our own in another case": field(f"{OURS.upper()}; none") + OWN + FROM,
    "in the body": FROM + b"\r\n" + OWN,
    "by another name": b"X-Authentication-Results: " + OWN.partition(b" ")[2] + FROM,
    "in an ARC set": b"ARC-Authentication-Results: i=1; " + OWN.partition(b" ")[2] + FROM,
    "of another domain": field(f"{OURS}; dmarc=pass header.from=evil.example") + FROM,
    "with a quoted verdict": field(f'{OURS}; spf=pass smtp.mailfrom="; {PASS}"@evil.example') + FROM,
    "with a verdict in a comment": field(f"{OURS}; spf=pass (; {PASS}) smtp.mailfrom=evil.example") + FROM,
    "signed by somebody": field(f"{OURS}; dkim=pass header.d=evil.example") + FROM,
    "signed by a registry": field(f"{OURS}; dkim=pass header.d=cz") + FROM,
    "with two authors": OWN + b"From: jan@firma.cz, ceo@bank.example\r\n",
    "with two Froms": OWN + FROM + b"From: ceo@bank.example\r\n",
    "with a From behind a bare CR": OWN + b"X: y\rFrom: ceo@bank.example\r\n" + FROM,
    "without a From": OWN + b"Sender: jan@firma.cz\r\n",
}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Helpdesk]:
    async with open_helpdesk(tmp_path / "data", authserv_id=OURS) as opened:
        yield opened


async def verification(desk: Helpdesk, header: bytes) -> str:
    await desk.mail(header + b"\r\nHello\r\n")
    (ticket,) = (await desk.agent.ask(SHOWN))["tickets"]["nodes"]
    shown: str = ticket["messages"]["nodes"][0]["senderVerification"]
    return shown


async def test_no_forged_verification_is_believed(desk: Helpdesk, figure: Figure) -> None:
    shown = {name: await verification(desk, b"Subject: %b\r\n" % name.encode() + header) for name, header in FORGED.items()}

    assert shown == dict.fromkeys(FORGED, "UNKNOWN")
    figure("forgeries", len(FORGED))


async def test_what_our_own_server_says_is_shown(desk: Helpdesk) -> None:
    assert await verification(desk, OWN + FROM + b"Subject: verified\r\n") == "VERIFIED"
    assert (
        await verification(desk, field(f"{OURS}; dmarc=fail header.from=firma.cz") + OWN + FROM + b"Subject: failed\r\n")
        == "FAILED"
    )
    assert (
        await verification(desk, b"Received: from a by b\r\n" + field("mx.evil.example; dmarc=fail") + OWN + FROM) == "VERIFIED"
    )
    assert await verification(desk, OWN + b"From: ceo@bank.example\r\n") == "UNKNOWN"


async def test_nobody_vouches_for_what_an_agent_wrote_down(desk: Helpdesk) -> None:
    await desk.agent.ask(OPEN)
    (ticket,) = (await desk.agent.ask(SHOWN))["tickets"]["nodes"]
    assert ticket["messages"]["nodes"] == [{"senderVerification": "UNKNOWN"}]


async def test_without_a_server_of_the_operators_nothing_is_believed(tmp_path: Path) -> None:
    async with open_helpdesk(tmp_path / "data") as desk:
        assert await verification(desk, OWN + FROM) == "UNKNOWN"
        assert (
            await verification(desk, field("; " + PASS) + message(From="jan@firma.cz").partition(b"\r\n\r\n")[0] + b"\r\n")
            == "UNKNOWN"
        )

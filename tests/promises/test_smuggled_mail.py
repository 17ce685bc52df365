"""No sequence of bytes but the end of the message ends it: nothing inside one mail becomes another."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.stage.dialogue import Dialogue, start
from tests.stage.helpdesk import open_helpdesk
from tests.stage.waiting import in_thread

if TYPE_CHECKING:
    from pathlib import Path

    from tests.promises.conftest import Figure

SEQUENCES = (
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r.\n",
    b"\n.\r",
    b"\r\n.\r",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\n. \r\n",
    b"\r\n..\r\n",
    b"\r\n.\r\r\n",
    b"\r\r\n.\r\r\n",
    b"\n\n.\n\n",
    b"\r\n\x0b.\r\n",
    b"\x85.\x85",
    b"\xe2\x80\xa8.\xe2\x80\xa8",
)
SMUGGLED = b"MAIL FROM:<ceo@bank.example>\r\nRCPT TO:<support@disqua.example>\r\nDATA\r\nFrom: ceo@bank.example\r\n\r\nPay\r\n"


@pytest.mark.parametrize("lmtp", [False, True], ids=["SMTP", "LMTP"])
async def test_what_stands_in_a_message_stays_in_it(tmp_path: Path, figure: Figure, lmtp: bool) -> None:
    async with open_helpdesk(tmp_path / "data", lmtp=lmtp) as helpdesk:
        for number, sequence in enumerate(SEQUENCES):
            raw = b"From: jan@firma.cz\r\nSubject: %d\r\n\r\nHello" % number + sequence + SMUGGLED
            answers = await in_thread(deliver, helpdesk.mail_port, raw, "LHLO" if lmtp else "EHLO")

            assert [answer[:3] for answer in answers] == ["250", "252", ""], sequence
        tickets = await helpdesk.tickets()
    assert {ticket["requester"]["email"] for ticket in tickets} == {"jan@firma.cz"}

    with closing(sqlite3.connect(tmp_path / "data" / "disqua.sqlite3")) as database:
        stored = [row[0] for row in database.execute("SELECT content FROM raw_messages ORDER BY message_id")]
    assert len(stored) == len(SEQUENCES)
    for raw, sequence in zip(stored, SEQUENCES, strict=True):
        inside = sequence.replace(b"\r\n.", b"\r\n")  # transparency: a dot that begins a line is taken away (RFC 5321, 4.5.2)
        assert raw.endswith(b"Hello" + inside + SMUGGLED), sequence
    figure("sequences", str(len(SEQUENCES)))


def deliver(port: int, raw: bytes, hello: str) -> list[str]:
    """The answer to the message, that to what is asked after it, and what comes where nothing more is due."""
    with start(port, hello=hello) as dialogue:
        assert dialogue.say(b"DATA").startswith("354")
        dialogue.send(raw + b".\r\nVRFY <nobody@disqua.example>\r\nQUIT\r\n")
        answers = [dialogue.reply(), dialogue.reply()]
        assert dialogue.reply().startswith("221")
        return [*answers, dialogue.reply()]


async def test_commands_that_come_with_the_end_of_a_message_are_heard_after_it(tmp_path: Path) -> None:
    def pipeline(port: int) -> list[str]:
        with Dialogue(port) as dialogue:
            message = b"DATA\r\nFrom: jan@firma.cz\r\n\r\n%d\r\n.\r\n"
            envelope = b"MAIL FROM:<jan@firma.cz>\r\nRCPT TO:<support@disqua.example>\r\n"
            dialogue.send(b"EHLO sender.example\r\n" + b"".join(envelope + message % number for number in (1, 2)) + b"QUIT\r\n")
            return [dialogue.reply()[:3] for _ in range(11)]

    async with open_helpdesk(tmp_path / "data") as helpdesk:
        answers = await in_thread(pipeline, helpdesk.mail_port)

        assert answers == ["220", "250", *["250", "250", "354", "250"] * 2, "221"]
        assert len(await helpdesk.tickets()) == 2

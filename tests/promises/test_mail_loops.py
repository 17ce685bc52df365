"""A mail loop cannot fill a workspace: a sender has so many mails an hour, in whatever spelling, and nobody else pays for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stage.dialogue import start
from tests.stage.helpdesk import SUPPORT, Helpdesk, message, open_helpdesk
from tests.stage.waiting import in_thread

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.promises.conftest import Figure

LIMIT = 500
SPELLINGS = (
    "jan@firma.cz",
    "JAN@FIRMA.CZ",
    "Jan <jan@firma.cz>",
    '"ceo@bank.com" <jan@firma.cz>',
    "jan(loop)@firma.cz",
    "<jan@firma.cz>",
    "=?utf-8?q?Ji=C5=99=C3=AD?= <Jan@Firma.cz>",
    "Team: jan@firma.cz;",
    "nobody, jan@firma.cz",
    "<@relay.example:jan@firma.cz>",
    "jan @ firma.cz",
)


async def deliver(helpdesk: Helpdesk, froms: Sequence[str], sender: str = "loop{}@relay.example") -> list[str]:
    """The answers to one mail for each From, every one of another envelope sender and with another text."""

    def send() -> list[str]:
        answers = []
        with start(helpdesk.mail_port) as dialogue:
            for number, text in enumerate(froms):
                dialogue.say(b"RSET")
                dialogue.say(f"MAIL FROM:<{sender.format(number)}>".encode())
                dialogue.say(f"RCPT TO:<{SUPPORT}>".encode())
                answers.append(dialogue.data(message(f"{text} {number}", From=text).removesuffix(b"\r\n")))
        return answers

    return await in_thread(send)


async def test_a_sender_is_the_same_one_in_every_spelling(tmp_path: Path) -> None:
    async with open_helpdesk(tmp_path / "data", mails_per_sender_and_hour=len(SPELLINGS)) as helpdesk:
        first = await deliver(helpdesk, SPELLINGS)
        again = await deliver(helpdesk, [f" {spelling}" for spelling in SPELLINGS])
        others = await deliver(helpdesk, ["eva@firma.cz", "jan@firma.example"])

        assert {answer[:3] for answer in first + others} == {"250"}
        assert {answer[:9] for answer in again} == {"451 4.7.1"}


@pytest.mark.timed
@pytest.mark.timeout(120)
async def test_the_five_hundred_and_first_mail_within_an_hour_has_to_wait(tmp_path: Path, figure: Figure) -> None:
    async with open_helpdesk(tmp_path / "data") as helpdesk:
        answers = await deliver(helpdesk, ["jan@firma.cz"] * (LIMIT + 20))
        (honest,) = await deliver(helpdesk, ["eva@firma.cz"])

    assert [answer[:3] for answer in answers] == ["250"] * LIMIT + ["451"] * 20
    assert honest.startswith("250")
    figure("mails of a loop that are taken within an hour", sum(answer.startswith("250") for answer in answers))


async def test_what_is_known_already_is_no_new_mail(tmp_path: Path) -> None:
    async with open_helpdesk(tmp_path / "data", mails_per_sender_and_hour=1) as helpdesk:
        assert [answer[:3] for answer in await deliver(helpdesk, ["jan@firma.cz", "jan@firma.cz"])] == ["250", "451"]
        assert [answer[:3] for answer in await deliver(helpdesk, ["jan@firma.cz"])] == ["250"]


async def test_a_loop_in_one_workspace_leaves_the_others_alone(tmp_path: Path) -> None:
    async with open_helpdesk(tmp_path / "data", mails_per_sender_and_hour=1) as helpdesk:
        await helpdesk.add_workspace("Other", "help@other.example")
        await deliver(helpdesk, ["jan@firma.cz"])
        await helpdesk.mail(message(From="jan@firma.cz"), to="help@other.example")

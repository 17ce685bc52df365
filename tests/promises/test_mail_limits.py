"""No client of the mail port keeps a good sender out, however many, slow or broken its dialogues are; no limit costs a mail."""

from __future__ import annotations

import asyncio
import gc
import re
import resource
import socket
import time
from contextlib import ExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from inbox.limits import MAX_BYTES, MAX_RECIPIENTS, DoorLimits
from inbox.smtp import Door, listen
from tests.stage.dialogue import Dialogue, start
from tests.stage.helpdesk import message
from tests.stage.waiting import eventually, in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.promises.conftest import Figure
    from tests.stage.helpdesk import Helpdesk

pytestmark = pytest.mark.timed

IDLE = 10_000
GOOD, BAD = "127.0.0.1", "127.0.0.2"
TOO_MANY_ERRORS = "421 4.7.0 Too many errors, please try again later"
QUICKLY = timedelta(seconds=0.4)
MAIL = message(From="jan@firma.cz").removesuffix(b"\r\n")


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many open files as the machine allows."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@asynccontextmanager
async def open_door(helpdesk: Helpdesk, **limits: object) -> AsyncIterator[tuple[Door, int]]:
    """A further door to the helpdesk with limits of its own, and its port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    given = DoorLimits(**limits)  # type: ignore[arg-type]
    door = await listen(helpdesk.parts.parser, helpdesk.parts.reception, listener=listener, limits=given)
    try:
        yield door, listener.getsockname()[1]
    finally:
        await door.close(patience=timedelta(0))


def deliver(port: int, mail: bytes = MAIL) -> str:
    with start(port) as dialogue:
        return dialogue.data(mail)


# Connections


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("many_files")
async def test_idle_connections_do_not_keep_a_good_sender_out(
    helpdesk: Helpdesk, size: Callable[[int], int], figure: Figure
) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    idle = min(size(IDLE), hard - 1000)
    async with open_door(helpdesk) as (door, port):
        with ExitStack() as stack:

            def crowd() -> None:
                for _ in range(idle):
                    connection = socket.create_connection((GOOD, port), timeout=20, source_address=(BAD, 0))
                    stack.callback(connection.close)

            await in_thread(crowd)
            started = time.monotonic()
            answer = await in_thread(deliver, port)
            waited = time.monotonic() - started

            assert answer.startswith("250")
            assert waited < 10
            assert len(door.dialogues) <= DoorLimits().connections_per_client + 1
    figure("idle connections", idle)
    figure("a good sender beside them, s", waited)


@pytest.mark.parametrize("limits", [{"connections": 5}, {"connections_per_client": 5}], ids=["in all", "from one address"])
async def test_whoever_was_of_no_use_for_longest_makes_room(helpdesk: Helpdesk, limits: dict[str, int]) -> None:
    async with open_door(helpdesk, spared=timedelta(0), **limits) as (door, port):
        idle = [await in_thread(Dialogue, port) for _ in range(5)]
        assert {(await in_thread(dialogue.reply))[:3] for dialogue in idle} == {"220"}

        answers = [await in_thread(deliver, port) for _ in range(3)]

        assert {answer[:3] for answer in answers} == {"250"}
        assert (await in_thread(idle[0].reply)).startswith("421 4.4.2")
        assert (await in_thread(idle[-1].say, b"NOOP")).startswith("250")
        await eventually(lambda: at_most(door, 4))
        for dialogue in idle:
            dialogue.__exit__()


async def test_whoever_lingers_in_a_message_makes_room_too(helpdesk: Helpdesk) -> None:
    async with open_door(helpdesk, spared=timedelta(0), connections=5) as (_, port):
        with ExitStack() as stack:
            for _ in range(5):
                stack.enter_context(await begun(port, 10))
            answers = [await in_thread(deliver, port) for _ in range(3)]

    assert {answer[:3] for answer in answers} == {"250"}


async def at_most(door: Door, count: int) -> bool:
    return len(door.dialogues) <= count


@pytest.mark.parametrize("limits", [{"connections": 2}, {"connections_per_client": 2}], ids=["in all", "from one address"])
async def test_who_comes_while_all_are_busy_is_told_to_come_again(helpdesk: Helpdesk, limits: dict[str, int]) -> None:
    async with open_door(helpdesk, **limits) as (_, port):
        with await in_thread(start, port) as one, await in_thread(start, port) as two:
            with await in_thread(Dialogue, port) as third:
                assert (await in_thread(third.reply)).startswith("421 4.3.2")
            assert (await in_thread(one.data, MAIL)).startswith("250")
            assert (await in_thread(two.data, MAIL)).startswith("250")


async def begun(port: int, size: int, client: str = GOOD) -> Dialogue:
    """A dialogue in the middle of a message of which so much is sent."""
    dialogue = await in_thread(partial(start, port, client=client))
    assert (await in_thread(dialogue.say, b"DATA")).startswith("354")
    await in_thread(dialogue.send, b"x" * size)
    return dialogue


async def under_way(door: Door, size: int) -> bool:
    return sum(door.bytes_under_way.values()) == size


async def test_of_what_is_under_way_at_once_the_slowest_makes_room(helpdesk: Helpdesk) -> None:
    async with open_door(helpdesk, bytes_under_way=2_000_000) as (door, port):
        with await begun(port, 400_000) as silent:
            await eventually(lambda: under_way(door, 400_000))
            with await begun(port, 900_000) as quick:
                assert await in_thread(farewell, silent) in {"421 4.3.1", "reset"}
                assert (await in_thread(quick.say, b"\r\n.")).startswith("250")


@pytest.mark.parametrize("clients", [1, 11], ids=["from one address", "from many"])
async def test_whoever_hoards_keeps_no_good_sender_out(helpdesk: Helpdesk, clients: int) -> None:
    hoard, large = 990_000, MAIL + b"\r\n" + b"y" * 900_000
    async with open_door(helpdesk, bytes_under_way=10_000_000) as (door, port):
        with ExitStack() as stack:
            for number in range(11):
                hoarder = await begun(port, hoard, f"127.0.1.{1 + number % clients}")
                stack.enter_context(hoarder)
            await eventually(lambda: hoards(door))
            answers = [await in_thread(deliver, port, mail) for mail in (MAIL, large, MAIL, large)]

        assert {answer[:3] for answer in answers} == {"250"}


async def hoards(door: Door) -> bool:
    return 4_000_000 < sum(door.bytes_under_way.values()) <= 10_000_000


async def test_many_small_messages_make_no_room_for_a_large_one(helpdesk: Helpdesk) -> None:
    async with open_door(helpdesk, bytes_under_way=1_000_000, connections=10) as (door, port):
        with ExitStack() as stack:
            small = [stack.enter_context(await begun(port, 90_000)) for _ in range(6)]
            await eventually(lambda: under_way(door, 540_000))
            with await begun(port, 800_000, BAD) as large:
                assert await in_thread(farewell, large) in {"421 4.3.1", "reset"}

            assert {(await in_thread(dialogue.say, b"\r\n."))[:3] for dialogue in small} == {"250"}


@pytest.mark.parametrize("content", [b"\r\n" * 4_000_000, b"x" * 60_000_000], ids=["empty lines", "one endless line"])
async def test_no_message_fills_the_memory_or_holds_up_the_others(helpdesk: Helpdesk, content: bytes, figure: Figure) -> None:
    async with open_door(helpdesk) as (_, port):
        with await in_thread(start, port) as dialogue:
            await in_thread(dialogue.say, b"DATA")
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            started = time.monotonic()
            await in_thread(dialogue.send, content)
            answer = await in_thread(dialogue.say, b"\r\n.")
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024

    assert answer.startswith("552" if len(content) > MAX_BYTES else "250")
    assert grown < 100
    assert time.monotonic() - started < 5
    figure("memory for a hostile message, MiB", grown)


def farewell(dialogue: Dialogue) -> str:
    """The last word; where the other end had more to read when it hung up, the word may be lost."""
    try:
        return dialogue.reply()[:9]
    except ConnectionError:
        return "reset"


# Time


def dripped(port: int, before: bytes, piece: bytes) -> tuple[str, float]:
    """The answer to whoever sends one piece after the other and never comes to an end, and after how many seconds."""
    with start(port) as dialogue:
        if before:
            dialogue.say(before)
        started = time.monotonic()
        while not dialogue.answers_within(0.05):
            dialogue.send(piece)
        return dialogue.reply(), time.monotonic() - started


@pytest.mark.parametrize(
    ("before", "piece"),
    [(b"", b""), (b"", b"N"), (b"DATA", b""), (b"DATA", b"x"), (b"DATA", b"x\r\n")],
    ids=["silent", "command by byte", "silent in a message", "message by byte", "message by line"],
)
async def test_whoever_is_too_slow_is_let_go(helpdesk: Helpdesk, before: bytes, piece: bytes) -> None:
    async with open_door(helpdesk, idle=QUICKLY, silence=QUICKLY, bytes_per_second=1000) as (_, port):
        answer, seconds = await in_thread(dripped, port, before, piece)

    assert answer.startswith("421 4.4.2")
    assert seconds < 10


async def test_whoever_sends_much_at_once_gains_no_time_by_it(helpdesk: Helpdesk) -> None:
    async with open_door(helpdesk, silence=QUICKLY, bytes_per_second=1000) as (_, port):
        with await begun(port, 100_000) as dialogue:
            started = time.monotonic()
            while not await in_thread(dialogue.answers_within, 0.05):
                await in_thread(dialogue.send, b"x")

            assert (await in_thread(dialogue.reply)).startswith("421 4.4.2")
            assert time.monotonic() - started < 3


async def test_whoever_is_slow_but_steady_is_served(helpdesk: Helpdesk) -> None:
    def send(port: int) -> str:
        with start(port) as dialogue:
            dialogue.say(b"DATA")
            for _ in range(25):  # two and a half seconds, more than silence has
                assert not dialogue.answers_within(0.1)
                dialogue.send(b"x" * 998 + b"\r\n")
            return dialogue.say(b".")

    silence = timedelta(seconds=2)
    async with open_door(helpdesk, idle=silence, silence=silence, bytes_per_second=1000) as (_, port):
        assert (await in_thread(send, port)).startswith("250")


async def test_a_flood_of_commands_leaves_others_their_turn(helpdesk: Helpdesk, figure: Figure) -> None:
    def flood(port: int) -> str:
        with Dialogue(port) as dialogue:
            dialogue.send(b"NOOP\r\n" * 60_000)
            return [dialogue.reply() for _ in range(60_001)][-1]

    gc.collect()  # or it happens to the flood
    async with open_door(helpdesk) as (_, port):
        flooding = asyncio.create_task(in_thread(flood, port))
        longest, began = 0.0, time.thread_time()  # of this thread: what holds up the machine is not the flood
        while not flooding.done():
            started = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - started)
        spent = time.thread_time() - began

        assert (await flooding).startswith("250")
    assert longest < spent / 2
    figure("others wait beside a flood of commands, seconds", round(longest, 3))


# What is said


async def test_broken_clients_are_parted_with(helpdesk: Helpdesk) -> None:
    def stumble(port: int) -> list[str]:
        with Dialogue(port) as dialogue:
            dialogue.reply()
            dialogue.say(b"EHLO sender.example")
            return [dialogue.say(b"RCPT TO:<x@y.cz>")[:3] for _ in range(10)] + [dialogue.reply()[:9]]

    async with open_door(helpdesk, errors=9) as (_, port):
        assert await in_thread(stumble, port) == [*["503"] * 10, "421 4.7.0"]


@pytest.mark.parametrize("refusal", ["550 No", b"550 No"], ids=["text", "bytes"])
async def test_every_refusal_counts_whatever_it_is_made_of(helpdesk: Helpdesk, refusal: str | bytes) -> None:
    async with open_door(helpdesk, errors=1) as (door, port):
        with await in_thread(start, port) as dialogue:
            (served,) = door.dialogues
            for _ in range(2):
                await served.push(refusal)

            assert [await in_thread(dialogue.reply) for _ in range(3)] == ["550 No", "550 No", TOO_MANY_ERRORS]


async def test_of_recipients_a_hundred_are_taken_and_the_others_sent_again(helpdesk: Helpdesk) -> None:
    def ask() -> list[str]:
        with start(helpdesk.mail_port) as dialogue:
            answers = [dialogue.say(b"RCPT TO:<support+%d@disqua.example>" % number) for number in range(MAX_RECIPIENTS + 1)]
            return [answer[:9] for answer in (*answers, dialogue.data(MAIL))]

    answers = await in_thread(ask)

    assert answers == [*["250 2.1.5"] * (MAX_RECIPIENTS - 1), "452 4.5.3", "452 4.5.3", "250 2.0.0"]


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"MAIL FROM:<jan@firma.cz> SIZE=%d" % (MAX_BYTES + 1), "552"),
        (b"MAIL FROM:<" + b"a" * 500 + b"@firma.cz>", "250"),
        (b"NOOP " + b"x" * 508, "250"),
        (b"NOOP " + b"x" * 2100, "500"),
        (b"x" * 5_000_000, "500"),
        (b"MAIL FROM:<" + b"(" * 1500, "553|451|501"),
        (b"VRFY support@disqua.example", "252"),
        (b"EXPN staff", "502"),
        (b"AUTH PLAIN AGEAYg==", "538"),
        (b"STARTTLS", "454"),
        (b"BDAT 5 LAST", "500"),
        (b"\xff\x00\x80", "500"),
        (b"", "500"),
    ],
)
async def test_no_command_ends_the_dialogue(helpdesk: Helpdesk, command: bytes, answer: str) -> None:
    def ask() -> tuple[str, str]:
        with Dialogue(helpdesk.mail_port) as dialogue:
            dialogue.reply()
            dialogue.say(b"EHLO sender.example")
            return dialogue.say(command), dialogue.say(b"NOOP")

    answered, after = await in_thread(ask)

    assert re.match(answer, answered), answered
    assert after.startswith("250")


async def test_a_message_that_breaks_off_is_not_stored_and_comes_again(helpdesk: Helpdesk) -> None:
    def break_off(content: bytes) -> None:
        with start(helpdesk.mail_port) as dialogue:
            dialogue.say(b"DATA")
            dialogue.send(content)

    await in_thread(break_off, MAIL)
    assert await helpdesk.tickets() == []

    await in_thread(break_off, MAIL + b"\r\n.\r\n")
    answers = await asyncio.gather(*(in_thread(deliver, helpdesk.mail_port) for _ in range(2)))

    assert {answer[:3] for answer in answers} == {"250"}
    assert len(await helpdesk.tickets()) == 1

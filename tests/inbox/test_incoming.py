from __future__ import annotations

import itertools
from random import Random

import pytest

from inbox.incoming import Incoming
from inbox.limits import MAX_BYTES, DoorLimits

LIMITS = DoorLimits()


def taken(wire: bytes, *, pieces: int = 1) -> tuple[Incoming, bytes]:
    """A message read in so many pieces or fewer, and what came after it."""
    incoming, cuts = Incoming(LIMITS, 0.0), sorted({0, len(wire), *Random(pieces).choices(range(len(wire)), k=pieces - 1)})
    after = b""
    for begin, end in itertools.pairwise(cuts):
        after += wire[begin:end] if incoming.whole else incoming.take(wire[begin:end], 0.0)
    return incoming, after


@pytest.mark.parametrize("pieces", range(1, 12))
@pytest.mark.parametrize(
    ("wire", "content"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"a\r\n.\r\n", b"a\r\n"),
        (b"..\r\n...\r\n.b\r\n.\r\n", b".\r\n..\r\nb\r\n"),
        (b"a\n.\r\nb\r\n.\nc\r.\r\r\n.\r\n", b"a\n.\r\nb\r\n\nc\r.\r\r\n"),
    ],
)
def test_it_ends_with_a_dot_on_its_own_line_and_with_nothing_else(wire: bytes, content: bytes, pieces: int) -> None:
    incoming, after = taken(wire + b"QUIT\r\n", pieces=pieces)

    assert incoming.whole
    assert (incoming.content(), after) == (content, b"QUIT\r\n")


@pytest.mark.parametrize(("size", "too_large"), [(MAX_BYTES, False), (MAX_BYTES + 1, True), (3 * MAX_BYTES, True)])
def test_one_above_the_largest_is_read_to_its_end_and_not_kept(size: int, too_large: bool) -> None:
    incoming, after = Incoming(LIMITS, 0.0), b""
    wire = b"x" * (size - 2) + b"\r\n.\r\nNOOP\r\n"
    for begin in range(0, len(wire), 1_000_003):
        after += incoming.take(wire[begin : begin + 1_000_003], 0.0)
        assert incoming.size <= MAX_BYTES + 5

    assert (incoming.whole, incoming.too_large, after) == (True, too_large, b"NOOP\r\n")


def test_time_is_given_for_each_byte_and_never_saved_up() -> None:
    incoming = Incoming(LIMITS, 0.0)
    silence, rate = LIMITS.silence.total_seconds(), LIMITS.bytes_per_second

    incoming.take(b"x" * 1_000_000, 1.0)
    assert incoming.due == 1 + silence
    assert incoming.in_pace
    incoming.take(b"x" * rate, 101.0)
    assert incoming.due == 2 + silence
    assert not incoming.in_pace


def test_what_came_counts_half_with_each_second() -> None:
    incoming = Incoming(LIMITS, 0.0)

    incoming.take(b"x" * 1000, 5.0)
    incoming.take(b"x" * 100, 6.0)

    assert incoming.pace(6.0) == 600
    assert incoming.pace(8.0) == 150

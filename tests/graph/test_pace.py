"""The pace of a socket: a burst is in time, what comes on top of it waits, and who has waited is in time again."""

from __future__ import annotations

from graph.pace import Pace


def test_a_burst_is_in_time_and_the_next_step_is_not() -> None:
    pace = Pace(burst=3, per_second=2, clock=lambda: 0.0)

    assert [pace.step() for _ in range(5)] == [0, 0, 0, 0.5, 1.0]


def test_who_waits_is_in_time_again() -> None:
    now = 0.0
    pace = Pace(burst=1, per_second=2, clock=lambda: now)
    assert pace.step() == 0

    now = 0.5
    assert pace.step() == 0
    assert pace.step() == 0.5


def test_nobody_saves_up_more_than_a_burst() -> None:
    now = 0.0
    pace = Pace(burst=2, per_second=1, clock=lambda: now)
    now = 1_000.0

    assert [pace.step() for _ in range(3)] == [0, 0, 1.0]

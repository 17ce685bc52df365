"""Adding up what several processes count."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from server.tally import Tally

ONE = """# HELP mails_total Mails.
# TYPE mails_total counter
mails_total{kind="good"} 3.0
mails_total{kind="bad"} 1.0
# HELP sockets Open.
# TYPE sockets gauge
sockets 5.0
# HELP took_seconds How long.
# TYPE took_seconds histogram
took_seconds_bucket{le="1.0"} 1.0
took_seconds_bucket{le="+Inf"} 2.0
took_seconds_count 2.0
took_seconds_sum 3.5
"""


def _samples(text: str) -> dict[str, float]:
    families = text_string_to_metric_families(text)
    return {sample.name + "".join(sample.labels.values()): sample.value for family in families for sample in family.samples}


def test_counters_gauges_and_histograms_of_those_that_run_are_added_up() -> None:
    assert _samples(Tally().total([ONE, ONE])) == {
        "mails_totalgood": 6,
        "mails_totalbad": 2,
        "sockets": 10,
        "took_seconds_bucket1.0": 2,
        "took_seconds_bucket+Inf": 4,
        "took_seconds_count": 4,
        "took_seconds_sum": 7,
    }


def test_the_text_of_a_single_process_stays_as_it_is() -> None:
    assert Tally().total([ONE]) == ONE


def test_who_is_gone_keeps_its_share_of_what_was_counted_and_leaves_its_gauges() -> None:
    tally = Tally()
    tally.keep(ONE)
    tally.keep(ONE)

    total = _samples(tally.total([ONE]))

    assert total["mails_totalgood"] == 9
    assert total["took_seconds_count"] == 6
    assert total["sockets"] == 5


def test_who_never_told_its_numbers_adds_nothing() -> None:
    tally = Tally()
    tally.keep("")

    assert tally.total([ONE, ""]) == ONE

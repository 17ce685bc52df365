"""Adding up the numbers of several processes, in Prometheus's text format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.samples import Sample


class Tally:
    """The sum of those that run, and of what those that are gone have counted.

    A counter of the whole never goes backwards while the parent lives: a process that is gone keeps the share that it told last.
    After `kill -9` that is its share of the last scrape, so what it counted since then is missing, and no rate jumps.
    Gauges go with their process. When the parent itself is restarted all counters begin at 0, which Prometheus knows as a reset.
    """

    def __init__(self) -> None:
        self._gone = ""

    def keep(self, numbers: str) -> None:
        """Remember what a process that is gone has counted."""
        self._gone = _text(family for family in _added_up([self._gone, numbers]) if family.type != "gauge")

    def total(self, numbers: Iterable[str]) -> str:
        """The sum of these and of those that are gone."""
        return _text(_added_up([*numbers, self._gone]))


def _added_up(numbers: Iterable[str]) -> list[Metric]:
    families: dict[str, Metric] = {}
    samples: dict[str, dict[tuple[str, frozenset[tuple[str, str]]], Sample]] = {}
    for text in numbers:
        for family in text_string_to_metric_families(text):
            families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            known = samples.setdefault(family.name, {})
            for sample in family.samples:
                series = (sample.name, frozenset(sample.labels.items()))
                before = known[series].value if series in known else 0
                known[series] = sample._replace(value=before + sample.value)
    for name, family in families.items():
        family.samples = list(samples[name].values())
    return list(families.values())


class _Collected:
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def _text(families: Iterable[Metric]) -> str:
    registry = CollectorRegistry()
    registry.register(_Collected(list(families)))
    return generate_latest(registry).decode()

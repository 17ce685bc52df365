"""What the demo shows: a table of panels, redrawn as they change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from server.demo.story import Company

_BADGES = {"GREEN": "green", "BLUE": "blue", "YELLOW": "yellow", "RED": "red", "GRAY": "bright_black"}
_STATUSES = {"FOUND": "green", "NOT_FOUND": "bright_black", "ERROR": "red", "TIMEOUT": "yellow", "PENDING": "cyan"}


@dataclass(frozen=True)
class Row:
    """One panel beside its ticket, as the subscription told it last."""

    company: Company
    number: int
    sender: str
    panel: dict[str, Any]

    @property
    def settled(self) -> bool:
        """Whether its lookup has ended."""
        return self.panel["status"] != "PENDING" and not self.panel["refreshing"]


def draw(companies: Iterable[Company], rows: Iterable[Row]) -> Group:
    """A table for each company."""
    ordered = sorted(rows, key=lambda row: (row.number, row.panel["connectorName"]))
    return Group(*(_table(company, [row for row in ordered if row.company is company]) for company in companies))


def _table(company: Company, rows: list[Row]) -> Table:
    table = Table(title=f"{company.name} · mail to {company.support}", title_justify="left", box=SIMPLE_HEAD, expand=True)
    table.add_column("Ticket", no_wrap=True, width=29)
    table.add_column("Panel", no_wrap=True, width=13)
    table.add_column("Status", no_wrap=True, width=11)
    table.add_column("Badge", no_wrap=True, width=17)
    table.add_column("What the agent sees", no_wrap=True, overflow="ellipsis", ratio=1)
    shown = None
    for row in rows:
        ticket = "" if row.number == shown else f"#{row.number} {row.sender}"
        shown = row.number
        table.add_row(ticket, row.panel["connectorName"], _status(row.panel), _badge(row.panel), _seen(row.panel))
    return table


def _status(panel: dict[str, Any]) -> Text:
    return Text(panel["status"] + (" …" if panel["refreshing"] else ""), _STATUSES[panel["status"]])


def _badge(panel: dict[str, Any]) -> Text:
    badge = panel["badge"]
    return Text(f" {badge['text']} ", f"reverse {_BADGES[badge['color']]}") if badge else Text("")


def _seen(panel: dict[str, Any]) -> str:
    if panel["error"]:
        return str(panel["error"]["message"])
    customer = panel["customer"] or {"name": None, "fields": []}
    return " · ".join([customer["name"] or "", *(f"{one['key']}: {one['value']}" for one in customer["fields"])])

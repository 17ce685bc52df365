"""What executing a query costs compiled and by the stock executor, for tickets that are loaded already.

``.venv/bin/python bench/compiled_execution.py`` takes some seconds and needs nothing. Two documents, one ticket with three
panels and twenty of them, and one frame of the subscription; each from the variables to the bytes of its data, in
microseconds, the quickest of ``--rounds`` rounds: cold with tickets that nothing was kept of yet, warm when they were asked
for before. The ratio is to the stock executor in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import strawberry
from graphql import DocumentNode, ExecutionResult, execute, parse
from strawberry.execution import optimized_is_awaitable

from bench.figures import show
from compiled.held import held_in
from compiled.kept import KEPT, Kept
from compiled.plan import EventPlan, QueryPlan, plan_of
from domain.answer import BadgeColor
from domain.lookup import LookupStatus
from graph.types import Badge, CrmCustomer, CrmField, Requester

PANEL = "id status connectorName badge { text color } customer { customerId name deepLink fields { key value } } fetchedAt stale"
TICKET = f"id subject requester {{ email name }} crmPanels {{ {PANEL} }}"
ONE = f"query Ticket($id: ID!) {{ ticket(id: $id) {{ {TICKET} }} }}"
TWENTY = f"query Tickets {{ tickets {{ {TICKET} }} }}"
FRAME = f"subscription Panels($id: ID!) {{ crmPanels(ticketId: $id) {{ {PANEL} }} }}"
VARIABLES = {"id": "0197a3c2-5d1e-7c44-9f3a-2b8d6e10c7f5"}


@strawberry.type
class Panel(Kept):
    """A panel of the side bar, as ``CrmPanel`` is."""

    id: strawberry.ID
    status: LookupStatus
    connector_name: str
    customer: CrmCustomer | None
    fetched_at: datetime | None
    stale: bool

    @strawberry.field
    def badge(self) -> Badge | None:
        """The badge to show."""
        return Badge(text="Gold", color=BadgeColor.YELLOW)


@strawberry.type
class Ticket(Kept):
    """A ticket with its panels, loaded, as ``graph.types.Ticket`` is."""

    panels: strawberry.Private[list[Panel]]
    id: strawberry.ID
    subject: str
    requester: Requester | None

    @strawberry.field
    @held_in("panels")
    def crm_panels(self, info: strawberry.Info[Any, Any]) -> list[Panel]:
        """The panels."""
        assert info.field_name
        return self.panels


def _ticket(number: int) -> Ticket:
    fields = [CrmField(key=f"Key {n}", value=f"Value {n}") for n in range(3)]
    customer = CrmCustomer(customer_id="7", name="Jan", badge=None, fields=fields, deep_link="https://crm.example/7")
    panels = [
        Panel(
            id=strawberry.ID(f"{number}.{n}"),
            status=LookupStatus.FOUND,
            connector_name=f"CRM {n}",
            customer=customer,
            fetched_at=datetime.now(UTC),
            stale=False,
        )
        for n in range(3)
    ]
    requester = Requester(email="jan@firma.cz", name="Jan")
    return Ticket(id=strawberry.ID(str(number)), subject=f"Invoice {number}", requester=requester, panels=panels)


TICKETS = [_ticket(number) for number in range(20)]


@strawberry.type
class Query:
    """The two queries."""

    @strawberry.field
    async def ticket(self, id: strawberry.ID) -> Ticket | None:
        """One ticket."""
        return TICKETS[0] if id else None

    @strawberry.field
    async def tickets(self, first: int = 20) -> list[Ticket]:
        """Twenty."""
        return TICKETS[:first]


@strawberry.type
class Subscription:
    """The subscription."""

    @strawberry.subscription
    async def crm_panels(self, ticket_id: strawberry.ID) -> AsyncGenerator[Panel, None]:
        """Panels as they change."""
        for panel in TICKETS[0].panels:
            yield panel
        assert ticket_id


SCHEMA = strawberry.Schema(Query, subscription=Subscription)
Asking = Callable[[], Awaitable[bytes]]


def _forget() -> None:
    for ticket in TICKETS:
        vars(ticket).pop(KEPT, None)
        for panel in ticket.panels:
            vars(panel).pop(KEPT, None)


def _compiled(document: DocumentNode) -> Asking:
    plan = plan_of(SCHEMA, document, None)
    assert isinstance(plan, QueryPlan)

    async def ask() -> bytes:
        return orjson.dumps((await plan.execute(None, VARIABLES)).data)

    return ask


def _rendered(document: DocumentNode) -> Asking:
    plan = plan_of(SCHEMA, document, None)
    assert isinstance(plan, EventPlan)
    coerced = plan.coerce(VARIABLES)

    async def ask() -> bytes:
        return plan.render(TICKETS[0].panels[0], None, coerced)

    return ask


def _stock(document: DocumentNode) -> Asking:
    """As strawberry calls graphql-core, without the extensions around it; an event as graphql-core executes it."""
    guard: Any = optimized_is_awaitable
    given: dict[str, Any] = {"is_awaitable": guard, "operation_extensions": None}
    executor_class: Any = SCHEMA.execution_context_class
    core = SCHEMA._schema  # noqa: SLF001 - strawberry's own executor takes it from there
    if document.definitions[0].operation.value == "subscription":  # type: ignore[attr-defined]
        executor = executor_class.build(core, document, raw_variable_values=VARIABLES, **given)

        async def event() -> bytes:
            result = executor.build_per_event_executor(TICKETS[0].panels[0]).execute_operation(serially=False)
            return orjson.dumps(result.data)

        return event

    async def ask() -> bytes:
        result: Any = execute(core, document, variable_values=VARIABLES, executor_class=executor_class, **given)
        result = result if isinstance(result, ExecutionResult) else await result
        return orjson.dumps(result.data)

    return ask


async def _quickest(ask: Asking, rounds: int, before: Callable[[], None] = lambda: None) -> float:
    best = float("inf")
    for _ in range(rounds):
        before()
        began = time.perf_counter()
        await ask()
        best = min(best, time.perf_counter() - began)
    return best


async def _measure(rounds: int) -> None:
    rows = []
    for name, text, compiling in (
        ("one ticket, 3 panels", ONE, _compiled),
        ("20 tickets, 3 panels each", TWENTY, _compiled),
        ("one frame", FRAME, _rendered),
    ):
        document = parse(text)
        stock, compiled = _stock(document), compiling(document)
        assert await stock() == await compiled()
        slow = await _quickest(stock, rounds // 4 + 1)
        for state, before in (("cold", _forget), ("warm", lambda: None)):
            quick = await _quickest(compiled, rounds, before)
            rows.append((f"{name}, {state}", f"{quick * 1e6:.1f}", f"{slow * 1e6:.0f}", f"{slow / quick:.0f}"))
    show(("microseconds", "compiled", "stock", "times the stock executor"), *rows)
    compiling_one = await _quickest(lambda: asyncio.to_thread(_plan_bytes), 20)
    show(("microseconds", ""), ("making a plan", f"{compiling_one * 1e6:.0f}"))


def _plan_bytes() -> bytes:
    plan = plan_of(SCHEMA, parse(ONE), None)
    assert isinstance(plan, QueryPlan)
    return plan.source(VARIABLES).encode()


def main() -> None:
    """Measure as the command line says."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=2000)
    asyncio.run(_measure(arguments.parse_args().rounds))


if __name__ == "__main__":
    main()

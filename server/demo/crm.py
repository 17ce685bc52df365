"""The endpoints that the demo asks: four small CRMs of two imaginary companies."""

from __future__ import annotations

import asyncio
import hmac
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

SECRET_HEADER: Final = "X-Api-Key"  # noqa: S105 - a name
_NAP_SECONDS = 0.1

_BROKEN: Final = "broken"
_SLOW: Final = "slow"

_BILLING: Final[dict[str, Any]] = {
    "ada@engines.example": {
        "customer_id": "cus_1815",
        "name": "Ada Lovelace",
        "badge": "Enterprise",
        "badge_color": "green",
        "fields": {"Plan": "Enterprise", "MRR": "€ 4,900", "Seats": 120, "Renewal": "2027-03-01", "Owner": "Charles B."},
    },
    "grace@compilers.example": {
        "customer_id": "cus_1906",
        "name": "Grace Hopper",
        "badge": "Payment overdue",
        "badge_color": "red",
        "fields": {"Plan": "Team", "MRR": "€ 290", "Overdue": "14 days"},
    },
    "outage@engines.example": _BROKEN,
    "slow@engines.example": {"customer_id": "cus_7", "name": "Percy Slowman", "badge": "Trial", "badge_color": "yellow"},
}
_USAGE: Final[dict[str, Any]] = {
    "ada@engines.example": {
        "customer_id": "acct-77",
        "name": "Ada Lovelace",
        "badge": "Power user",
        "badge_color": "blue",
        "fields": {"Last login": "today", "Reports": 1843, "API calls": "1.2 M"},
    },
    "grace@compilers.example": {"customer_id": "acct-78", "name": "Grace Hopper", "fields": {"Last login": "3 days ago"}},
    "slow@engines.example": _SLOW,
}
_SHOP: Final[dict[str, Any]] = {
    "jan.novak@posta.example": {
        "customer_id": "10042",
        "name": "Jan Novák",
        "badge": "VIP",
        "badge_color": "green",
        "fields": {"Objednávky": 37, "Celkem": "48 200 Kč", "Poslední": "2026-11-18", "Stav": "na cestě"},
    },
}
_LOYALTY: Final[dict[str, Any]] = {
    "jan.novak@posta.example": {
        "customer_id": "L-881",
        "name": "Jan Novák",
        "badge": "Zlatý",
        "badge_color": "yellow",
        "fields": {"Body": 1240, "Člen od": "2019"},
    },
}


def demo_crm(secret: str) -> Starlette:
    """The application with the paths /billing, /usage, /shop and /loyalty."""
    tables = {"/billing": _BILLING, "/usage": _USAGE, "/shop": _SHOP, "/loyalty": _LOYALTY}
    return Starlette(routes=[Route(path, _lookup(records, secret), methods=["POST"]) for path, records in tables.items()])


def _lookup(records: Mapping[str, Any], secret: str) -> Any:  # noqa: ANN401 - what Route takes
    async def lookup(request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get(SECRET_HEADER, "").encode(), secret.encode()):
            return JSONResponse({"error": "wrong secret"}, 401)
        record = records.get((await request.json())["email"])
        if record == _BROKEN:
            return JSONResponse({"error": "the billing system is down"}, 500)
        while record == _SLOW and not await request.is_disconnected():  # noqa: ASYNC110 - starlette has no event for it
            await asyncio.sleep(_NAP_SECONDS)
        return JSONResponse({"found": True, **record} if isinstance(record, dict) else {"found": False})

    return lookup

"""The fast path: a query over HTTP whose document has a plan is answered in front of the view.

What holds on the stock way holds here: documents are read, weighed and validated by the same ``Documents`` before they have a
plan, variables are weighed, time is limited, errors are tidied. Whatever is unusual is left to the stock way, which has the
time that is left.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from compiled.plan import Fallback, Outcome, QueryPlan
from graph.deadline import too_long
from graph.errors import CodedError, http_status, tidy_error
from graph.http import RawResponse
from graph.patience import TookTooLong, within
from graph.scales import holds_fractions, weigh_variables

if TYPE_CHECKING:
    from graph.context import Context
    from graph.http import RawRequest
    from graph.limits import Limits
    from graph.schema import Schema


class _Posted(NamedTuple):
    """An operation as it was posted."""

    query: str
    operation_name: str | None
    variables: dict[str, Any] | None


class FastPath:
    """Answers what it can; the rest is the view's."""

    def __init__(self, schema: Schema, limits: Limits) -> None:
        self._schema = schema
        self._limits = limits
        self._seconds = limits.duration.total_seconds()

    async def answer(self, request: RawRequest, context: Context) -> RawResponse | None:
        """The answer to a request that has been admitted; None leaves it to the stock way."""
        posted = _posted(await request.body()) if _is_plain(request) else None
        plan = self._schema.plan(posted.query, posted.operation_name) if posted else None
        if posted is None or not isinstance(plan, QueryPlan):
            return None
        try:
            weigh_variables(posted.variables, self._limits)
            return self._response(await self._execute(plan, posted, context), context)
        except (CodedError, Fallback, orjson.JSONEncodeError):  # the last for half of a character
            return None

    async def _execute(self, plan: QueryPlan, posted: _Posted, context: Context) -> Outcome:
        began = time.monotonic()
        try:
            return await within(self._seconds, plan.execute(context, posted.variables))
        except TookTooLong:
            return Outcome(None, [too_long(self._seconds)])
        finally:
            context.spent = time.monotonic() - began

    def _response(self, outcome: Outcome, context: Context) -> RawResponse:
        answer: dict[str, Any] = {"data": outcome.data}
        if not outcome.errors:
            return RawResponse(orjson.dumps(answer), 200)
        tidied = [tidy_error(error, context.request_id, production=True) for error in outcome.errors]
        answer["errors"] = [error.formatted for error in tidied]
        return RawResponse(orjson.dumps(answer), http_status(answer))


def _is_plain(request: RawRequest) -> bool:
    content_type = (request.header(b"content-type") or "").partition(";")[0]
    return content_type == "application/json" and "event-stream" not in (request.header(b"accept") or "")


def _posted(body: bytes) -> _Posted | None:
    """The operation in a body; None for anything that calls for a second look."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(document, dict) or document.get("extensions") is not None:
        return None
    query, name, variables = document.get("query"), document.get("operationName"), document.get("variables")
    if not isinstance(query, str) or not isinstance(name, str | None) or not isinstance(variables, dict | None):
        return None
    if holds_fractions(variables):  # an integer beyond 64 bits is read as a fraction, which is another number
        return None
    return _Posted(query, name, variables)

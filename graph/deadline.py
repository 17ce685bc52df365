"""The time that a query may take."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from strawberry.extensions import SchemaExtension
from strawberry.types.graphql import OperationType

from graph.errors import LimitExceeded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import timedelta


class Deadline(SchemaExtension):
    """Breaks off a query that takes too long, and with it what it asks of the database.

    A mutation is not broken off: what it has done stands, and its result may be shown only once. Each of its steps is
    bounded by itself, an endpoint's by 3 seconds and the database's by its own patience.
    """

    def __init__(self, duration: timedelta) -> None:
        self._seconds = duration.total_seconds()

    async def on_execute(self) -> AsyncIterator[None]:
        """Around the execution of a query."""
        if self.execution_context.operation_type is not OperationType.QUERY:
            yield
            return
        limit = asyncio.timeout(self._seconds - self.execution_context.context.spent)
        try:
            async with limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise too_long(self._seconds) from None


def too_long(seconds: float) -> LimitExceeded:
    """The refusal of a query that took longer."""
    return LimitExceeded(f"A query may take at most {seconds:g} seconds.")

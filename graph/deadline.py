"""The time that an operation may take."""

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
    """Breaks off a query or a mutation that takes too long, and with it what it asks of the database."""

    def __init__(self, duration: timedelta) -> None:
        self._seconds = duration.total_seconds()

    async def on_execute(self) -> AsyncIterator[None]:
        """Around the execution; a subscription may last."""
        if self.execution_context.operation_type is OperationType.SUBSCRIPTION:
            yield
            return
        limit = asyncio.timeout(self._seconds)
        try:
            async with limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise LimitExceeded(f"An operation may take at most {self._seconds:g} seconds.") from None

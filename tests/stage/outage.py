"""A product that goes away and comes back, on the same port and with the same data."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from tests.flows.desk import Desk
from tests.stage.helpdesk import SUPPORT, open_helpdesk
from tests.stage.process import free_port

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


class Outage:
    """The product on a port of its own; ``desk`` is its only workspace, and is a new one after each start."""

    desk: Desk

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._port = free_port()
        self._serving = AsyncExitStack()

    async def start(self) -> None:
        """Serve."""
        product = await self._serving.enter_async_context(open_helpdesk(self._data_dir, port=self._port))
        self.desk = Desk(product.parts, product.port, product.workspace_id, product.server, SUPPORT)

    async def stop(self) -> None:
        """End as a restart does: whoever watches is let go."""
        await self._serving.aclose()

    async def restart(self) -> None:
        """End, and serve again."""
        await self.stop()
        await self.start()

    async def __aenter__(self) -> Outage:  # noqa: PYI034 - there is no other kind
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

"""Those who write in one workspace at the same time, each for as long as a test wants."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.persistence.samples import connect
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from domain.identity import WorkspaceId
    from persistence.database import Database
    from tests.stage.back_door import BackDoor

HASTY = False


class Writers:
    """Blocks that add a connector each and end when they are told to."""

    def __init__(self, database: Database, workspace_id: WorkspaceId) -> None:
        self.begun: list[str] = []
        self.written: list[str] = []
        self._database = database
        self._workspace_id = workspace_id
        self._may_end: dict[str, asyncio.Event] = {}

    async def start(
        self, name: str, *, power_safe: bool = HASTY, at_length: bool = False, fails: bool = False
    ) -> asyncio.Task[None]:
        """Add one to the queue."""
        self._may_end[name] = asyncio.Event()
        writer = asyncio.create_task(self._write(name, power_safe=power_safe, at_length=at_length, fails=fails))
        await asyncio.sleep(0)
        return writer

    def end(self, *names: str) -> None:
        for name in names:
            self._may_end[name].set()

    async def have_begun(self, *names: str) -> None:
        """Return when they have."""

        async def look() -> bool:
            return self.begun == [*names]

        await eventually(look)

    async def have_written(self, *names: str) -> None:
        """Return when they wait for their end."""

        async def look() -> bool:
            return self.written == [*names]

        await eventually(look)

    async def _write(self, name: str, *, power_safe: bool, at_length: bool, fails: bool) -> None:
        async with self._database.workspace(self._workspace_id, power_safe=power_safe, at_length=at_length) as store:
            self.begun.append(name)
            await connect(store, name=name)
            self.written.append(name)
            await self._may_end[name].wait()
            if fails:
                raise LookupError(name)


def kept(back_door: BackDoor) -> list[str]:
    """The names of the connectors that others see."""
    return [str(name) for (name,) in back_door.rows("SELECT name FROM connectors ORDER BY name")]

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import JSON, bindparam, text

from domain.audit import AuditAction, Deed
from domain.erasure import Erased
from tests.persistence.calls import ADMIN
from tests.persistence.samples import NOW

if TYPE_CHECKING:
    from domain.identity import WorkspaceId
    from persistence.database import Database


async def test_an_entry_of_a_version_that_counted_otherwise_is_read(database: Database, workspace_id: WorkspaceId) -> None:
    erased = Erased(answers=1, lookups=2, under_way=0, responses=1, names=3)
    deed = Deed(action=AuditAction.REQUESTER_FORGOTTEN, erased=erased)
    stored: dict[str, object] = {"connectors": [], "members": [], "ticket_id": None, "erased": {"answers": 4, "letters": 5}}
    async with database.workspace(workspace_id) as store:
        await store.audit.add(ADMIN, deed, NOW)
        assert [entry.deed.erased for entry in await store.audit.newest(2)] == [erased]
        other = text("UPDATE audit_log SET details = :details").bindparams(bindparam("details", stored, JSON))
        await store.audit._connection.execute(other)  # noqa: SLF001 - as another version would have written it

        (entry,) = await store.audit.newest(2)

    assert entry.deed.erased == Erased(answers=4, lookups=0, under_way=0, responses=0, names=0)

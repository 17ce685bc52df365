"""Loading for many tickets at once what would otherwise be read ticket by ticket."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from strawberry.dataloader import DataLoader

from domain.credentials import CredentialStanding

if TYPE_CHECKING:
    from domain.health import TrackRecord
    from domain.identity import ConnectorId, MessageId, TicketId
    from domain.ticket import Message
    from graph.context import Context
    from graph.types import CrmPanel

_BATCH = 500  # SQLite takes a limited number of variables
_TRACK = 100
_NOTHING = CredentialStanding()  # of a connector that has just been deleted


class MessagePage(NamedTuple):
    """Which messages of which ticket."""

    ticket_id: TicketId
    limit: int
    after: MessageId | None


class Loaders:
    """Lives as long as one operation, or one event of a subscription, so that nothing it holds grows old."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.panels: DataLoader[TicketId, list[CrmPanel]] = DataLoader(
            self._load_panels,
            max_batch_size=_BATCH,
            cache=False,  # a view in the same operation may have changed them
        )
        self.messages: DataLoader[MessagePage, list[Message]] = DataLoader(self._load_messages, max_batch_size=_BATCH)
        self.track_records: DataLoader[ConnectorId, TrackRecord] = DataLoader(
            self._load_track_records,
            cache=False,  # a socket that watches goes on with the same ones
        )

        self.credentials: DataLoader[ConnectorId, CredentialStanding] = DataLoader(
            self._load_credentials,
            max_batch_size=_BATCH,
            cache=False,  # a mutation in the same operation may have changed them
        )

    async def _load_credentials(self, connector_ids: list[ConnectorId]) -> list[CredentialStanding]:
        async with self._context.services.database.reading(self._context.workspace_id) as store:
            standings = await store.credentials.standings(connector_ids, self._context.services.now())
        return [standings.get(connector_id, _NOTHING) for connector_id in connector_ids]

    async def _load_panels(self, ticket_ids: list[TicketId]) -> list[list[CrmPanel]]:
        async with self._context.services.database.glancing(self._context.workspace_id) as store:
            standings = await store.standings.of(ticket_ids)
        return [self._context.services.panels.of(ticket_id, standings[ticket_id]) for ticket_id in ticket_ids]

    async def _load_track_records(self, connector_ids: list[ConnectorId]) -> list[TrackRecord]:
        async with self._context.services.database.reading(self._context.workspace_id) as store:
            records = {
                connector_id: await store.lookups.track_record(connector_id, _TRACK) for connector_id in set(connector_ids)
            }
        return [records[connector_id] for connector_id in connector_ids]

    async def _load_messages(self, pages: list[MessagePage]) -> list[list[Message]]:
        loaded: dict[MessagePage, list[Message]] = {}
        async with self._context.services.database.reading(self._context.workspace_id) as store:
            for limit, after in {(page.limit, page.after) for page in pages}:
                ticket_ids = [page.ticket_id for page in pages if (page.limit, page.after) == (limit, after)]
                found = await store.messages.of_tickets(ticket_ids, limit, after=after)
                loaded |= {MessagePage(ticket_id, limit, after): messages for ticket_id, messages in found.items()}
        return [loaded[page] for page in pages]

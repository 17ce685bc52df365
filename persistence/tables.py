"""The tables, and nothing else: every other file here reads and writes them by statements."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import JSON, Column, ForeignKey, ForeignKeyConstraint, Index, Table, Text, UniqueConstraint, Uuid, text
from sqlmodel import Field, SQLModel

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


def new_id() -> UUID:
    """A version 7 UUID: later ids sort after earlier ones, so an index by id is an index by age."""
    return uuid_utils.compat.uuid7()


def _belongs_to(column: str) -> Any:  # noqa: ANN401 - what Field returns
    return Field(sa_type=Uuid, foreign_key=column, ondelete="CASCADE")


def _belongs_to_own(column: str, table: str) -> ForeignKeyConstraint:
    """To a row of the same workspace: no statement, however wrong, ties one tenant to another."""
    return ForeignKeyConstraint([column, "workspace_id"], [f"{table}.id", f"{table}.workspace_id"], ondelete="CASCADE")


class WorkspaceRow(SQLModel, table=True):
    """A tenant; ``tickets_opened`` is the number of its newest ticket."""

    __tablename__ = "workspaces"
    id: UUID = Field(primary_key=True)
    name: str = Field(sa_type=Text)
    tickets_opened: int = 0
    created_at: datetime
    suspended_at: datetime | None
    """Since when its doors are shut; NULL while they are open."""


class SupportAddressRow(SQLModel, table=True):
    """Where a workspace receives mail; one address belongs to one workspace."""

    __tablename__ = "support_addresses"
    address: str = Field(primary_key=True)
    workspace_id: UUID = _belongs_to("workspaces.id")
    created_at: datetime


class TicketRow(SQLModel, table=True):
    """A conversation."""

    __tablename__ = "tickets"
    __table_args__ = (
        UniqueConstraint("workspace_id", "number"),
        UniqueConstraint("id", "workspace_id"),
        Index(None, "workspace_id", "requester_email", "number"),
    )
    id: UUID = Field(primary_key=True)
    workspace_id: UUID = _belongs_to("workspaces.id")
    number: int
    subject: str = Field(sa_type=Text)
    requester_email: str | None
    requester_name: str | None = Field(sa_type=Text)
    automatic: bool
    bounce: bool
    created_at: datetime


class MessageRow(SQLModel, table=True):
    """One mail of a ticket, or the text an agent opened it with (then without fingerprint and raw bytes)."""

    __tablename__ = "messages"
    __table_args__ = (
        _belongs_to_own("ticket_id", "tickets"),
        UniqueConstraint("workspace_id", "fingerprint"),
        Index(None, "workspace_id", "reference_key"),
        Index(None, "workspace_id", "header_from", "received_at"),
        Index(None, "ticket_id", "id"),
        Index(None, "workspace_id", "sender_email"),
    )
    id: UUID = Field(primary_key=True)
    workspace_id: UUID = _belongs_to("workspaces.id")
    ticket_id: UUID
    sender_email: str | None
    sender_name: str | None = Field(sa_type=Text)
    header_from: str | None
    text: str = Field(sa_type=Text)
    fingerprint: bytes | None
    reference_key: bytes | None
    """SHA-256 of the Message-ID: an index entry of known size, whatever a sender calls a message."""
    received_at: datetime
    sender_verification: str = Field(sa_column=Column(Text, nullable=False, server_default="UNKNOWN"))


class RawMessageRow(SQLModel, table=True):
    """The bytes of a mail as they arrived, apart from the rows that lists read."""

    __tablename__ = "raw_messages"
    message_id: UUID = Field(sa_column=Column(Uuid, ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True))
    content: bytes


class ConnectorRow(SQLModel, table=True):
    """How to ask one CRM; secrets and signing keys are encrypted, each bound to this row and its own column."""

    __tablename__ = "connectors"
    __table_args__ = (UniqueConstraint("id", "workspace_id"),)
    id: UUID = Field(primary_key=True)
    workspace_id: UUID = Field(sa_type=Uuid, foreign_key="workspaces.id", ondelete="CASCADE", index=True)
    name: str = Field(sa_type=Text)
    lookup_url: str = Field(sa_type=Text)
    secret_header_name: str | None
    secret: bytes | None
    link_template: str | None = Field(sa_type=Text)
    cache_ttl_hours: int
    log_results: bool
    enabled: bool
    position: int
    created_at: datetime
    updated_at: datetime
    failures_in_a_row: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    health_since: datetime | None
    """When the present health began: with the first failure, with the pause, or with the success that ended either."""
    next_probe_at: datetime | None
    """Set while the endpoint is paused."""
    last_success_at: datetime | None
    """To the minute, so that not every success writes it."""
    secret_changed_at: datetime | None
    secret_used_at: datetime | None
    """To the minute, so that not every lookup writes it."""
    previous_secret: bytes | None
    previous_secret_until: datetime | None
    signing_key: bytes | None
    signing_changed_at: datetime | None
    previous_signing_key: bytes | None
    previous_signing_until: datetime | None


class LookupRow(SQLModel, table=True):
    """One asking: the queue's truth until it is completed, a line of the log afterwards.

    Queued without a claim, running with one; a test alone has no ticket.
    """

    __tablename__ = "lookups"
    __table_args__ = (
        _belongs_to_own("connector_id", "connectors"),
        _belongs_to_own("ticket_id", "tickets"),
        Index(
            "uq_lookups_one_under_way",
            "connector_id",
            "email",
            unique=True,
            sqlite_where=text("completed_at IS NULL AND ticket_id IS NOT NULL"),
            postgresql_where=text("completed_at IS NULL AND ticket_id IS NOT NULL"),
        ),
        Index(
            "ix_lookups_queued",
            "workspace_id",
            "connector_id",
            "urgent",
            "id",
            sqlite_where=text("completed_at IS NULL AND claim IS NULL"),
            postgresql_where=text("completed_at IS NULL AND claim IS NULL"),
        ),
        Index(
            "ix_lookups_running",
            "workspace_id",
            "connector_id",
            sqlite_where=text("completed_at IS NULL AND claim IS NOT NULL"),
            postgresql_where=text("completed_at IS NULL AND claim IS NOT NULL"),
        ),
        Index(None, "connector_id", "id"),
        Index(None, "workspace_id", "email"),
    )
    id: UUID = Field(primary_key=True)
    workspace_id: UUID = _belongs_to("workspaces.id")
    connector_id: UUID
    ticket_id: UUID | None
    email: str
    trigger: str
    urgent: bool
    claim: UUID | None
    claimed_until: datetime | None
    status: str | None
    failure_kind: str | None
    http_status: int | None
    duration_ms: int | None
    warnings: list[dict[str, str | None]] = Field(sa_type=JSON)
    response: str | None = Field(sa_type=Text)
    requested_at: datetime
    completed_at: datetime | None
    trace: str | None = Field(sa_type=Text)
    """The traceparent of whatever called for it; NULL unless somebody traces."""


class AnswerRow(SQLModel, table=True):
    """What is known of (connector, address): the last good answer, and the failure since, if there was one."""

    __tablename__ = "answers"
    __table_args__ = (_belongs_to_own("connector_id", "connectors"),)
    connector_id: UUID = Field(primary_key=True)
    email: str = Field(primary_key=True)
    workspace_id: UUID = _belongs_to("workspaces.id")
    found: bool | None
    customer: dict[str, Any] | None = Field(sa_type=JSON)
    fetched_at: datetime | None
    failure_kind: str | None
    http_status: int | None


class RevokedTokenRow(SQLModel, table=True):
    """A token that counts no more, by its ``jti``; the operator's, not a workspace's."""

    __tablename__ = "revoked_tokens"
    __table_args__ = (UniqueConstraint("token_id"),)
    number: int | None = Field(default=None, primary_key=True)
    """Higher than that of every row committed before; processes ask for what is new since the last they saw."""
    token_id: str = Field(sa_type=Text)
    expires_at: datetime | None
    """When the token ends by itself, where that is known: afterwards the row says nothing."""
    revoked_at: datetime


class AuditRow(SQLModel, table=True):
    """Who did what; it names things by id and text, for it outlives them."""

    __tablename__ = "audit_log"
    __table_args__ = (Index(None, "workspace_id", "id"),)
    id: UUID = Field(primary_key=True)
    workspace_id: UUID = _belongs_to("workspaces.id")
    subject: str = Field(sa_type=Text)
    name: str | None = Field(sa_type=Text)
    token_id: str | None = Field(sa_type=Text)
    action: str = Field(sa_type=Text)
    details: dict[str, Any] = Field(sa_type=JSON)
    happened_at: datetime


def _table(model: type[SQLModel]) -> Table:
    return cast("Table", vars(model)["__table__"])


workspaces = _table(WorkspaceRow)
support_addresses = _table(SupportAddressRow)
tickets = _table(TicketRow)
messages = _table(MessageRow)
raw_messages = _table(RawMessageRow)
connectors = _table(ConnectorRow)
lookups = _table(LookupRow)
answers = _table(AnswerRow)
revoked_tokens = _table(RevokedTokenRow)
audit_log = _table(AuditRow)

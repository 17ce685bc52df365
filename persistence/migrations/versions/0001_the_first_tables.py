"""The first tables.

Revision: 0001, the first.
"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "workspaces",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tickets_opened", sa.Integer(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workspaces")),
    )
    op.create_table(
        "connectors",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("lookup_url", sa.Text(), nullable=False),
        sa.Column("secret_header_name", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("link_template", sa.Text(), nullable=True),
        sa.Column("cache_ttl_hours", sa.Integer(), nullable=False),
        sa.Column("log_results", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_connectors_workspace_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connectors")),
        sa.UniqueConstraint("id", "workspace_id", name=op.f("uq_connectors_id_workspace_id")),
    )
    with op.batch_alter_table("connectors", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_connectors_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "support_addresses",
        sa.Column("address", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_support_addresses_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_support_addresses")),
    )
    op.create_table(
        "tickets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("requester_email", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("requester_name", sa.Text(), nullable=True),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column("bounce", sa.Boolean(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_tickets_workspace_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tickets")),
        sa.UniqueConstraint("id", "workspace_id", name=op.f("uq_tickets_id_workspace_id")),
        sa.UniqueConstraint("workspace_id", "number", name=op.f("uq_tickets_workspace_id_number")),
    )
    with op.batch_alter_table("tickets", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_tickets_workspace_id_requester_email"), ["workspace_id", "requester_email"], unique=False
        )

    op.create_table(
        "answers",
        sa.Column("connector_id", sa.Uuid(), nullable=False),
        sa.Column("email", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("found", sa.Boolean(), nullable=True),
        sa.Column("customer", sa.JSON(), nullable=True),
        sa.Column("fetched_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("failure_kind", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["connector_id", "workspace_id"],
            ["connectors.id", "connectors.workspace_id"],
            name=op.f("fk_answers_connector_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_answers_workspace_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("connector_id", "email", name=op.f("pk_answers")),
    )
    op.create_table(
        "lookups",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("connector_id", sa.Uuid(), nullable=False),
        sa.Column("ticket_id", sa.Uuid(), nullable=True),
        sa.Column("email", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("trigger", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("claim", sa.Uuid(), nullable=True),
        sa.Column("claimed_until", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("failure_kind", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("response", sa.Text(), nullable=True),
        sa.Column("requested_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("completed_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["connector_id", "workspace_id"],
            ["connectors.id", "connectors.workspace_id"],
            name=op.f("fk_lookups_connector_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["ticket_id", "workspace_id"],
            ["tickets.id", "tickets.workspace_id"],
            name=op.f("fk_lookups_ticket_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_lookups_workspace_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lookups")),
    )
    with op.batch_alter_table("lookups", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_lookups_connector_id_id"), ["connector_id", "id"], unique=False)
        batch_op.create_index(
            "ix_lookups_open",
            ["connector_id", "urgent", "id"],
            unique=False,
            sqlite_where=sa.text("completed_at IS NULL"),
            postgresql_where=sa.text("completed_at IS NULL"),
        )
        batch_op.create_index(
            "uq_lookups_one_under_way",
            ["connector_id", "email"],
            unique=True,
            sqlite_where=sa.text("completed_at IS NULL AND ticket_id IS NOT NULL"),
            postgresql_where=sa.text("completed_at IS NULL AND ticket_id IS NOT NULL"),
        )

    op.create_table(
        "messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("ticket_id", sa.Uuid(), nullable=False),
        sa.Column("sender_email", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("sender_name", sa.Text(), nullable=True),
        sa.Column("header_from", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=True),
        sa.Column("reference_key", sa.LargeBinary(), nullable=True),
        sa.Column("received_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket_id", "workspace_id"],
            ["tickets.id", "tickets.workspace_id"],
            name=op.f("fk_messages_ticket_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_messages_workspace_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("workspace_id", "fingerprint", name=op.f("uq_messages_workspace_id_fingerprint")),
    )
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_messages_ticket_id_id"), ["ticket_id", "id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_messages_workspace_id_header_from_received_at"),
            ["workspace_id", "header_from", "received_at"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_messages_workspace_id_reference_key"), ["workspace_id", "reference_key"], unique=False
        )

    op.create_table(
        "raw_messages",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name=op.f("fk_raw_messages_message_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_raw_messages")),
    )


def downgrade() -> None:
    op.drop_table("raw_messages")
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_messages_workspace_id_reference_key"))
        batch_op.drop_index(batch_op.f("ix_messages_workspace_id_header_from_received_at"))
        batch_op.drop_index(batch_op.f("ix_messages_ticket_id_id"))

    op.drop_table("messages")
    with op.batch_alter_table("lookups", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_lookups_one_under_way",
            sqlite_where=sa.text("completed_at IS NULL AND ticket_id IS NOT NULL"),
            postgresql_where=sa.text("completed_at IS NULL AND ticket_id IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_lookups_open", sqlite_where=sa.text("completed_at IS NULL"), postgresql_where=sa.text("completed_at IS NULL")
        )
        batch_op.drop_index(batch_op.f("ix_lookups_connector_id_id"))

    op.drop_table("lookups")
    op.drop_table("answers")
    with op.batch_alter_table("tickets", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_tickets_workspace_id_requester_email"))

    op.drop_table("tickets")
    op.drop_table("support_addresses")
    with op.batch_alter_table("connectors", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_connectors_workspace_id"))

    op.drop_table("connectors")
    op.drop_table("workspaces")

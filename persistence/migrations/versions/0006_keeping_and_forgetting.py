"""What is kept and what is taken back: revoked tokens, suspended workspaces, the audit log, ways to all rows of an address.

Revision: 0006, after 0005.
"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NAMED = "(SELECT current_setting('disqua.workspace', true))"  # as in 0002
_RULES = {
    "audit_log": f"{_NAMED} IN ('*', workspace_id::text)",
    "revoked_tokens": f"{_NAMED} = '*'",  # no workspace's business: the operator's alone
}


def upgrade() -> None:
    op.add_column("workspaces", sa.Column("suspended_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
    op.create_table(
        "revoked_tokens",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("token_id", sa.Text(), nullable=False),
        sa.Column("expires_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("revoked_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_revoked_tokens")),
        sa.UniqueConstraint("token_id", name=op.f("uq_revoked_tokens_token_id")),
    )
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("token_id", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("happened_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_audit_log_workspace_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_workspace_id_id"), "audit_log", ["workspace_id", "id"])
    op.create_index(op.f("ix_lookups_workspace_id_email"), "lookups", ["workspace_id", "email"])
    op.create_index(op.f("ix_messages_workspace_id_sender_email"), "messages", ["workspace_id", "sender_email"])
    if op.get_context().dialect.name == "postgresql":
        for table, rule in _RULES.items():
            op.execute(f"CREATE POLICY workspace ON {table} USING ({rule}) WITH CHECK ({rule})")
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_index(op.f("ix_messages_workspace_id_sender_email"), "messages")
    op.drop_index(op.f("ix_lookups_workspace_id_email"), "lookups")
    op.drop_table("audit_log")
    op.drop_table("revoked_tokens")
    op.drop_column("workspaces", "suspended_at")

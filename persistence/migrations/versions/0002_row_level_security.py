"""Row-level security: on PostgreSQL a transaction sees the rows of the workspace that it names, or none.

Revision: 0002, after 0001. SQLite has nothing like it.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NAMED = "(SELECT current_setting('disqua.workspace', true))"  # a subquery is answered once, not for each row
_OWNED = ("support_addresses", "tickets", "messages", "connectors", "lookups", "answers")
_RULES = {
    "workspaces": f"{_NAMED} IN ('*', id::text)",
    **dict.fromkeys(_OWNED, f"{_NAMED} IN ('*', workspace_id::text)"),
    "raw_messages": "EXISTS (SELECT FROM messages WHERE messages.id = message_id)",  # which is bound by its own rule
}


def upgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        return
    for table, rule in _RULES.items():
        op.execute(f"CREATE POLICY workspace ON {table} USING ({rule}) WITH CHECK ({rule})")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        return
    for table in _RULES:
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY")
        op.execute(f"DROP POLICY workspace ON {table}")

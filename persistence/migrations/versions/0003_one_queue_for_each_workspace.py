"""One queue for each workspace: the next lookup is found across its connectors, and what runs is counted.

Revision: 0003, after 0002.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_OPEN = sa.text("completed_at IS NULL")
_QUEUED = sa.text("completed_at IS NULL AND claim IS NULL")
_RUNNING = sa.text("completed_at IS NULL AND claim IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "ix_lookups_queued",
        "lookups",
        ["workspace_id", "connector_id", "urgent", "id"],
        sqlite_where=_QUEUED,
        postgresql_where=_QUEUED,
    )
    op.create_index(
        "ix_lookups_running",
        "lookups",
        ["workspace_id", "connector_id"],
        sqlite_where=_RUNNING,
        postgresql_where=_RUNNING,
    )
    op.drop_index("ix_lookups_open", "lookups", sqlite_where=_OPEN, postgresql_where=_OPEN)


def downgrade() -> None:
    op.create_index("ix_lookups_open", "lookups", ["connector_id", "urgent", "id"], sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.drop_index("ix_lookups_running", "lookups", sqlite_where=_RUNNING, postgresql_where=_RUNNING)
    op.drop_index("ix_lookups_queued", "lookups", sqlite_where=_QUEUED, postgresql_where=_QUEUED)

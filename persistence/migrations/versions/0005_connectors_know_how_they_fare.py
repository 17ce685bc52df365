"""Connectors know how their endpoints fare: a failing one is spared by every process, also after a restart.

Revision: 0005, after 0004.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("connectors", sa.Column("failures_in_a_row", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("connectors", sa.Column("health_since", UTCDateTime(), nullable=True))
    op.add_column("connectors", sa.Column("next_probe_at", UTCDateTime(), nullable=True))
    op.add_column("connectors", sa.Column("last_success_at", UTCDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("connectors", "last_success_at")
    op.drop_column("connectors", "next_probe_at")
    op.drop_column("connectors", "health_since")
    op.drop_column("connectors", "failures_in_a_row")

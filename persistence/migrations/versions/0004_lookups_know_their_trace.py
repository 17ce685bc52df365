"""Lookups know their trace: whoever runs one goes on where the mail came in.

Revision: 0004, after 0003.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("lookups", sa.Column("trace", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("lookups", "trace")

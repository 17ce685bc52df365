"""Messages know whether their sender is verified; of those that are there already, nobody knows.

Revision: 0007, after 0006.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("messages", sa.Column("sender_verification", sa.Text(), nullable=False, server_default="UNKNOWN"))


def downgrade() -> None:
    op.drop_column("messages", "sender_verification")

"""Secrets that rotate: when each was changed and used, the one before it, and keys that sign requests.

Revision: 0008, after 0007.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_MOMENTS = ("secret_changed_at", "secret_used_at", "previous_secret_until", "signing_changed_at", "previous_signing_until")
_CIPHERTEXTS = ("previous_secret", "signing_key", "previous_signing_key")


def upgrade() -> None:
    for name in _MOMENTS:
        op.add_column("connectors", sa.Column(name, UTCDateTime(), nullable=True))
    for name in _CIPHERTEXTS:
        op.add_column("connectors", sa.Column(name, sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    for name in (*_CIPHERTEXTS, *_MOMENTS):
        op.drop_column("connectors", name)

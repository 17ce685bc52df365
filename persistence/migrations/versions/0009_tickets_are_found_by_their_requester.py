"""A requester's tickets are found in their order, without a look at those of others.

Revision: 0009, after 0008.
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        op.f("ix_tickets_workspace_id_requester_email_number"),
        "tickets",
        ["workspace_id", "requester_email", "number"],
        if_not_exists=True,  # docs/operating.md: an operator of millions of tickets makes it beforehand, beside those who write
    )
    op.drop_index(op.f("ix_tickets_workspace_id_requester_email"), "tickets")


def downgrade() -> None:
    op.create_index(op.f("ix_tickets_workspace_id_requester_email"), "tickets", ["workspace_id", "requester_email"])
    op.drop_index(op.f("ix_tickets_workspace_id_requester_email_number"), "tickets")

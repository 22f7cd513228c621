"""What was revoked: remembered over a restart, and told to every process that shares the database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make revocations."""
    op.create_table(
        "revocations",
        sa.Column("id", _number, nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("session", sa.Text(), nullable=True),
        sa.Column("token_id", sa.Text(), nullable=True),
        sa.Column("revoked_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_revocations"),
        sqlite_autoincrement=True,
    )
    for column in ("session", "token_id", "revoked_at"):
        op.create_index(f"ix_revocations_{column}", "revocations", [column])


def downgrade() -> None:
    """Forget them."""
    op.drop_table("revocations")

"""What was revoked: remembered over a restart, and told to every process that shares the database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make revocations, one for each session that was ended before there were any: its tokens must not count again."""
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
    _revoke_what_has_ended()


def _revoke_what_has_ended() -> None:
    sessions = sa.table("sessions", sa.column("id", sa.Text()), sa.column("ended_at", sa.DateTime(timezone=True)))
    revocations = sa.table("revocations", sa.column("session", sa.Text()), sa.column("revoked_at", sa.Double()))
    # As text or number, a moment is another thing in each database.
    if op.get_bind().dialect.name == "sqlite":
        moment: sa.ColumnElement[float] = (sa.func.julianday(sessions.c.ended_at) - 2_440_587.5) * 86_400.0
    else:
        moment = sa.cast(sa.extract("epoch", sessions.c.ended_at), sa.Double())
    ended = sa.select(sessions.c.id, moment).where(sessions.c.ended_at.is_not(None)).order_by(sessions.c.ended_at)
    op.execute(sa.insert(revocations).from_select(["session", "revoked_at"], ended))


def downgrade() -> None:
    """Forget them."""
    op.drop_table("revocations")

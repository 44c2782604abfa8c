"""What calls from Exotel and from browsers bring along, and whose configs calls run on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    rate = sa.Column("media_rate_hz", sa.Integer(), nullable=False, server_default=sa.text("8000"))
    op.add_column("calls", rate)
    op.add_column(
        "calls", sa.Column("text_only", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    config_url = sa.Column("config_url", sa.Text(), nullable=False, server_default="")
    op.add_column("calls", config_url)

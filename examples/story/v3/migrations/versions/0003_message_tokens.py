"""message tokens"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Nullable: the release before inserts messages that were not counted.
    op.add_column("messages", sa.Column("tokens", sa.Integer()))


def downgrade() -> None:
    op.drop_column("messages", "tokens")

"""conversation titles"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Nullable and without a default: the release before inserts rows that have no title.
    op.add_column("conversations", sa.Column("title", sa.Text()))
    op.create_index(
        "ix_conversations_title", "conversations", ["title"], postgresql_ops={"title": "text_pattern_ops"}
    )


def downgrade() -> None:
    op.drop_index("ix_conversations_title", "conversations")
    op.drop_column("conversations", "title")

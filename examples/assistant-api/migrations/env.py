from __future__ import annotations

import os

from alembic import context
from sqlalchemy import NullPool, create_engine, text

from assistant.logs import configure_logs
from assistant.models import Base
from assistant.settings import read_database_url


def migrate() -> None:
    engine = create_engine(
        read_database_url(os.environ), poolclass=NullPool, connect_args={"connect_timeout": 5}
    )
    with engine.connect() as connection:
        # A migration that must wait for a lock makes every query behind it wait too: give up instead.
        connection.execute(text("set lock_timeout = '3s'"))
        connection.commit()
        # A failure leaves the revisions before it in place, and none half done.
        context.configure(
            connection=connection, target_metadata=Base.metadata, transaction_per_migration=True
        )
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    context.configure(url=read_database_url(os.environ), target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    if context.config.cmd_opts is not None:  # the command line, not a test
        configure_logs("INFO", os.environ.get("CICD_RELEASE") or "development")
    migrate()

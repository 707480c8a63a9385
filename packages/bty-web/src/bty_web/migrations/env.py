"""How Alembic reaches the database: `bty_web.database` hands the engine over."""

from __future__ import annotations

from alembic import context

from bty_web.models import Base


def run() -> None:
    """Run the migrations that are asked for, in one transaction."""
    engine = context.config.attributes["engine"]
    with engine.connect() as connection:
        # SQLite cannot alter most of a table: Alembic makes it anew and copies.
        context.configure(
            connection=connection, target_metadata=Base.metadata, render_as_batch=True
        )
        with context.begin_transaction():
            context.run_migrations()


run()

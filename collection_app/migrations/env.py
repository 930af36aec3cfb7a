"""What Alembic runs: the migrations, on the connection that `connections.migrate` opened."""

from alembic import context

from collection_app.database.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,
    render_as_batch=True,  # SQLite cannot change a table in place
)
context.run_migrations()

"""Steps of the database's schema, for Alembic; `azmail inbox migrate` takes them."""

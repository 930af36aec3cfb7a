"""The tables of a study, and connections to SQLite and PostgreSQL."""

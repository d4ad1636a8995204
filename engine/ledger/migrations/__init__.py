"""How the tables came to be, step by step: Alembic's scripts, run by ``engine.ledger.migrate``."""

"""SQL as verbs of a frame. Loaded by ``sn.sql`` when it is called: sqlglot is imported here only."""

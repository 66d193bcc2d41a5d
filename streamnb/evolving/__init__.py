"""Evolving: a query that is changed while it runs, forked, and switched over."""

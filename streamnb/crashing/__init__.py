"""The crash lab: a query dies at any moment of a batch, over several ways of writing to a sink."""

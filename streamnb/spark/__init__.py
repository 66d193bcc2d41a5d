"""The same query on Spark: moved there, printed as a script, compared batch by batch, and its size foretold."""

"""The operators of DStream, Spark's older API, on batches of plain Python objects."""

"""Faults: queries that are killed, whose disks fail or lie, whose files are damaged; and what they then say."""

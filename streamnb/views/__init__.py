"""Pictures and controls of a query, which read its progress and its trace and touch nothing else."""

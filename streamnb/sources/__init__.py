"""Where rows come from: one connector a file."""

"""What a query answers when it is asked: why, why not yet, what changed, what would have been, what will surprise."""

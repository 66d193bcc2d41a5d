"""One operator a file: its rule, its verb, its node, its step."""

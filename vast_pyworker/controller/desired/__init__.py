"""What the operator wants, read from groups.toml and checked whole."""

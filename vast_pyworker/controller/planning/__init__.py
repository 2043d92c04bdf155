"""What to do about a group, as data that can be printed. Pure."""

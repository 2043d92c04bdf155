"""The page at /: rendered on this side, live over /events, behind a key."""

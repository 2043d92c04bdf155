"""Programs and configuration of the candidates that are not ours; each runs in its own process."""

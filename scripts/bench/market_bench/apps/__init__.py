"""Programs that are measured beside the market."""

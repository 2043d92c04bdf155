"""The HTTP side of the market: one blueprint for each family of calls."""

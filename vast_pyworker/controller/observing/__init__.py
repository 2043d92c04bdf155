"""What there is: intents, provider and workers taken together."""

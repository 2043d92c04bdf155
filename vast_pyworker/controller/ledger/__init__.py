"""What must survive: intents, outcomes, decisions, spend, reputation, keys."""

"""The controller benchmark: what it takes in, what it answers, what it costs."""

"""``scripts/up``: a market, a controller and a served model on one machine, to see it all work."""

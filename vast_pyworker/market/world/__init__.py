"""Everything that is, what happens in it and when; kept in a file between two runs.

What is not here: what owners ask for (``instances``), what goes wrong on demand (``faults``), and
the lock (the market's).
"""

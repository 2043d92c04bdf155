"""Sizes groups of instances against their workers' reports, inside price caps and budgets.

Rooms: ``desired`` reads what the operator wants, ``ledger`` remembers, ``traffic`` hears workers
and routes clients, ``observing`` says what there is, ``policy`` how much is wanted, ``planning``
what to do about it, and the loop does it.
"""

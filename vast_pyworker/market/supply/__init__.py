"""What there is to rent: hosts drawn from a seed, their machines, GPUs, places and prices.

What is not here: finding them (``offers``) and who has rented what (``rentals``).
"""

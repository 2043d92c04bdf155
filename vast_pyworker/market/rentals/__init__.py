"""What is rented, each for itself: the contract, the phases of its life, its container, its bid.

What is not here: what happens to it together with GPUs, money and time (``world``), and what its
owner asks for (``instances``).
"""

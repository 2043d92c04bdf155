"""What an owner asks of instances: to make one, change it, end it, and look inside.

What is not here: what then happens to it (``world``), and how it is shown (``reports``).
"""

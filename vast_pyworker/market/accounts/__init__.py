"""Who may call and what is theirs: keys, credit and charges, SSH keys, templates, endpoints.

What is not here: their instances (``rentals``) and the calls about all this (``api``).
"""

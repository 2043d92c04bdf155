"""Machines on offer: the catalogue of them, their rows, and the search with its query language.

The query language (``filters``, ``columns``) also serves lists of other things. What is not here:
how machines come about (``supply``) and renting one (``instances``).
"""

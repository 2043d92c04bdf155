"""A backend as the worker sees it: found, imported, checked, tried, and read.

What is not here: the base classes that a backend may inherit (``backend``) and serving what it
declares (``traffic``).
"""

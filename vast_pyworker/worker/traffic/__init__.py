"""A request's way: who may call, how many at once, passed on or refused, ended exactly once.

What is not here: Flask itself (``app``, ``built_in``), what requests are worth (``units``) and how
they are counted (``reports``).
"""

"""Before the worker serves: its place, files and certificate, launching it, the doctor.

What is not here: the commands themselves (``start``, ``dev``), and making a worker of its parts
(``main``).
"""

"""The phases of a model's life: which one it is in, and what takes it to the next.

``readiness`` says which, ``lifecycle`` is the loop; what judges is pure. What is not here: the
model server itself (``modelserver``), its log (``modellog``) and measuring it (``capacity``).
"""

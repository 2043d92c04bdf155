"""What is counted and measured, and told: the books, the probes, Prometheus, the autoscaler.

What is not here: which state the worker is in (``phases``) and how much the model can do
(``capacity``).
"""

"""vast_pyworker: serve models on rented GPUs, and pay only for those that work."""

__version__ = "0.1.0"

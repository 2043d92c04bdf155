"""Places where instances can be: the protocol, Vast.ai, and a fake that fails on demand."""

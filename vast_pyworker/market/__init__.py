"""A local marketplace that speaks the REST API of Vast.ai."""

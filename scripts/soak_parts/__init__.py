"""Markets, controllers and workers as real processes, and an hour that is hard on them."""

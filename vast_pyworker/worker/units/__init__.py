"""What a request is worth, before it runs and measured after: tokens, pixel steps, seconds.

What is not here: adding it up (``reports``) and how much of it a second (``capacity``).
"""

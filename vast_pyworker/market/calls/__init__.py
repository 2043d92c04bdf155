"""A call before it is understood: what it says, how often it may be made, from what page.

And how answers look. What is not here: what is done for it (``api``).
"""

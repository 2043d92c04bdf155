"""How much work a second the model does: measured, remembered, and doubted.

What is not here: when that is done (``phases``) and what work is (``units``).
"""

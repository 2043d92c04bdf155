"""The model server's log: followed, cut into lines, and what its lines mean.

``logwatch`` above joins the two; it stays there because it is run by that name. What is not here:
acting on what a line means (``phases``).
"""

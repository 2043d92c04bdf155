"""What is told of the world: instances and money as rows, lists, a summary, the page.

Nothing here changes anything. What is not here: offers, whose rows are the search's (``offers``).
"""

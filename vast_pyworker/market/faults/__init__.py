"""What goes wrong on demand: the kinds, the book that draws them, and doing them.

``blows`` befall the world, ``answer_faults`` a call or its answer. What is not here: losing hosts
(``world``), which also happens at a restart.
"""

"""The market benchmark: how fast it answers, beside a constant answer, and what many instances
cost.

``cli`` reads the arguments, ``run`` does the measuring, ``program`` starts what is measured,
``lanes`` sends the requests, ``results`` is what was measured and ``table`` shows it.
It sends load to 127.0.0.1 only, ends what it started and leaves no files behind.
"""

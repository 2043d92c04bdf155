"""The relay benchmark: our worker beside nginx, the official worker and gunicorn threads.

``cli`` reads the arguments, ``run`` goes round the candidates, ``visit`` measures one of them,
``results`` is what was measured, ``ratios`` and ``table`` turn that into figures for people.
It sends load to 127.0.0.1 only, ends what it started and leaves no files behind.
"""

"""A local marketplace that speaks the REST API of Vast.ai.

Here are the program (``main``), the Flask application, what they are put together from
(``composing``), the ``Market`` with its gate and the passing of its time, and how it says no. The
rest is in rooms, each of which knows only those before it:

    supply     what there is to rent: hosts, machines, GPUs, places, prices
    offers     the catalogue, the rows of a search, the query language
    runtime    what an instance is while it runs: processes, or nothing
    rentals    contracts, their lives, containers and bids
    accounts   who may call; money, keys, templates, endpoints
    world      everything that is, what happens in it, and when
    calls      what a call says, how often it may be made, how answers look
    faults     what goes wrong on demand, in the world and in answers
    instances  what an owner asks of instances
    reports    what is told of all this
    api        the calls themselves, on top of the ``Market``
"""

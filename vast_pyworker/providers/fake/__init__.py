"""A provider in memory that fails on demand: ``FakeProvider``.

``provider`` answers the calls, ``faults`` says what goes wrong with them, ``outside`` does what
nobody called for; ``world``, ``boxes``, ``bill``, ``offers`` and ``listing`` are what they act on.
"""

from .bill import Line
from .boxes import Times
from .faults import Call, How
from .offers import make_offers
from .provider import Act, FakeProvider

__all__ = ["Act", "Call", "FakeProvider", "How", "Line", "Times", "make_offers"]

"""Where the hosts are: places as the market writes them, and how many hosts each has."""

from __future__ import annotations

import random
import zlib
from typing import NamedTuple


class Place(NamedTuple):
    """``name`` is "City, CC". ``share`` is relative; ``speed`` scales what lines carry there."""

    name: str
    share: float
    speed: float = 1.0


PLACES = (
    Place("California, US", 8.0),
    Place("Texas, US", 6.0),
    Place("Washington, US", 4.0),
    Place("New York, US", 3.0),
    Place("New Jersey, US", 2.5),
    Place("Illinois, US", 2.0),
    Place("Utah, US", 2.0),
    Place("Florida, US", 2.0),
    Place("Ohio, US", 1.5),
    Place("Virginia, US", 1.5),
    Place("North Carolina, US", 1.5),
    Place("Oregon, US", 1.2),
    Place("Minnesota, US", 1.0),
    Place("Michigan, US", 1.0),
    Place("Quebec, CA", 4.0),
    Place("Ontario, CA", 2.0),
    Place("British Columbia, CA", 1.5),
    Place("Stockholm, SE", 3.5, 1.2),
    Place("Oslo, NO", 2.5, 1.1),
    Place("Helsinki, FI", 1.5),
    Place("Copenhagen, DK", 1.0),
    Place("Reykjavik, IS", 1.2, 1.1),
    Place("Frankfurt, DE", 2.5, 0.9),
    Place("Munich, DE", 1.0, 0.8),
    Place("Amsterdam, NL", 1.5, 1.2),
    Place("London, GB", 2.5),
    Place("Paris, FR", 2.0, 1.1),
    Place("Madrid, ES", 2.0),
    Place("Barcelona, ES", 1.0),
    Place("Milan, IT", 1.5, 0.8),
    Place("Lisbon, PT", 0.8),
    Place("Prague, CZ", 2.5),
    Place("Warsaw, PL", 2.5),
    Place("Budapest, HU", 2.0),
    Place("Sofia, BG", 3.5, 0.9),
    Place("Bucharest, RO", 1.2, 1.1),
    Place("Ljubljana, SI", 0.8),
    Place("Tallinn, EE", 1.0),
    Place("Vilnius, LT", 0.6),
    Place("Kyiv, UA", 1.2, 0.7),
    Place("Tel Aviv, IL", 0.8, 0.7),
    Place("Dubai, AE", 0.8, 0.8),
    Place("Seoul, KR", 3.5, 1.1),
    Place("Tokyo, JP", 2.0, 1.2),
    Place("Taipei, TW", 2.5, 0.8),
    Place("Shanghai, CN", 2.5, 0.35),
    Place("Shenzhen, CN", 2.5, 0.35),
    Place("Hong Kong, HK", 1.2, 0.8),
    Place("Hanoi, VN", 2.5, 0.5),
    Place("Bangkok, TH", 2.0, 0.7),
    Place("Singapore, SG", 1.0),
    Place("Mumbai, IN", 1.2, 0.5),
    Place("Sydney, AU", 1.5, 0.6),
    Place("Auckland, NZ", 0.5, 0.7),
    Place("Sao Paulo, BR", 0.8, 0.6),
    Place("Buenos Aires, AR", 0.5, 0.5),
)
_SHARES = tuple(place.share for place in PLACES)


def draw_place(rng: random.Random) -> Place:
    return rng.choices(PLACES, _SHARES)[0]


def country_code(geolocation: str) -> str:
    """``SE`` of ``Stockholm, SE``."""
    return geolocation.rpartition(", ")[2]


def geolocode(geolocation: str) -> int:
    """A number that is the same for all of one country."""
    return zlib.crc32(country_code(geolocation).encode())

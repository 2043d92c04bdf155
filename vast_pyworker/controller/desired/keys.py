"""Every key of ``groups.toml``: its kind, what it means, and what holds without it.

The one table: reading, faults and ``docs/groups.md`` follow it. Keys bear the names of the model's
fields, and where a key is left out the model's default holds; ``default`` is that in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vast_pyworker.model import OnDelete, OnShutdown

from . import kinds
from .kinds import Kind
from .ports import PORTS
from .queries import QUERY
from .window_kinds import HOURS, WEEKDAYS, ZONE

REQUIRED = "required"


@dataclass(frozen=True)
class Key:
    """One key of a table."""

    name: str
    kind: Kind
    sentence: str
    default: str = REQUIRED

    @property
    def required(self) -> bool:
        return self.default == REQUIRED


Keys = Mapping[str, Key]


def _keys(*keys: Key) -> Keys:
    return {each.name: each for each in keys}


FILE = _keys(
    Key("fleet", kinds.NAME, "Name of the fleet: labels begin with it, so it never changes."),
    Key("limits", kinds.TABLE, "Ceilings over all groups together."),
    Key("group", kinds.TABLE, "The groups, each a table under its name.", "no group"),
)

LIMITS = _keys(
    Key("instances", kinds.COUNT, "Most instances rented at once, stopped ones included."),
    Key("usd_per_hour", kinds.CEILING, "Most that all of them may cost an hour."),
    Key("usd_per_day", kinds.CEILING, "Most that may be spent in a day of UTC.", "no limit"),
    Key("usd_per_month", kinds.CEILING, "Most that may be spent in a month of UTC.", "no limit"),
)

GROUP = _keys(
    Key("endpoint", kinds.NAME, "Name that clients call; each group has its own.", "the group's"),
    Key("query", QUERY, "Which offers will do."),
    Key(
        "max_usd_per_hour",
        kinds.PRICE,
        "Most that one instance may cost an hour with its disk, when rented and ever after.",
    ),
    Key("min_instances", kinds.COUNT, "Fewest that are wanted running."),
    Key("max_instances", kinds.COUNT, "Most that are wanted running."),
    Key("policy", kinds.WORD, "What decides between them: `hold`, `target` or `vast`.", "hold"),
    Key("policy_options", kinds.TABLE, "The policy's own options, by their names.", "its own"),
    Key("cold_instances", kinds.COUNT, "Stopped ones kept beside them (`hold`, `target`).", "0"),
    Key(
        "on_shutdown",
        kinds.choice(OnShutdown),
        "What becomes of its instances when the controller is told to end.",
        "leave",
    ),
    Key(
        "on_external_delete",
        kinds.choice(OnDelete),
        "What to do when somebody else deletes one: rent another, or want fewer.",
        "replace",
    ),
    Key("max_lifetime_s", kinds.SPAN, "Age at which an instance is replaced.", "no limit"),
    Key("stopped_ttl_s", kinds.DURATION, "How long a stopped one is kept.", "no limit"),
    Key("launch", kinds.TABLE, "What is started on an instance."),
    Key("preferences", kinds.TABLE, "Hosts and machines to avoid, and to take first.", "none"),
    Key("deadlines", kinds.TABLE, "How long each part of a start may take.", "as below"),
    Key("pace", kinds.TABLE, "How fast the group may change.", "as below"),
    Key("window", kinds.TABLES, "Hours in which other bounds hold.", "none"),
)

LAUNCH = _keys(
    Key("backend", kinds.BACKEND, "Backend of the worker."),
    Key("image", kinds.WORD, "Docker image. Either this or `template_hash`.", "none"),
    Key("template_hash", kinds.WORD, "Template at Vast. Either this or `image`.", "none"),
    Key("disk_gb", kinds.SIZE, "Disk, paid for in every state and fixed for life.", "20"),
    Key("env", kinds.TABLE, "Variables of the instance: texts or whole numbers.", "none"),
    Key(
        "ports",
        PORTS,
        "Ports to open.",
        "with an image `[3000]` or the `WORKER_PORT` of `env`; a template has its own",
    ),
    Key(
        "onstart",
        kinds.TEXT,
        "Script that is run at the start, at most 4048 characters.",
        "with an image `start_server.sh` of the backend; a template has its own",
    ),
    Key("onstart_file", kinds.TEXT, "File with that script, beside `groups.toml`.", "none"),
    Key(
        "bid_usd_per_hour",
        kinds.PRICE,
        "Rent interruptible ones, with this bid for the machine.",
        "on demand",
    ),
)

PREFERENCES = _keys(
    Key("bad_hosts", kinds.IDS, "Hosts never to rent from.", "none"),
    Key("bad_machines", kinds.IDS, "Machines never to rent.", "none"),
    Key("good_hosts", kinds.IDS, "Hosts to rent from first.", "none"),
    Key("good_machines", kinds.IDS, "Machines to rent first.", "none"),
)

DEADLINES = _keys(
    Key("loading_s", kinds.SPAN, "From rented to running: the image is pulled.", "1800"),
    Key("joining_s", kinds.SPAN, "From running to the worker's first report.", "300"),
    Key("ready_s", kinds.SPAN, "From the first report to ready: the model loads.", "1800"),
    Key("starting_s", kinds.SPAN, "From the start of a stopped one to running.", "180"),
    Key("drain_s", kinds.DURATION, "From no new requests to the end of the last.", "120"),
    Key("lease_s", kinds.SPAN, "Silence after which a worker is suspect.", "90"),
)

PACE = _keys(
    Key(
        "cooldown_up_s",
        kinds.DURATION,
        "Between two steps up; what is below `min_instances` does not wait.",
        "0",
    ),
    Key(
        "cooldown_down_s",
        kinds.DURATION,
        "Between two steps down; what is above `max_instances` does not wait.",
        "300",
    ),
    Key("max_step", kinds.STEP, "Most instances in one step, up or down.", "5"),
)

WINDOW = _keys(
    Key("hours", HOURS, "From when until when; past midnight where the end is not later."),
    Key("days", WEEKDAYS, "Days on which it begins.", "mon-sun"),
    Key("zone", ZONE, "Time zone of its hours and days.", "UTC"),
    Key("min_instances", kinds.COUNT, "As in the group.", "the group's"),
    Key("max_instances", kinds.COUNT, "As in the group.", "the group's"),
    Key("max_usd_per_hour", kinds.PRICE, "As in the group.", "the group's"),
)

# How each table is headed, for faults and the document.
TABLES: Mapping[str, Keys] = {
    "": FILE,
    "[limits]": LIMITS,
    "[group.NAME]": GROUP,
    "[group.NAME.launch]": LAUNCH,
    "[group.NAME.preferences]": PREFERENCES,
    "[group.NAME.deadlines]": DEADLINES,
    "[group.NAME.pace]": PACE,
    "[[group.NAME.window]]": WINDOW,
}


def homes(name: str) -> list[str]:
    """The headers of the tables that have a key of this name."""
    return [header for header, keys in TABLES.items() if header and name in keys]

"""The nouns, as frozen values: what workers say, what the operator wants, what there is.

``work`` holds states, reports and ends of requests; ``wishes`` groups and limits; ``fleet`` offers,
instances, members and actions. What is not here: how they travel, and anything that acts.
Standard library only.
"""

from .fleet import (
    Action,
    ActionKind,
    Desired,
    Instance,
    Intent,
    Member,
    Offer,
    Phase,
    Plan,
    Stage,
    Trouble,
    Want,
)
from .wishes import (
    Bounds,
    Deadlines,
    Group,
    Launch,
    Limits,
    OnDelete,
    OnShutdown,
    Pace,
    Preferences,
    Window,
    Wishes,
)
from .work import Outcome, Report, RequestEnd, State

__all__ = [
    "Action",
    "ActionKind",
    "Bounds",
    "Deadlines",
    "Desired",
    "Group",
    "Instance",
    "Intent",
    "Launch",
    "Limits",
    "Member",
    "Offer",
    "OnDelete",
    "OnShutdown",
    "Outcome",
    "Pace",
    "Phase",
    "Plan",
    "Preferences",
    "Report",
    "RequestEnd",
    "Stage",
    "State",
    "Trouble",
    "Want",
    "Window",
    "Wishes",
]

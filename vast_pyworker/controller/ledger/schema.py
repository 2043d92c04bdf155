"""The tables of the ledger, as they are now. Statements are SQLAlchemy Core; no dialect is named.

Times are Unix seconds, money is whole millionths of a dollar, an ``hour`` is the Unix second at
which it begins. How an older database comes to these tables is in ``migrations``.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

schema_version = Table(
    "schema_version",
    metadata,
    Column("version", Integer, nullable=False),
)

facts = Table(  # single numbers: how often it was opened, until when money is counted
    "facts",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Double, nullable=False),
)

intents = Table(  # the columns are the fields of model.Intent, and why it was closed
    "intents",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("group", String(255), nullable=False),
    Column("label", String(512), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("desired", String(16), nullable=False),
    Column("desired_at", Double, nullable=False),
    Column("reason", Text, nullable=False),
    Column("set_by", String(255), nullable=False),
    Column("usd_per_hour_cap", Double, nullable=False),
    Column("instance_id", BigInteger),
    Column("machine_id", BigInteger),
    Column("host_id", BigInteger),
    Column("usd_per_hour", Double),
    Column("drain_until", Double, nullable=False),
    Column("held", Boolean, nullable=False),
    Column("confirmed", Boolean, nullable=False),
    Column("closed_at", Double),
    Column("closed_why", Text),
    Index("intents_closed_at", "closed_at"),
    Index("intents_instance_id", "instance_id"),
)

actions = Table(
    "actions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("opening", Integer, nullable=False),  # which opening of the ledger wrote it
    Column("kind", String(32), nullable=False),
    Column("group", String(255)),
    Column("intent_id", String(64), ForeignKey("intents.id")),
    Column("who", String(255), nullable=False),
    Column("reason", Text, nullable=False),
    Column("began_at", Double, nullable=False),
    Column("before", Text),  # what the intent said when it began, as JSON
    Column("after", Text),  # and when it had ended
    Column("outcome", Text),
    Column("ended_at", Double),
    Index("actions_ended_at", "ended_at"),
    Index("actions_intent_id", "intent_id"),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Double, nullable=False),
    Column("group", String(255)),
    Column("sentence", Text, nullable=False),
    Column("inputs", Text),  # JSON; null for what is no decision
    Index("events_group", "group", "id"),
)

spend = Table(
    "spend",
    metadata,
    Column("intent_id", String(64), ForeignKey("intents.id"), primary_key=True),
    Column("hour", BigInteger, primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("micro_usd", BigInteger, nullable=False),
    Index("spend_hour", "hour"),
    sqlite_with_rowid=False,  # half the work of each writing; other databases do not read it
)

spend_hours = Table(  # the sums of ``spend`` over the instances of a group
    "spend_hours",
    metadata,
    Column("hour", BigInteger, primary_key=True),
    Column("group", String(255), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("micro_usd", BigInteger, nullable=False),
)

strikes = Table(
    "strikes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Double, nullable=False),
    Column("machine_id", BigInteger),
    Column("host_id", BigInteger),
    Column("weight", Double, nullable=False),
    Column("why", Text, nullable=False),
    Index("strikes_at", "at"),
)

failures = Table(  # hosts on which a group's launch failed, and when last
    "failures",
    metadata,
    Column("group", String(255), primary_key=True),
    Column("host_id", BigInteger, primary_key=True),
    Column("at", Double, nullable=False),
)

keys = Table(  # never a key itself: its SHA-256
    "keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("hash", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("right", String(16), nullable=False),
    Column("endpoint", String(255)),
    Column("created_at", Double, nullable=False),
    Column("revoked_at", Double),
)

notes = Table(
    "notes",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("value", Text, nullable=False),
)

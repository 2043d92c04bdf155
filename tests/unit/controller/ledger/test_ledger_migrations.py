"""Databases of earlier versions come up to today's; those of later ones are left alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from ledger_support import NOON, an_intent, open_ledger
from sqlalchemy import create_engine, inspect

from vast_pyworker.controller.ledger import schema
from vast_pyworker.controller.ledger.keys import Right
from vast_pyworker.controller.ledger.migrations import STEPS
from vast_pyworker.errors import LedgerError

# As version 1 wrote it; never to be changed.
VERSION_1 = """
CREATE TABLE schema_version (version INTEGER NOT NULL);
INSERT INTO schema_version VALUES (1);
CREATE TABLE facts (name VARCHAR(64) NOT NULL, value DOUBLE NOT NULL, PRIMARY KEY (name));
INSERT INTO facts VALUES ('times opened', 3.0), ('spend counted until', 1760011200.0);
CREATE TABLE intents (
    id VARCHAR(64) NOT NULL, "group" VARCHAR(255) NOT NULL, label VARCHAR(512) NOT NULL,
    created_at DOUBLE NOT NULL, desired VARCHAR(16) NOT NULL, desired_at DOUBLE NOT NULL,
    reason TEXT NOT NULL, set_by VARCHAR(255) NOT NULL, usd_per_hour_cap DOUBLE NOT NULL,
    instance_id BIGINT, machine_id BIGINT, host_id BIGINT, usd_per_hour DOUBLE,
    drain_until DOUBLE NOT NULL, held BOOLEAN NOT NULL, confirmed BOOLEAN NOT NULL,
    closed_at DOUBLE, closed_why TEXT, PRIMARY KEY (id));
CREATE INDEX intents_closed_at ON intents (closed_at);
CREATE INDEX intents_instance_id ON intents (instance_id);
INSERT INTO intents VALUES ('a1', 'chat', 'fleet/chat/a1', 1760011200.0, 'run', 1760011200.0,
    'two are wanted', 'controller', 0.72, 7, NULL, NULL, 0.36, 0.0, 0, 0, NULL, NULL);
CREATE TABLE actions (
    id INTEGER NOT NULL, opening INTEGER NOT NULL, kind VARCHAR(32) NOT NULL, "group" VARCHAR(255),
    intent_id VARCHAR(64), who VARCHAR(255) NOT NULL, reason TEXT NOT NULL,
    began_at DOUBLE NOT NULL, before TEXT, after TEXT, outcome TEXT, ended_at DOUBLE,
    PRIMARY KEY (id), FOREIGN KEY(intent_id) REFERENCES intents (id));
CREATE INDEX actions_ended_at ON actions (ended_at);
CREATE INDEX actions_intent_id ON actions (intent_id);
INSERT INTO actions VALUES (1, 3, 'rent', 'chat', 'a1', 'controller', 'two are wanted',
    1760011200.0, NULL, NULL, NULL, NULL);
CREATE TABLE events (id INTEGER NOT NULL, at DOUBLE NOT NULL, "group" VARCHAR(255),
    sentence TEXT NOT NULL, inputs TEXT, PRIMARY KEY (id));
CREATE INDEX events_group ON events ("group", id);
INSERT INTO events VALUES (1, 1760011200.0, 'chat', 'Two are wanted.', '{"ready": 0}');
CREATE TABLE spend (intent_id VARCHAR(64) NOT NULL, hour BIGINT NOT NULL, kind VARCHAR(16) NOT NULL,
    micro_usd BIGINT NOT NULL, PRIMARY KEY (intent_id, hour, kind),
    FOREIGN KEY(intent_id) REFERENCES intents (id)) WITHOUT ROWID;
CREATE INDEX spend_hour ON spend (hour);
INSERT INTO spend VALUES ('a1', 1760011200, 'gpu', 5000);
CREATE TABLE spend_hours (hour BIGINT NOT NULL, "group" VARCHAR(255) NOT NULL,
    kind VARCHAR(16) NOT NULL, micro_usd BIGINT NOT NULL, PRIMARY KEY (hour, "group", kind));
INSERT INTO spend_hours VALUES (1760011200, 'chat', 'gpu', 5000);
CREATE TABLE strikes (id INTEGER NOT NULL, at DOUBLE NOT NULL, machine_id BIGINT, host_id BIGINT,
    weight DOUBLE NOT NULL, why TEXT NOT NULL, PRIMARY KEY (id));
CREATE INDEX strikes_at ON strikes (at);
INSERT INTO strikes VALUES (1, 1760011200.0, 8, 9, 1.0, 'never came up');
CREATE TABLE failures ("group" VARCHAR(255) NOT NULL, host_id BIGINT NOT NULL, at DOUBLE NOT NULL,
    PRIMARY KEY ("group", host_id));
INSERT INTO failures VALUES ('chat', 9, 1760011200.0);
"""


def run(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def columns(path: Path) -> dict[str, set[str]]:
    engine = create_engine(f"sqlite:///{path}")
    seen = inspect(engine)
    found = {
        table: {each["name"] for each in seen.get_columns(table)}
        for table in seen.get_table_names()
    }
    engine.dispose()
    return found


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT version FROM schema_version").fetchone()[0])


def test_a_new_ledger_has_the_tables_of_today(tmp_path: Path) -> None:
    open_ledger(tmp_path).close()
    wanted = {name: set(table.c.keys()) for name, table in schema.metadata.tables.items()}
    assert columns(tmp_path / "ledger.db") == wanted
    assert version(tmp_path / "ledger.db") == len(STEPS)


def test_a_ledger_of_version_1_is_brought_to_today_with_all_that_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    run(path, VERSION_1)
    ledger = open_ledger(tmp_path)
    assert ledger.opening == 4
    assert ledger.intents.open() == {"a1": an_intent(instance_id=7)}
    assert ledger.spend.last_at() == NOON
    assert ledger.spend.by_instance() == {7: 5000}
    assert [each.intent_id for each in ledger.journal.unfinished()] == ["a1"]
    last = ledger.journal.last("chat")
    assert last is not None and last.inputs == {"ready": 0}
    assert ledger.reputation.scores(NOON).machine(8) == 1.0
    assert ledger.reputation.failed_hosts("chat", NOON) == {9}
    ledger.keys.create("ops", Right.READ, at=NOON)
    ledger.notes.put("x", 1)
    ledger.close()
    assert version(path) == len(STEPS)
    wanted = {name: set(table.c.keys()) for name, table in schema.metadata.tables.items()}
    assert columns(path) == wanted


def test_a_ledger_of_a_later_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    open_ledger(tmp_path).close()
    run(tmp_path / "ledger.db", "UPDATE schema_version SET version = 99")
    with pytest.raises(LedgerError) as caught:
        open_ledger(tmp_path)
    assert f"has version 99 and this program knows those up to {len(STEPS)}" in str(caught.value)
    assert version(tmp_path / "ledger.db") == 99


def test_a_database_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    run(tmp_path / "ledger.db", "CREATE TABLE cats (name TEXT)")
    with pytest.raises(LedgerError, match="not one of ours"):
        open_ledger(tmp_path)
    assert set(columns(tmp_path / "ledger.db")) == {"cats"}


def test_a_migration_that_ends_in_the_middle_is_done_at_the_next_opening(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    commits = []

    def crash(point: str) -> None:
        commits.append(point)
        if commits.count("commit") == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_ledger(tmp_path, watch=crash)
    assert version(path) == 1
    assert not {"keys", "notes"} & set(columns(path))
    open_ledger(tmp_path).close()
    assert version(path) == len(STEPS)

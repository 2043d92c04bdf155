"""The loop from an empty ledger to a served group, and through the first things that go wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from loop_rig import group, rig

from vast_pyworker.model import Desired, Stage


def test_a_group_is_rented_joins_and_becomes_ready(tmp_path: Path) -> None:
    with rig(tmp_path) as made:
        made.tick()
        assert len(made.provider.truth()) == 2
        made.run(120)
        assert made.stages() == [Stage.READY, Stage.READY]
        labels = {each.label for each in made.provider.truth().values()}
        assert labels == {f"fleet/llm/{each}" for each in made.ledger.intents.open()}
        assert {each.accepts for each in made.ears.places.values()} == {True}


def test_nothing_is_done_twice_when_nothing_changes(tmp_path: Path) -> None:
    with rig(tmp_path) as made:
        made.run(300)
        before = (made.provider.mutations, len(made.ledger.journal.events(0, 1000)))
        made.run(300)
        assert (made.provider.mutations, len(made.ledger.journal.events(0, 1000))) == before


def test_while_the_provider_cannot_be_read_nothing_is_changed(tmp_path: Path) -> None:
    with rig(tmp_path) as made:
        made.run(120)
        made.provider.fail("instances", "unreachable", times=None)
        made.loop.desire(replace(made.wishes, groups={"llm": group(min_instances=5)}))
        before = made.provider.mutations
        said = made.run(100)
        assert made.provider.mutations == before
        assert "could not be read, so nothing is changed" in said[0]
        made.provider.heal()
        made.run(300)
        assert made.ready() == 5


def test_a_killed_controller_adopts_what_it_rented_and_rents_nothing(tmp_path: Path) -> None:
    with rig(tmp_path) as made:
        made.run(120)
        mutations = made.provider.mutations
        made.restart()
        made.run(120)
        assert (made.provider.mutations, made.ready()) == (mutations, 2)


def test_a_lost_ledger_is_rebuilt_from_labels(tmp_path: Path) -> None:
    with rig(tmp_path) as made:
        made.run(120)
        mutations = made.provider.mutations
        made.ledger.close()
        for file in tmp_path.glob("ledger.db*"):
            file.unlink()
        made.open()
        made.run(120)
        assert (made.provider.mutations, made.ready()) == (mutations, 2)


def test_an_unknown_outcome_is_settled_by_the_label(tmp_path: Path) -> None:
    for how, created in (("after_effect", 2), ("before_effect", 3)):
        folder = tmp_path / how
        folder.mkdir()
        with rig(folder) as made:
            made.provider.fail("create", how)  # type: ignore[arg-type]
            made.settle()
            creates = [each for each in made.provider.acts if each.call == "create"]
            assert (made.ready(), len(made.provider.truth())) == (2, 2), how
            assert len(creates) == created, how


def test_one_that_comes_up_stopped_is_destroyed_and_replaced(tmp_path: Path) -> None:
    with rig(tmp_path) as made:
        made.provider.fail("create", "stopped")
        made.settle()
        assert (made.ready(), len(made.provider.truth())) == (2, 2)


def test_a_destroy_that_is_ignored_is_made_again_until_it_is_gone(tmp_path: Path) -> None:
    with rig(tmp_path) as made:
        made.run(120)
        made.provider.fail("destroy", "ignored", times=3)
        made.loop.desire(replace(made.wishes, groups={"llm": group(min_instances=1)}))
        made.run(1800, 20.0)
        assert len(made.provider.truth()) == 1
        assert len([each for each in made.provider.acts if each.call == "destroy"]) == 4


def test_what_vanishes_is_replaced_only_after_it_is_proven_gone(tmp_path: Path) -> None:
    with rig(tmp_path) as made:
        made.run(120)
        made.provider.outside.vanish(next(iter(made.provider.truth())))
        made.tick()
        assert Stage.MISSING in made.stages()
        made.settle()
        assert made.ready() == 2


def test_a_list_that_is_short_costs_nothing(tmp_path: Path) -> None:
    with rig(tmp_path) as made:
        made.run(120)
        before = made.provider.mutations
        made.provider.fail("instances", "empty", times=10)
        made.run(120)
        assert (made.provider.mutations, len(made.provider.truth())) == (before, 2)


def test_what_a_person_holds_is_left(tmp_path: Path) -> None:
    with rig(tmp_path) as made:
        made.run(120)
        held = next(iter(made.ledger.intents.open().values()))
        made.ledger.intents.change(held.id, held=True)
        made.loop.desire(replace(made.wishes, groups={"llm": group(min_instances=0)}))
        made.run(1800, 20.0)
        assert list(made.provider.truth()) == [held.instance_id]
        assert made.ledger.intents.open()[held.id].desired is Desired.RUN


def test_the_ledger_has_at_least_what_the_provider_billed(tmp_path: Path) -> None:
    with rig(tmp_path) as made:
        made.run(3600, 30.0)
        billed = float(made.provider.billed_in_all())
        assert billed > 0
        made.loop.tick()
        assert made.ledger.spend.spent_micro(0.0) >= billed - len(made.provider.truth())

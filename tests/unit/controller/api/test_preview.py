"""``plan``: the same decision as the loop's, printed and not carried out."""

from __future__ import annotations

import pytest

from vast_pyworker.controller.fake_controller import fake_group, fake_wishes
from vast_pyworker.controller.ledger_copy import copy_of
from vast_pyworker.controller.preview import preview
from vast_pyworker.errors import LedgerError, ProviderUnreachable
from vast_pyworker.model import ActionKind, Limits


def kinds(made):
    return [each.kind for each in made.decisions["llm"].made.actions]


def test_an_empty_account_is_filled_with_the_offers_that_are_named(start):
    controller = start().controller
    made = preview(fake_wishes(), controller.provider, None, controller.time())
    assert kinds(made) == [ActionKind.RENT] * 2
    taken = made.offers["llm"]
    assert len({each.machine_id for each in taken}) == 2
    assert made.usd_per_hour == 0.0
    assert made.usd_per_hour_then == pytest.approx(sum(each.usd_per_hour for each in taken))
    assert controller.provider.acts == []


def test_beside_a_controller_it_says_what_that_would_say(client, tmp_path):
    controller = client.controller
    before = controller.ledger.commits
    with copy_of(str(tmp_path / "state0/ledger.db")) as known:
        made = preview(fake_wishes(), controller.provider, known, controller.time())
    assert kinds(made) == []
    assert made.usd_per_hour == pytest.approx(client.json("GET", "/groups")["usd_per_hour"])
    assert controller.ledger.commits == before


def test_without_a_ledger_what_exists_is_found_by_its_label(client):
    controller = client.controller
    made = preview(fake_wishes(fake_group(min_instances=3)), controller.provider, None,
                   controller.time())  # fmt: skip
    assert kinds(made) == [ActionKind.RENT]


def test_limits_hold_a_plan_back_in_a_sentence(start):
    controller = start().controller
    small = Limits(instances=1, usd_per_hour=20.0)
    made = preview(fake_wishes(limits=small), controller.provider, None, controller.time())
    assert kinds(made) == [ActionKind.RENT]
    assert "limits.instances" in made.decisions["llm"].made.sentence


def test_a_provider_that_cannot_be_read_is_no_plan(start):
    controller = start().controller

    def watch(moment, name):
        if moment == "before" and name == "instances":
            raise ProviderUnreachable("There was no answer.")

    controller.provider.watch = watch
    with pytest.raises(ProviderUnreachable):
        preview(fake_wishes(), controller.provider, None, controller.time())


def test_there_is_no_copy_of_what_is_not_there_and_none_of_what_is_no_ledger(tmp_path):
    with copy_of(str(tmp_path / "none")) as known:
        assert known is None
    (tmp_path / "text").write_text("this is a text\n" * 500)
    with pytest.raises(LedgerError, match="text"), copy_of(str(tmp_path / "text")):
        pass

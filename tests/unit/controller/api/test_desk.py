"""The wishes in force: the file with what was changed by command, kept, checked whole, tidied."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vast_pyworker.controller.fake_controller import fake_group, fake_wishes
from vast_pyworker.controller.made_groups import made_group, with_endpoint_fields
from vast_pyworker.controller.overlay import MadeEndpoint, MadeGroup, Overlay, laid_over
from vast_pyworker.errors import Invalid
from vast_pyworker.model import Limits

LIMITS = Limits(instances=10, usd_per_hour=5.0)


def overlaid(**changes):
    return laid_over(fake_wishes(limits=LIMITS), Overlay(**changes), 1000.0).groups


def test_nothing_changed_is_the_file():
    assert laid_over(fake_wishes(), Overlay(), 0.0) == fake_wishes()


def test_a_pin_goes_before_policy_and_windows_and_never_above_the_limits():
    group = overlaid(pins={"llm": 3})["llm"]
    assert (group.policy, group.min_instances, group.max_instances) == ("hold", 3, 3)
    assert overlaid(pins={"llm": 300})["llm"].max_instances == 10


def test_an_emptied_group_wants_nothing_whatever_else_was_said():
    group = overlaid(pins={"llm": 3}, emptied=frozenset({"llm"}))["llm"]
    assert (group.min_instances, group.max_instances, group.cold_instances) == (0, 0, 0)


def test_a_renewed_group_finds_all_before_the_moment_too_old():
    assert overlaid(renewed={"llm": 400.0})["llm"].max_lifetime_s == 600.0
    young = replace(fake_group(), max_lifetime_s=100.0)
    wishes = fake_wishes(young)
    assert laid_over(wishes, Overlay(renewed={"llm": 400.0}), 1000.0).groups[
        "llm"
    ].max_lifetime_s == (100.0)


def test_the_files_word_on_a_name_goes_first():
    made = MadeGroup("other", 1.0, {"template_hash": "x"})
    assert overlaid(groups={"llm": made})["llm"].endpoint == "llm"


def test_an_overlay_is_the_same_after_json():
    overlay = Overlay(
        pins={"a": 1}, emptied=frozenset({"b"}), renewed={"c": 2.0},
        endpoints={"d": MadeEndpoint(3.0, {"min_load": 1.0}, made=True)},
        groups={"e": MadeGroup("d", 4.0, {"template_hash": "x"})},
    ).numbered(["endpoint d", "group e"])  # fmt: skip
    assert Overlay.from_json(overlay.to_json()) == overlay
    assert overlay.name_of("group", 2) == "e" and overlay.name_of("group", 1) is None


def test_numbers_are_never_used_twice():
    first = Overlay().numbered(["group a", "group b"])
    assert first.numbered(["group a", "group c"]).numbers["group c"] == 3


def test_only_sizes_leave_another_policy_in_force():
    group = fake_group(policy="hold")
    changed = with_endpoint_fields(group, {"max_workers": 1, "cold_workers": 2}, LIMITS)
    assert (changed.policy, changed.max_instances, changed.min_instances) == ("hold", 1, 1)
    assert changed.cold_instances == 2
    assert with_endpoint_fields(group, {"target_util": 0.5}, LIMITS).policy == "vast"


def test_a_made_group_has_a_price_cap_whatever_its_query_says():
    fields = {"template_hash": "x"}
    assert made_group("a", "a", fields, LIMITS).max_usd_per_hour == 0.5
    dear = {**fields, "search_params": "dph<=99"}
    assert made_group("a", "a", dear, LIMITS).max_usd_per_hour == 5.0


def test_a_launch_is_read_as_the_command_line_reads_it():
    words = "--image demo:1 --disk 40 --env '-e A=1 -p 80:80' --onstart-cmd 'run me' --direct"
    launch = made_group("a", "a", {"launch_args": words}, LIMITS).launch
    assert (launch.image, launch.disk_gb, launch.onstart) == ("demo:1", 40.0, "run me")
    assert launch.env == {"A": "1", "-p 80:80": "1"}


@pytest.mark.parametrize("fields", [{}, {"launch_args": "--disk 5"}, {"launch_args": "--disk x"}])
def test_a_launch_of_nothing_is_refused(fields):
    with pytest.raises(Invalid):
        made_group("a", "a", fields, LIMITS)


def test_a_change_that_cannot_be_leaves_everything_as_it_was(start):
    desk = start().controller.parts.desk
    before = desk.overlay

    def wrong(overlay):
        return replace(overlay, groups={"x": MadeGroup("x", 1.0, {})})

    with pytest.raises(Invalid):
        desk.edit(wrong)
    assert desk.overlay is before and "x" not in desk.wishes().groups


def test_the_fleets_name_does_not_change_by_a_reload(start):
    client = start()
    client.controller.wishes = replace(fake_wishes(), fleet="other")
    assert "still called fleet" in client.json("POST", "/reload")["said"]
    assert client.json("GET", "/groups")["fleet"] == "fleet"

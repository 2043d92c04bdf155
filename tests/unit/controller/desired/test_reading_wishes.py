"""groups.toml read into Wishes, and what is said where it is wrong."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest
from desired_support import GOOD, faults, only_fault
from hypothesis import given, settings
from hypothesis import strategies as st

from vast_pyworker.controller.desired.keys import TABLES
from vast_pyworker.controller.desired.reading import parse_wishes, read_wishes
from vast_pyworker.errors import WishError
from vast_pyworker.model import (
    Deadlines,
    Group,
    Launch,
    Limits,
    OnDelete,
    OnShutdown,
    Pace,
    Preferences,
    Window,
)

FULL = """
fleet = "shop"
limits = { instances = 10, usd_per_hour = 8, usd_per_day = 100.5, usd_per_month = 2000 }

[group.llm]
endpoint = "chat"
query = "num_gpus=1 gpu_ram>=24"
max_usd_per_hour = 0.5
min_instances = 1
max_instances = 4
policy = "vast"
policy_options = { cold_workers = 2 }
cold_instances = 1
on_shutdown = "stop"
on_external_delete = "shrink"
max_lifetime_s = "1d 12h"
stopped_ttl_s = 600

[group.llm.launch]
backend = "llamacpp"
template_hash = "abc"
disk_gb = 40
env = { A = "1", WORKER_PORT = 3001 }
ports = [3001, "8080:80", "5000/udp"]
onstart = "echo hello"
bid_usd_per_hour = 0.3

[group.llm.preferences]
bad_hosts = [1, 2]
bad_machines = [3]
good_hosts = [4]
good_machines = [5]

[group.llm.deadlines]
loading_s = "10m"
joining_s = 61
ready_s = "90s"
starting_s = 62
drain_s = 0
lease_s = 45.5

[group.llm.pace]
cooldown_up_s = 5
cooldown_down_s = "1h"
max_step = 2

[[group.llm.window]]
hours = "22:00-06:00"
days = "fri-sun, tue"
zone = "Europe/Berlin"
min_instances = 0
max_instances = 2
max_usd_per_hour = 0.25

[[group.llm.window]]
hours = "18:00-24:00"
max_instances = 3
"""


def group_of(text: str) -> Group:
    (group,) = parse_wishes(text, {}).groups.values()
    return group


def test_every_key_arrives() -> None:
    wishes = parse_wishes(FULL, {})
    group = wishes.groups["llm"]
    assert wishes.fleet == "shop"
    assert wishes.limits == Limits(10, 8.0, 100.5, 2000.0)
    assert (group.name, group.endpoint, group.query) == ("llm", "chat", "num_gpus=1 gpu_ram>=24")
    assert (group.max_usd_per_hour, group.min_instances, group.max_instances) == (0.5, 1, 4)
    assert (group.policy, group.policy_options["cold_workers"]) == ("vast", 2)
    assert group.cold_instances == 1
    assert (group.on_shutdown, group.on_external_delete) == (OnShutdown.STOP, OnDelete.SHRINK)
    assert (group.max_lifetime_s, group.stopped_ttl_s) == (129_600.0, 600.0)
    assert group.launch == Launch(
        "llamacpp",
        template_hash="abc",
        disk_gb=40.0,
        env={
            "A": "1",
            "WORKER_PORT": "3001",
            "-p 3001:3001": "1",
            "-p 8080:80": "1",
            "-p 5000:5000/udp": "1",
        },
        onstart="echo hello",
        bid_usd_per_hour=0.3,
    )
    assert group.preferences == Preferences(
        frozenset({1, 2}), frozenset({3}), frozenset({4}), frozenset({5})
    )
    assert group.deadlines == Deadlines(600.0, 61.0, 90.0, 62.0, 0.0, 45.5)
    assert group.pace == Pace(5.0, 3600.0, 2)
    night = Window(frozenset({4, 5, 6, 1}), time(22), time(6), "Europe/Berlin", 0, 2, 0.25)
    assert group.windows == (
        night,
        Window(frozenset(range(7)), time(18), time(0), "UTC", max_instances=3),
    )


def test_the_full_file_of_this_test_has_every_key_there_is() -> None:
    names = {name for keys in TABLES.values() for name in keys} - {"image", "onstart_file"}
    assert [name for name in names if name not in FULL] == []


def test_what_is_left_out_is_the_models_default() -> None:
    group = group_of(GOOD)
    plain = Group(
        "llm", "llm", group.launch, "num_gpus=1 gpu_ram>=24", 0.5, 1, 4, policy_options={}
    )
    assert group == plain
    assert parse_wishes('fleet = "f"\nlimits = {instances=0, usd_per_hour=0}', {}).groups == {}


def test_an_image_opens_the_workers_port_and_starts_it() -> None:
    launch = group_of(GOOD).launch
    assert launch.env == {"-p 3000:3000": "1"}
    assert launch.onstart is not None
    assert "start_server.sh | bash -s llamacpp" in launch.onstart
    other = group_of(GOOD + "env = { WORKER_PORT = 4000 }").launch
    assert other.env == {"WORKER_PORT": "4000", "-p 4000:4000": "1"}


def test_a_template_has_its_own_ports_and_script() -> None:
    text = GOOD.replace('image = "ubuntu:24.04"', 'template_hash = "abc"')
    assert group_of(text).launch == Launch("llamacpp", template_hash="abc")


def test_a_file_read_twice_is_equal_and_a_changed_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "groups.toml"
    path.write_text(FULL)
    first = read_wishes(path, {})
    assert read_wishes(str(path), {}) == first
    path.write_text(FULL.replace("max_step = 2", "max_step = 3"))
    assert read_wishes(path, {}) != first


def test_a_script_is_read_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "start.sh").write_text("echo from the file\n")
    (tmp_path / "groups.toml").write_text(GOOD + 'onstart_file = "start.sh"\n')
    wishes = read_wishes(tmp_path / "groups.toml", {})
    assert wishes.groups["llm"].launch.onstart == "echo from the file\n"


def test_a_script_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "groups.toml").write_text(GOOD + 'onstart_file = "gone.sh"\n')
    with pytest.raises(
        WishError, match=r"groups.toml:16: group.llm.launch.onstart_file: .*gone.sh"
    ):
        read_wishes(tmp_path / "groups.toml", {})


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"shop"', '"My Shop"', 'groups.toml:1: fleet: "My Shop" is no name; write at most 40 of'),
        ('"shop"', "7", "groups.toml:1: fleet: 7 is no name; write"),
        ("[group.llm]", "[group.llm]\nendpoint = 'a/b'", 'endpoint: "a/b" is no name; write'),
        ("= 10", "= true", "groups.toml:4: limits.instances: true is no count; write a whole"),
        ("= 10", "= 2.5", "groups.toml:4: limits.instances: 2.5 is no count"),
        ("= 10", "= -1", "groups.toml:4: limits.instances: -1 is no count"),
        ("= 8.0", "= inf", "groups.toml:5: limits.usd_per_hour: inf is no amount; write dollars"),
        ("= 8.0", "= 1979-05-27", "limits.usd_per_hour: 1979-05-27 is no amount"),
        ("0.5", '"cheap"', 'groups.toml:9: group.llm.max_usd_per_hour: "cheap" is no price; write'
         " dollars an hour, such as 0.45."),
        ("0.5", "0", "group.llm.max_usd_per_hour: 0 is no price"),
        ("max_inst", "max_ints", "groups.toml:11: group.llm.max_intsances: there is no such key; do"
         " you mean max_instances?"),
        ("max_usd_per_hour = 0.5", "", "groups.toml:7: group.llm.max_usd_per_hour: this is missing;"
         " write dollars an hour"),
        ("[group.llm]", "[group.llm]\nimage = 'x'", "belongs under [group.NAME.launch]."),
        ("[group.llm]", "[group.llm]\npolicy = 'vastt'", "no such policy; do you mean vast?"),
        ("[group.llm]", "[group.llm]\npolicy = 3", "group.llm.policy: 3 is no word"),
        ("[group.llm]", "[group.llm]\npolicy_options.instanzes = 1", "groups.toml:8: group.llm."
         "policy_options.instanzes: Policy hold has no option instanzes: do you mean instances?"),
        ("[group.llm]", "[group.llm]\npolicy_options.instances = -1", "it has to be a whole"),
        ("[group.llm]", f"[group.llm]\npolicy_options.instances = {'9' * 400}", "is too large"),
        ("[group.llm]", "[group.llm]\non_shutdown = 'stopp'", '"stopp" is none of leave, stop, '
         "destroy; write one, perhaps stop."),
        ("[group.llm]", "[group.llm]\nmax_lifetime_s = '4w'", 'group.llm.max_lifetime_s: "4w" is no'
         " duration above 0; write seconds above 0, or a text such as"),
        ("[group.llm]", "[group.llm]\nmax_lifetime_s = 0", "max_lifetime_s: 0 is no duration"),
        ("[group.llm]", "[group.llm]\npace.max_step = 0", "group.llm.pace.max_step: 0 is no step"),
        ("[group.llm]", "[group.llm]\npace.max_stepp = 1", "do you mean max_step?"),
        ("[group.llm]", "[group.llm]\npreferences.bad_hosts = ['x']", '["x"] is no list of ids'),
        ("[group.llm]", "[group.llm]\ndeadlines = 3", "group.llm.deadlines: 3 is no table"),
        ("gpu_ram>=24", "gpu_ram>=lots", "at column 21 is not a number"),
        ("gpu_ram>=24", "gpu_rom>=24", "groups.toml:8: group.llm.query: offers have no field "
         "gpu_rom; do you mean gpu_ram?"),
        ("gpu_ram>=24", "zzzzz=1", "offers have no field zzzzz; there are bw_nvlink,"),
        ('image = "ubuntu:24.04"', "", "groups.toml:13: group.llm.launch: an image or a template"),
        ("image =", "template_hash = 'x'\nimage =", "launch.template_hash: there is an image as"),
        ("image =", "ports = [0]\nimage =", "group.llm.launch.ports: [0] is no list of ports"),
        ("image =", "ports = ['1:2:3']\nimage =", '["1:2:3"] is no list of ports'),
        ("image =", "env.MASTER_TOKEN = 'x'\nimage =", "the controller sets this itself"),
        ("image =", "env.A = true\nimage =", "groups.toml:15: group.llm.launch.env.A: true is no "
         "text; write it in quotes."),
        ("image =", "env.'-p 1:1' = '1'\nimage =", "ports are listed in ports."),
        ("image =", "env.WORKER_PORT = 'x'\nimage =", 'launch.env.WORKER_PORT: "x" is no port.'),
        ("image =", 'env.A = "\\u0000"\nimage =', "a variable cannot hold a zero byte"),
        ("image =", f"onstart = '{'x' * 4049}'\nimage =", "4049 characters are too many; Vast takes"
         " 4048."),
        ("image =", "onstart = 'x'\nonstart_file = 'y'\nimage =", "there is an onstart as well"),
        ("llamacpp", "../x", '"../x" is no name of a backend'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_with_its_place_and_a_remedy(
    old: str, new: str, said: str
) -> None:
    text = GOOD.replace(old, new, 1)
    assert text != GOOD
    fault = only_fault(text)
    assert said in fault
    assert fault.startswith("groups.toml:")


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ("max_instances = 2", "hours: this is missing; write two times of day"),
        ('hours = "25:00-06:00"\nmax_instances = 2', '"25:00-06:00" is no span of hours'),
        ('hours = "6-7"\nmax_instances = 2', '"6-7" is no span of hours'),
        ('hours = "1:00-2:00"', "window[0]: this window changes nothing; give it min_instances"),
        (
            'hours = "1:00-2:00"\ndays = "mon-foo"\nmax_instances = 2',
            '"mon-foo" is no list of days',
        ),
        ('hours = "1:00-2:00"\nzone = "Europe/Berlyn"\nmax_instances = 2', "no time zone on this"),
        ('hours = "1:00-2:00"\nzone = "../../etc"\nmax_instances = 2', "no time zone on this"),
        ('hours = "1:00-2:00"\nzone = "Europe"\nmax_instances = 2', "no time zone on this"),
        ('hours = "1:00-2:00"\nmin_instances = 5', "window[0].min_instances: 5 is more than max_i"),
        ('hours = "1:00-2:00"\nmax_instances = 0', "1 is more than max_instances, 0"),
        ('hours = "1:00-2:00"\nmax_instances = 99\nmin_instances = 11', "limits.instances, 10"),
        ('hours = "1:00-2:00"\nmax_usd_per_hour = 9', "1 at up to $9 an hour are $9, more than"),
        ('hours = "1:00-2:00"\nmax_inst = 9\nmax_instances = 3', "do you mean max_instances?"),
    ],
)
def test_a_wrong_window_is_named(window: str, said: str) -> None:
    assert said in only_fault(f"{GOOD}\n[[group.llm.window]]\n{window}\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("= 10", "= 0"), "groups.toml:4: limits.instances: 0 is less than the min_"
         "instances of all groups, 1 (llm 1); raise it or lower them."),
        (GOOD.replace("min_instances = 1", "min_instances = 5"), "groups.toml:10: group.llm."
         "min_instances: 5 is more than max_instances, 4; lower it, or raise max_instances."),
        (GOOD.replace("= 8.0", "= 0.4"), "groups.toml:10: group.llm.min_instances: 1 at up to $0.5 "
         "an hour are $0.5, more than limits.usd_per_hour, $0.4; raise that, or lower"),
        (GOOD + "bid_usd_per_hour = 0.6", "groups.toml:16: group.llm.launch.bid_usd_per_hour: $0.6 "
         "is more than max_usd_per_hour, $0.5; lower the bid or raise that."),
        (GOOD + GOOD.partition("\n[limits]")[2].partition("8.0\n")[2].replace(".llm", ".b")
         .replace("[group.b]", "[group.b]\nendpoint = 'llm'"),
         'group.b.endpoint: "llm" is the endpoint of group llm; write another.'),
    ],
)  # fmt: skip
def test_what_is_wrong_together_is_named(text: str, said: str) -> None:
    assert said in only_fault(text)


def test_a_wrong_name_of_a_group_is_named() -> None:
    fault = only_fault(GOOD.replace("group.llm", 'group."a b"'))
    assert fault.startswith(
        'groups.toml:7: group."a b": "a b" is no name of a group; write at most'
    )


def test_a_required_key_that_is_misspelt_is_not_missing_as_well() -> None:
    fault = only_fault(GOOD.replace("max_usd_per_hour", "max_usd_per_huor"))
    assert (
        "group.llm.max_usd_per_huor: there is no such key; do you mean max_usd_per_hour?" in fault
    )


def test_a_minimum_that_fits_to_the_cent_is_right() -> None:
    text = GOOD.replace("= 8.0", "= 0.3").replace("0.5", "0.1").replace("s = 1", "s = 3")
    assert faults(text) == []


def test_all_faults_come_at_once_in_the_order_of_the_file() -> None:
    text = GOOD.replace("shop", "S").replace("= 10", "= 'x'").replace("0.5", "'cheap'")
    text = text.replace("max_instances = 4", "max_instances = 0").replace("ubuntu:", "u b")
    assert [each.split(":")[1] for each in faults(text)] == ["1", "4", "9", "10", "15"]


def test_a_fault_is_one_line_whatever_the_value_holds() -> None:
    assert r'"a\nb" is no name' in only_fault(GOOD.replace('"shop"', '"a\\nb"'))
    long = only_fault(GOOD.replace('"shop"', f'"{"x" * 500}"'))
    assert len(long) < 200


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1\nb = = 2\n", "groups.toml:2: this is no TOML: Invalid value at column 5."),
        ("a = 1\na = 2\n", "groups.toml:2: this is no TOML: Cannot overwrite a value"),
        ("[a.b]\n[a.b]\n", "groups.toml:2: this is no TOML: Cannot declare 'a.b' twice at column"),
        ('a = "', "groups.toml:1: this is no TOML:"),
        ("a = " + "[" * 5000, "groups.toml"),
        ("a = " + "9" * 5000, "groups.toml"),
    ],
)
def test_what_is_no_toml_is_named_with_its_line(text: str, said: str) -> None:
    assert said in only_fault(text)


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(WishError, match=r"gone\.toml cannot be read: No such file"):
        read_wishes(tmp_path / "gone.toml", {})
    (tmp_path / "latin.toml").write_bytes(b"a = 1\nb = '\xe9'\n")
    with pytest.raises(WishError, match=r"latin\.toml:2: this is no UTF-8"):
        read_wishes(tmp_path / "latin.toml", {})


def test_a_mark_at_the_begin_of_the_file_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "groups.toml").write_text(GOOD, encoding="utf-8-sig")
    assert read_wishes(tmp_path / "groups.toml", {}).fleet == "shop"


VALUES = st.sampled_from(
    [
        "0",
        "-1",
        "1e400",
        "nan",
        "true",
        '""',
        '"-"',
        "[]",
        "[[1]]",
        "{}",
        "[{a=1}]",
        "07:32:00",
        "1979-05-27T07:32:00Z",
        '"\\u0000"',
        '"\\n"',
        '"x"',
        '"1h"',
        '"any"',
        '"gpu_ram>=x"',
        '"00:00-24:00"',
        "[3000]",
        '["x"]',
        "[true]",
        f"0x{'f' * 600}",
    ]
)
NAMES = st.sampled_from(
    [*(name for keys in TABLES.values() for name in keys), "x", '""', '"a\\nb"']
)
HEADERS = st.sampled_from(
    [
        "[limits]",
        "[group]",
        "[group.a]",
        '[group."\\n"]',
        "[group.a.launch]",
        "[group.a.launch.env]",
        "[[group]]",
        "[[group.a.window]]",
        "[group.a.pace]",
        "[group.a.policy_options]",
    ]
)
LINES = st.one_of(HEADERS, st.builds("{} = {}".format, NAMES, VALUES))


@given(st.lists(LINES, max_size=14))
@settings(max_examples=300, deadline=None)
def test_whatever_the_file_holds_it_is_read_or_refused_in_lines(lines: list[str]) -> None:
    for fault in faults("\n".join(lines)):
        assert fault.startswith("groups.toml:")
        assert fault.endswith((".", "?")), fault


def windows(*texts: str) -> str:
    return GOOD + "".join(f"\n[[group.llm.window]]\nmax_instances = 2\n{each}" for each in texts)


@pytest.mark.parametrize(
    "texts",
    [
        ('hours = "08:00-18:00"', 'hours = "09:00-10:00"\ndays = "mon"'),
        ('hours = "22:00-06:00"\ndays = "fri"', 'hours = "01:00-02:00"\ndays = "sat"'),
        ('hours = "08:00-12:00"', 'hours = "12:00-18:00"', 'hours = "11:00-13:00"'),
    ],
)
def test_a_window_that_never_holds_is_a_fault(texts: tuple[str, ...]) -> None:
    fault = only_fault(windows(*texts))
    assert f"window[{len(texts) - 1}]: windows before this one have all of its hours" in fault


@pytest.mark.parametrize(
    "texts",
    [
        ('hours = "08:00-18:00"', 'hours = "09:00-19:00"'),
        ('hours = "08:00-18:00"', 'hours = "09:00-10:00"\nzone = "Europe/Berlin"'),
        ('hours = "22:00-06:00"\ndays = "fri"', 'hours = "01:00-02:00"\ndays = "fri"'),
    ],
)
def test_windows_that_lie_over_each_other_in_part_are_right(texts: tuple[str, ...]) -> None:
    assert faults(windows(*texts)) == []


def test_a_window_with_wrong_days_hides_no_other() -> None:
    fault = only_fault(windows('hours = "08:00-18:00"\ndays = "foo"', 'hours = "09:00-10:00"'))
    assert "is no list of days" in fault


def test_a_query_may_name_a_region() -> None:
    text = GOOD.replace("num_gpus=1", "num_gpus=1 geolocation=EU georegion=true")
    assert faults(text) == []
    changed = parse_wishes(text, {"VAST_QUERY_RELIABILITY": "0.9"}).groups["llm"].query
    assert "georegion" not in changed and "DE" in changed and "reliability>=0.9" in changed


def test_what_can_be_instead_of_a_stranger_is_a_sentence_of_its_own() -> None:
    fault = only_fault(GOOD.replace("min_instances = 1", "min_instances = 1\nxyz = 1"))
    assert "xyz: there is no such key. There can be endpoint, query" in fault

"""The query language beside the official parser, and against whatever text there is."""

from __future__ import annotations

import contextlib
import io
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vast_pyworker.errors import QueryError
from vast_pyworker.vastai.fields import (
    OFFER_ALIASES,
    OFFER_FIELDS,
    OFFER_MULTIPLIERS,
    REGIONS,
)
from vast_pyworker.vastai.launch import parse_env, resolve_runtype, unread_env
from vast_pyworker.vastai.query import (
    DEFAULTS,
    numeric_version,
    parse_order,
    parse_query,
    unparse_query,
)
from vast_pyworker.vastai.regions import expand_regions


def words(text):
    return text.split()


FIELDS = st.sampled_from(
    [*sorted(OFFER_FIELDS), *OFFER_ALIASES, "foo", "in", "eq", "not", "gpu_ram", "driver_version"]
)
SIGNS = st.sampled_from(
    [
        *words("= == != > >= < <= => <> =! eq neq noteq gt gte lt lte in notin nin IN"),
        *("not eq", "not in", "", "not  in"),
    ]
)
SPACES = st.sampled_from(["", " ", " ", "  ", "\t", "\n"])
WORDS = st.one_of(
    st.sampled_from(
        words(
            "1 24 0.5 -3 1e3 a]b nan inf 1e306 1_0 any * ? true True false None null RTX_4090 "
            '535.86.05 0.0.0 5_3.1.2 -1.2.3 535.86 [] [ ] "" " \' , [any] [a,b] [,] "[a]" ""a"b" '
            '_ a"b [24,48] [535.86.05] [true,false]'
        )
    ),
    st.text(alphabet='ab_1.,[]"=>< \t\xa0٣é', max_size=8),
)
WRITTEN = st.lists(
    st.tuples(FIELDS, SPACES, SIGNS, SPACES, WORDS, st.sampled_from([" ", " ", "  ", "", ", "])),
    max_size=4,
).map(lambda clauses: "".join("".join(parts) for parts in clauses))
SOUP = st.text(alphabet="abin_ =><!\"[],.1'\t\n()", max_size=24)
QUERIES = st.one_of(WRITTEN, WRITTEN, SOUP)


@settings(max_examples=1500, deadline=None)
@given(QUERIES, st.booleans())
def test_what_is_written_again_reads_the_same(query, defaults):
    try:
        filters = parse_query(query, DEFAULTS if defaults else None)
    except QueryError:
        return
    written = unparse_query(filters)
    assert parse_query(written) == filters
    assert unparse_query(parse_query(written)) == written


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(sorted(OFFER_MULTIPLIERS)),
    st.floats(-1e300, 1e300, allow_nan=False, allow_infinity=False),
)
def test_a_number_with_a_unit_keeps_its_every_bit(field, number):
    filters = parse_query(f"{field}>={number!r}")
    assert parse_query(unparse_query(filters)) == filters


@settings(max_examples=600, deadline=None)
@given(
    st.one_of(QUERIES, st.text(), st.binary(), st.binary().map(lambda data: data.decode("latin-1")))
)
def test_nothing_but_the_documented_error_is_raised(anything):
    with contextlib.suppress(QueryError):
        parse_query(anything)
    if isinstance(anything, str):
        for read in (parse_order, expand_regions, numeric_version):
            with contextlib.suppress(QueryError):
                read(anything)


@settings(max_examples=600, deadline=None)
@given(QUERIES)
def test_an_error_points_at_its_token(query):
    try:
        parse_query(query)
    except QueryError as error:
        assert error.token and error.column
        assert query[error.column - 1 :].startswith(error.token)
        assert f" at column {error.column} " in str(error) and len(str(error)) < 500


ENVS = st.one_of(
    st.text(),
    st.text(alphabet="-epvhn =AB1:/'\"tcud", max_size=40),
    st.lists(
        st.sampled_from(["-e", "-p", "-v", "-n", "-h", "A=1", "B='x y'", "80:80", "n1", "", "--x"]),
        max_size=8,
    ).map(" ".join),
)


@settings(max_examples=600, deadline=None)
@given(ENVS)
def test_env_flags_never_raise_and_no_word_is_lost(text):
    env = parse_env(text)
    assert all(isinstance(part, str) for pair in env.items() for part in pair)
    assert bool(env or unread_env(text)) == bool(text.strip(" "))


@pytest.mark.official
class TestBesideTheOfficialClient:
    """Same result or an error on both sides."""

    @settings(max_examples=3000, deadline=None)
    @given(QUERIES, st.booleans())
    def test_queries(self, query, defaults):
        official = pytest.importorskip("vastai.api.query")
        theirs = self._asked(
            official.parse_query,
            query,
            {field: dict(each) for field, each in DEFAULTS.items()} if defaults else {},
            official.offers_fields,
            official.offers_alias,
            official.offers_mult,
        )
        if theirs is not None and not all(map(finite, theirs.values())):
            theirs = None  # their own HTTP library refuses it as no JSON
        try:
            ours = parse_query(query, DEFAULTS if defaults else None)
        except QueryError:
            ours = None
        assert ours == theirs

    @settings(max_examples=600, deadline=None)
    @given(ENVS)
    def test_env_flags(self, text):
        official = pytest.importorskip("vastai.utils")
        assert parse_env(text) == official.parse_env(text)

    @settings(max_examples=300, deadline=None)
    @given(st.text(alphabet="dph,score+- _", max_size=12))
    def test_orders(self, text):
        official = pytest.importorskip("vastai.api.query")
        try:
            ours = parse_order(text)
        except QueryError:
            fields = [word.strip().strip("+-") for word in text.split(",") if word.strip()]
            assert [field for field, _ in official.parse_order(text)] != fields or "" in fields
        else:
            assert ours == official.parse_order(text)

    @settings(max_examples=300, deadline=None)
    @given(st.one_of(st.text(alphabet="0123456789._-+ a", max_size=12), st.text()))
    def test_versions(self, text):
        official = pytest.importorskip("vastai.api.query")
        with contextlib.redirect_stdout(io.StringIO()):
            assert numeric_version(text) == official.numeric_version(text)

    @settings(max_examples=300, deadline=None)
    @given(
        st.fixed_dictionaries(
            {},
            optional={
                **dict.fromkeys(("ssh", "jupyter", "direct", "jupyter_lab"), st.booleans()),
                "runtype": st.sampled_from([None, "", "ssh", "args"]),
                "args": st.sampled_from([None, "", [""], [], ["-c", "x"], "x"]),
                "jupyter_dir": st.sampled_from([None, "", "/work"]),
                "default": st.sampled_from([None, "ssh"]),
            },
        )
    )
    def test_runtypes(self, flags):
        official = pytest.importorskip("vastai.api.instances")
        theirs = self._asked(official.resolve_runtype, **flags)
        try:
            assert resolve_runtype(**flags) == theirs
        except QueryError:
            assert theirs is None

    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["geolocation=", "geolocation in ", "num_gpus>=", "gpu_name != "]),
                st.sampled_from(["EU", "NA", "AS", "AF", "OC", "XX", "4"]),
            ),
            max_size=3,
        ),
        st.sampled_from(["", "georegion=true", "chunked=true", "georegion=true chunked=true"]),
    )
    def test_directives(self, clauses, directives):
        official = pytest.importorskip("vastai.utils")
        query = " ".join([*("".join(each) for each in clauses), directives])
        assert tuple(expand_regions(query)) == official.preprocess_search_query(query)

    def test_regions_are_theirs_but_for_misspelt_countries(self):
        official = pytest.importorskip("vastai.utils")
        theirs = {name: set(codes.split(",")) for name, codes in official._regions.items()}
        assert theirs.pop("LC") - set(REGIONS["LC"]) == {"RD", "SUR", "UR", "VZ"}
        assert theirs == {name: set(codes) for name, codes in REGIONS.items() if name != "LC"}

    @staticmethod
    def _asked(function, *args, **kwargs):
        """Their result, None for any of their errors and the two crashes."""
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                return function(*args, **kwargs)
            except (ValueError, TypeError, AttributeError):
                return None


def finite(conditions):
    return all(math.isfinite(each) for each in conditions.values() if isinstance(each, float))

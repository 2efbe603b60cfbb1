"""Names that providers accept."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, strategies as st

from unified_agents.errors import ConfigError
from unified_agents.tools.provider_names import provider_names

LEGAL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")
awkward = st.text(alphabet=st.sampled_from("ab_.-/ é\n"), min_size=1, max_size=4) | st.text(min_size=1, max_size=90)
name_lists = st.lists(awkward, unique=True, max_size=12)


@given(name_lists, st.data())
def test_names_are_legal_different_and_stable(names: list[str], data: st.DataObject) -> None:
    taken = frozenset(data.draw(st.lists(st.sampled_from([*names, "a_b"]), max_size=3)))
    mapped = provider_names(names, taken=taken)
    assert list(mapped) == names
    assert len(set(mapped.values())) == len(names)
    assert all(LEGAL.fullmatch(name) for name in mapped.values())
    assert not taken & set(mapped.values())
    assert all(mapped[name] == name for name in names if LEGAL.fullmatch(name) and name not in taken)
    shuffled = data.draw(st.permutations(names))
    assert provider_names(shuffled, taken=taken) == mapped


def test_legal_names_stay() -> None:
    assert provider_names(["search", "Get-It_2"]) == {"search": "search", "Get-It_2": "Get-It_2"}


def test_illegal_characters_become_underscores() -> None:
    assert provider_names(["math.add"]) == {"math.add": "math_add"}


def test_long_names_end_in_a_hash_that_never_changes() -> None:
    long = "a" * 65
    assert provider_names([long])[long] == "a" * 55 + "_635361c4"
    assert provider_names(["a" * 64]) == {"a" * 64: "a" * 64}


def test_names_that_would_meet_are_told_apart() -> None:
    mapped = provider_names(["a.b", "a/b", "a_b"])
    assert mapped["a_b"] == "a_b"
    assert mapped["a.b"].startswith("a_b_")
    assert mapped["a/b"].startswith("a_b_")
    assert len(set(mapped.values())) == 3


def test_a_taken_name_is_not_given() -> None:
    assert provider_names(["invalid"], taken=frozenset({"invalid"}))["invalid"].startswith("invalid_")


def test_a_name_given_twice_is_an_error() -> None:
    with pytest.raises(ConfigError, match="'search'"):
        provider_names(["search", "add", "search"])


def test_a_name_begins_with_a_letter_or_an_underscore() -> None:
    assert provider_names(["2fa", "-x", "3.5"]) == {"2fa": "_2fa", "-x": "_-x", "3.5": "_3_5"}

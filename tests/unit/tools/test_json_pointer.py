"""JSON Pointers, and the references that hold them."""

from __future__ import annotations

from typing import Any

import pytest

from unified_agents.tools.json_pointer import MissingValueError, escape_token, resolve_pointer, resolve_reference

DOCUMENT: Any = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, " ": 7, "m~n": 8, "~1": 9}


def test_the_examples_of_the_standard() -> None:
    pointers = ["/foo/0", "/", "/a~1b", "/c%d", "/ ", "/m~0n", "/~01"]
    assert [resolve_pointer(DOCUMENT, pointer) for pointer in pointers] == ["bar", 0, 1, 2, 7, 8, 9]
    assert resolve_pointer(DOCUMENT, "") is DOCUMENT


@pytest.mark.parametrize("pointer", ["/foo/2", "/foo/-1", "/foo/01", "/foo/٠", "/foo/-", "/foo/0/0", "/nothing"])
def test_a_pointer_that_leads_nowhere_says_which_part_is_missing(pointer: str) -> None:
    with pytest.raises(MissingValueError) as raised:
        resolve_pointer(DOCUMENT, pointer)
    assert raised.value.token == pointer.rpartition("/")[2]


@pytest.mark.parametrize(
    ("reference", "value"),
    [("#/foo/1", "baz"), ("#/c%25d", 2), ("#/a~1b", 1), ("#/a%2Fb", 1), ("#/a%2fb", 1), ("#/m%7E0n", 8), ("#/", 0)],
)
def test_a_reference_is_decoded(reference: str, value: object) -> None:
    assert resolve_reference(DOCUMENT, reference) == value


def test_a_reference_to_the_whole_document() -> None:
    assert resolve_reference(DOCUMENT, "#") is DOCUMENT


@pytest.mark.parametrize("reference", ["", "foo", "#foo", "other.json#/foo", "/foo", None, 1, "#/foo/2"])
def test_what_is_no_reference_into_the_document_is_refused(reference: object) -> None:
    with pytest.raises(MissingValueError):
        resolve_reference(DOCUMENT, reference)


@pytest.mark.parametrize("name", ["a/b", "m~n", "~1", "", "plain"])
def test_an_escaped_name_leads_back_to_its_value(name: str) -> None:
    assert resolve_pointer({name: "it"}, f"/{escape_token(name)}") == "it"

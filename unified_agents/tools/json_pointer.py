"""JSON Pointers (RFC 6901), and the references of JSON Schema that hold one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from unified_agents import wording

_INDEX = re.compile("0|[1-9][0-9]{0,8}")


class MissingValueError(LookupError):
    """A pointer or a reference that leads to no value.

    Args:
        message: What is missing.
        token: The part of the pointer that is not there, as it is written.
    """

    def __init__(self, message: str, token: str = "") -> None:
        super().__init__(message)
        self.token = token


def resolve_pointer(document: Any, pointer: str) -> Any:
    """Return the value that a JSON Pointer names; an empty one names the whole document.

    Raises:
        MissingValueError: there is none.
    """
    value = document
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif _is_array(value) and _INDEX.fullmatch(name) and int(name) < len(value):
            value = value[int(name)]
        else:
            raise MissingValueError(wording.nothing_at(pointer), token)
    return value


def resolve_reference(document: Any, reference: object) -> Any:
    """Return what a `$ref` such as `#/$defs/Node` points to.

    Raises:
        MissingValueError: it points to another document, to an anchor, or nowhere.
    """
    if not isinstance(reference, str) or reference.partition("/")[0] != "#":
        raise MissingValueError(f"{reference!r} is no pointer into this document")
    # Many write %2F for the slash in a name, where RFC 6901 asks for ~1.
    return resolve_pointer(document, unquote(re.sub("%2[fF]", "~1", reference[1:])))


def escape_token(name: str) -> str:
    """Return a name as it stands in a JSON Pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def _is_array(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)

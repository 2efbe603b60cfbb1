"""JSON Pointers within one schema."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote


class UnresolvableError(LookupError):
    """A `$ref` that points nowhere in its own document."""


def resolve(root: Any, reference: object) -> Any:
    """What a `$ref` such as `#/$defs/Node` points to.

    Raises:
        UnresolvableError: it points to another document, to an anchor, or nowhere.
    """
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        raise UnresolvableError(f"{reference!r} is no pointer into this schema")
    value = root
    for part in unquote(reference[1:]).split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise UnresolvableError(f"{reference} points nowhere") from error
    return value

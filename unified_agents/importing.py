"""Names in config: `module:name` and modules."""

from __future__ import annotations

import difflib
import importlib
from types import ModuleType
from typing import Any

from unified_agents.errors import ConfigError


def import_named(reference: str, what: str) -> Any:
    """What `module:name` stands for.

    Args:
        reference: Such as `my_package.tools:search`.
        what: What it is, for messages: `tool`, `output_type`, ….

    Raises:
        ConfigError: the module or the name does not exist, or the module fails on import.
    """
    module, colon, name = reference.partition(":")
    if not colon or not module or not name:
        raise ConfigError(f"{what} {reference!r}: write module:name, such as my_package.tools:search")
    found = import_module(module, f"{what} {reference!r}")
    if not hasattr(found, name):
        close = difflib.get_close_matches(name, [key for key in vars(found) if not key.startswith("_")], n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"{what} {reference!r}: module {module} has no {name!r}{hint}")
    return getattr(found, name)


def import_module(name: str, where: str) -> ModuleType:
    """A module by its full name.

    Raises:
        ConfigError: it does not exist, or fails on import.
    """
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise ConfigError(f"{where}: importing {name} failed: {type(error).__name__}: {error}") from error

"""Imports modules, and objects that config files name as `module:name`."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from unified_agents.errors import ConfigError
from unified_agents.text import closest

_OURS = "as the folder of a YAML file and the current one are for our commands"


def import_named(reference: str, what: str) -> Any:
    """Import the object that `module:name` names.

    Args:
        reference: The name, such as `my_package.tools:search`.
        what: What kind of object it is, for messages, such as `tool` or `output_type`.

    Raises:
        ConfigError: the module or the name does not exist, or the module fails on import.
    """
    _refuse_path(reference, f"{what} {reference!r}")
    module, colon, name = reference.partition(":")
    if not colon or not module or not name:
        raise ConfigError(f"{what} {reference!r}: write module:name, such as my_package.tools:search")
    found = import_module(module, f"{what} {reference!r}")
    if not hasattr(found, name):
        close = closest(name, [key for key in vars(found) if not key.startswith("_")])
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"{what} {reference!r}: module {module} has no {name!r}{hint}")
    return getattr(found, name)


def import_module(name: str, where: str) -> ModuleType:
    """Import a module by its full name.

    Raises:
        ConfigError: it does not exist, or fails on import.
    """
    _refuse_path(name, where)
    try:
        return importlib.import_module(name)
    except Exception as error:
        message = f"{where}: importing {name} failed: {type(error).__name__}: {error}"
        if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
            message += f"; install it, or put the folder that it is in on the Python path, {_OURS}"
        raise ConfigError(message) from error


def import_from(*folders: Path) -> None:
    """Search these folders for modules first, in this order. It changes `sys.path`, so it is for our own programs only.

    Args:
        folders: The folders, such as that of a file which names modules beside it.
    """
    sys.path[:0] = dict.fromkeys(str(folder.resolve()) for folder in folders)


def _refuse_path(reference: str, where: str) -> None:
    found = re.search(r"([^/\\:]*)\.py(?::(\w+))?$", reference)
    if found is None and not re.search(r"[/\\]", reference):
        return
    example = f"{found[1] or 'module'}:{found[2] or 'name'}" if found else "my_package.tools:search"
    raise ConfigError(
        f"{where}: write module:name, such as {example}, and not a path; the folder that the file is in must be on the "
        f"Python path, {_OURS}"
    )

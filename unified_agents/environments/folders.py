"""Where environments are kept: under the user's data folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import quote, unquote

MANIFEST = "environment.json"
BEING_MADE = ".new"
"""What the folder of an environment ends with until it is whole."""


def environments_folder() -> Path:
    """Return the folder of all environments; it may not exist yet."""
    return _data_folder() / "unified-agents" / "environments"


def folder_of(label: str) -> Path:
    """Return the folder of one environment."""
    return environments_folder() / quote(label, safe="=")


def labels() -> list[str]:
    """Return the labels of all environments that are whole, sorted."""
    names = [unquote(found.parent.name) for found in environments_folder().glob(f"*/{MANIFEST}")]
    return sorted(name for name in names if not name.endswith(BEING_MADE))


def python_of(folder: Path) -> Path:
    """Return the interpreter of the environment in a folder."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _data_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    given = os.environ.get("XDG_DATA_HOME", "")
    return Path(given) if os.path.isabs(given) else Path.home() / ".local" / "share"

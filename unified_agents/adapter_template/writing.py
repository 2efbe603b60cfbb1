"""Writes the distribution of a new adapter from the template."""

from __future__ import annotations

import keyword
import re
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template

from unified_agents.errors import ConfigError
from unified_agents.registry import backend_names

_SUFFIX = ".template"
_PACKAGE = "package"
"""The folder of the template that becomes the adapter's package."""


def write_adapter(name: str, folder: Path, requirement: str | None = None) -> list[Path]:
    """Write the distribution of an adapter.

    Args:
        name: The backend's name, such as `my_framework`.
        folder: Where the distribution's folder `unified-agents-NAME` is made.
        requirement: What brings the framework, as pip takes it; None takes a distribution of the backend's name.

    Returns:
        The files, the first of which is the distribution's `pyproject.toml`.

    Raises:
        ConfigError: the name is none for a backend, or taken, or the folder is there already.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise ConfigError(f"backend {name!r}: write lower-case words with underscores between, such as my_framework")
    if name in backend_names():
        raise ConfigError(f"backend {name!r} is there already: give another name")
    target = folder / f"unified-agents-{name.replace('_', '-')}"
    if target.exists():
        raise ConfigError(f"{target} is there already: remove it, or give another --out")
    values = {
        "name": name,
        "dashed": name.replace("_", "-"),
        "title": "".join(part.capitalize() for part in name.split("_")),
        "requirement": requirement or name.replace("_", "-"),
        "library": f"unified-agents>={version('unified-agents')}",
    }
    root, written = Path(str(files("unified_agents.adapter_template") / "files")), []
    for source in sorted(
        root.rglob(f"*{_SUFFIX}"), key=lambda path: (len(path.parts), path.name != "pyproject.toml.template")
    ):
        place = str(source.relative_to(root)).removesuffix(_SUFFIX).replace(_PACKAGE, f"unified_agents_{name}")
        path = target / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(source.read_text(encoding="utf-8")).substitute(values), encoding="utf-8")
        written.append(path)
    return written

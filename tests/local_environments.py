"""Environments for tests, installed without an index: from wheels that are packed from what is installed here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

from unified_agents.environments.wheels import packed_wheel

PLUGIN = Path(__file__).parent / "plugin_package"
NEEDED = ("aiohttp", "griffelib", "jsonschema-rs", "opentelemetry-api", "orjson", "pydantic", "pyyaml")
"""What the library itself asks for."""
MORE = ("typing-extensions", "simpleeval", "httpx")
"""What workers and the tiny plug-in ask for."""


class LocalEnvironments:
    """A home whose environments are made of local wheels alone, and an installation that has the tiny plug-in.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.site = folder / "site"
        self.wheels = folder / "wheels"
        for made in (self.home, self.site, self.wheels):
            made.mkdir()
        for name in _with_dependencies([*NEEDED, *MORE]):
            packed_wheel(distribution(name), self.wheels)
        pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--no-build-isolation", "--quiet"]
        subprocess.run([*pip, "--target", str(self.site), str(PLUGIN)], check=True, timeout=120)

    @property
    def variables(self) -> dict[str, str]:
        """The variables of a process that is such an installation."""
        paths = [str(self.site), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            "XDG_DATA_HOME": str(self.home),
            "PYTHONPATH": os.pathsep.join(paths),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "UV_NO_INDEX": "1",
            "UV_FIND_LINKS": str(self.wheels),
            "NO_COLOR": "1",
            "COLUMNS": "200",
        }

    def call(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line."""
        return self.python("-m", "unified_agents", *arguments, **variables)

    def python(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the interpreter of the installation."""
        return subprocess.run(
            [sys.executable, *arguments],
            env=os.environ | self.variables | variables,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )


def _with_dependencies(names: list[str]) -> list[str]:
    found: dict[str, None] = {}
    while names:
        name = re.sub(r"[-_.]+", "-", names.pop()).lower()
        if name in found:
            continue
        found[name] = None
        asked = map(Requirement, distribution(name).requires or ())
        names += [one.name for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})]
    return list(found)

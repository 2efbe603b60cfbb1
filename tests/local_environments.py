"""Environments for tests, installed without an index: from wheels that are packed from what is installed here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Sequence
from importlib.metadata import Distribution, distribution
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
        more: Distributions that environments may ask for besides, with all that they ask for.
    """

    def __init__(self, folder: Path, more: Sequence[str] = ()) -> None:
        self.home = folder / "home"
        self.site = folder / "site"
        self.wheels = folder / "wheels"
        for made in (self.home, self.site, self.wheels):
            made.mkdir()
        for name in _with_dependencies([*NEEDED, *MORE, *more]):
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

    def plant(self, name: str, version: str, *patches: tuple[str, str, str], requires: str | None = None) -> None:
        """Add a patched copy of an installed distribution, under another version.

        Args:
            name: The distribution.
            version: The copy's version.
            patches: The path of a file in it, what stands there, and what the copy has in its place.
            requires: A requirement of the copy, beside those that it has.
        """
        of = distribution(name)
        folder = self.home.parent / f"{name}-{version}"
        folder.mkdir()
        with zipfile.ZipFile(packed_wheel(of, folder)) as archive:
            archive.extractall(folder)
        (info,) = folder.glob("*.dist-info")
        copy = info.rename(info.with_name(info.name.replace(of.version, version)))
        _replace(copy / "RECORD", info.name, copy.name)
        more = f"\nRequires-Dist: {requires}" if requires else ""
        _replace(copy / "METADATA", f"\nVersion: {of.version}\n", f"\nVersion: {version}{more}\n")
        for path, old, new in patches:
            _replace(folder / path, old, new)
        packed_wheel(Distribution.at(copy), self.wheels)

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
            timeout=900,
            check=False,
        )


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} has no {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def _with_dependencies(names: Iterable[str]) -> list[str]:
    """Return the names of distributions and of all that they ask for, with the extras that they are asked for with."""
    waiting = [Requirement(name) for name in names]
    found: dict[str, set[str]] = {}
    while waiting:
        one = waiting.pop()
        name = re.sub(r"[-_.]+", "-", one.name).lower()
        extras = {"", *one.extras} - found.setdefault(name, set())
        found[name] |= extras
        for asked in map(Requirement, distribution(name).requires or ()) if extras else ():
            if asked.marker is None or any(asked.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(asked)
    return list(found)

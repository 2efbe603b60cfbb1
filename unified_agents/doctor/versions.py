"""Which versions of packages are installed, which are supported, and which clash."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, distribution, version
from typing import Literal, TypeAlias

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import Version
from pydantic import BaseModel, ConfigDict

State: TypeAlias = Literal["supported", "missing", "too old", "too new"]

_LOWER = (">=", ">", "~=", "==")


class PackageVersion(BaseModel):
    """A package that a backend asks for.

    Attributes:
        name: Its name.
        installed: Its version; None when it is not installed.
        supported: The versions that the adapter is made for.
        state: How the two fit.
        requirement: What to install, as pip takes it.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    installed: str | None
    supported: str
    state: State
    requirement: str


def package_versions(requirements: Sequence[str]) -> tuple[PackageVersion, ...]:
    """Set what a backend asks for against what is installed here."""
    return tuple(_package_version(Requirement(one), one) for one in requirements)


def _package_version(asked: Requirement, text: str) -> PackageVersion:
    try:
        found = version(asked.name)
    except PackageNotFoundError:
        found = None
    state: State = "missing"
    if found is not None:
        fits = asked.specifier.contains(found, prereleases=True)
        state = "supported" if fits else "too old" if _is_below(asked, Version(found)) else "too new"
    return PackageVersion(
        name=asked.name, installed=found, supported=str(asked.specifier) or "any", state=state, requirement=text
    )


def _is_below(asked: Requirement, found: Version) -> bool:
    bounds = [Version(one.version.removesuffix(".*")) for one in asked.specifier if one.operator in _LOWER]
    return any(found < bound for bound in bounds)


def clashes(names: Sequence[str]) -> tuple[str, ...]:
    """Return what the packages, and those that they bring, ask for and do not have; a line each."""
    seen: set[str] = set()
    waiting = list(names)
    found: dict[str, None] = {}
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        for asked in _asked_by(name):
            waiting.append(asked.name)
            try:
                has = version(asked.name)
            except PackageNotFoundError:
                found[f"{name} needs {asked.name}{asked.specifier}, which is not installed"] = None
                continue
            if not asked.specifier.contains(has, prereleases=True):
                found[f"{name} {version(name)} needs {asked.name}{asked.specifier}, and {has} is installed"] = None
    return tuple(found)


def _asked_by(name: str) -> Iterator[Requirement]:
    try:
        lines = distribution(name).requires or ()
    except PackageNotFoundError:
        return
    for line in lines:
        try:
            asked = Requirement(line)
        except InvalidRequirement:  # of an old kind, which installers read and the standard does not
            continue
        if asked.marker is None or asked.marker.evaluate({"extra": ""}):
            yield asked

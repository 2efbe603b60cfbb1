"""The label of a backend in an environment: its name, and a version where one is asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from unified_agents.errors import ConfigError
from unified_agents.extras import package_name

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+!_-]{0,63}?(\.\*)?")


@dataclass(slots=True, frozen=True)
class BackendLabel:
    """A backend, and the version of its framework that is meant.

    Attributes:
        name: The backend's name.
        version: The version as the user wrote it, such as `1.4.7` or `1.3.*`; None for any that we support.
    """

    name: str
    version: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `NAME` or `NAME==VERSION`.

        Raises:
            ConfigError: it is neither.
        """
        name, separator, version = (part.strip() for part in text.partition("=="))
        if not _NAME.fullmatch(name) or (separator and not _VERSION.fullmatch(version)):
            raise ConfigError(f"{text!r}: write a backend's NAME or NAME==VERSION, such as langchain==1.4.7")
        return cls(name, version or None)

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}=={self.version}"

    def fits(self, version: str) -> bool:
        """Tell whether a version is the one that is meant."""
        if self.version is None or version == self.version:
            return True
        return self.version.endswith(".*") and f"{version}.".startswith(self.version.removesuffix("*"))

    def requirements(self, known: tuple[str, ...]) -> tuple[str, ...]:
        """Return what to install: what the backend asks for, with the framework's own package at this version.

        A package that has the framework's name and the same bounds is released with it, so it gets this version too.

        Args:
            known: What the backend's extra asks for.

        Raises:
            ConfigError: there is a version, and none of the packages has the backend's name.
        """
        if self.version is None:
            return known
        own = framework_package(self.name, known)
        if own is None:
            raise ConfigError(f"{self}: which of its packages has this version? Leave the version out")
        bounds = next(_bounds(one) for one in known if package_name(one) == own)
        family = _framework_packages(self.name, known)
        together = {package_name(one) for one in known if _bounds(one) == bounds}.intersection(family)
        return tuple(_with_version(one, self.version) if package_name(one) in together else one for one in known)


def framework_package(backend: str, requirements: tuple[str, ...]) -> str | None:
    """Return the package that holds a backend's framework: the one that has its name, or begins with it."""
    return min(_framework_packages(backend, requirements), key=len, default=None)


def _framework_packages(backend: str, requirements: tuple[str, ...]) -> list[str]:
    wanted = _letters(backend)
    return [name for name in map(package_name, requirements) if _letters(name).startswith(wanted)]


def _bounds(requirement: str) -> str:
    return requirement.removeprefix(_package_and_extras(requirement)).strip()


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _with_version(requirement: str, version: str) -> str:
    return f"{_package_and_extras(requirement)}=={version}"


def _package_and_extras(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+(\[[^\]]*\])?", requirement)
    return match.group() if match else requirement

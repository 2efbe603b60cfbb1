"""The registry of backends. Adapters are found by entry point, and listed without being imported."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import TYPE_CHECKING

from unified_agents.concurrency.uncollected_import import importing_uncollected
from unified_agents.errors import BackendBrokenError, BackendNotInstalledError, ConfigError, UnknownBackendError
from unified_agents.extras import install_command, package_name, requirements_of_extra
from unified_agents.text import closest

if TYPE_CHECKING:
    from unified_agents.backend import Backend

GROUP = "unified_agents.backends"
UNFINISHED = "not filled in"
"""What an error says of an adapter whose author has left a part of it open."""
UPGRADE = "upgrade unified-agents, or install an older "
"""What to do about a plug-in of a newer protocol; its distribution follows."""


@dataclass(slots=True, frozen=True)
class BackendInfo:
    """What the installed packages say of a backend, read without importing it.

    Attributes:
        name: The name to use in a config.
        distribution: The distribution that brings the adapter.
        version: That distribution's version.
        requires: Name and version of each installed package that the backend's extra asks for.
        missing: The packages of the extra that are not installed; empty when it is ready.
        requirements: What the extra asks for, as pip takes it.
    """

    name: str
    distribution: str
    version: str
    requires: dict[str, str]
    missing: tuple[str, ...]
    requirements: tuple[str, ...] = ()

    @property
    def installed(self) -> bool:
        """Whether all packages that it needs are installed."""
        return not self.missing

    @property
    def remedy(self) -> str:
        """The command that installs what the backend needs."""
        return install_command(self.requirements)


def backend_names() -> tuple[str, ...]:
    """Return the names of all registered backends, sorted."""
    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


def backend_info(name: str) -> BackendInfo:
    """Return what the installed packages say of a backend; imports nothing of it.

    Raises:
        UnknownBackendError: no backend of that name is registered.
    """
    distribution = _entry_point(name).dist
    if distribution is None:
        return BackendInfo(name, "unknown", "unknown", {}, ())
    found: dict[str, str] = {}
    missing = []
    requirements = requirements_of_extra(distribution, name)  # the extra that has the backend's name
    for package in map(package_name, requirements):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            missing.append(package)
    return BackendInfo(name, distribution.name, distribution.version, found, tuple(missing), tuple(requirements))


def load_backend(name: str) -> Backend:
    """Import the adapter of a backend, and make the backend.

    Raises:
        UnknownBackendError: no backend of that name is registered.
        BackendNotInstalledError: its framework is not installed; the message has the command that installs it.
        BackendBrokenError: its framework is installed, and importing it fails; the message says why.
    """
    entry = _entry_point(name)
    try:
        with importing_uncollected(entry.module):
            backend: Backend = entry.load()()
    except Exception as error:
        raise _import_failure(name, error) from error
    _check_protocol(entry, backend)
    return backend


def _check_protocol(entry: EntryPoint, backend: Backend) -> None:
    from unified_agents.backend import PROTOCOL  # noqa: PLC0415  # loaded by now: the adapter imports it

    spoken = getattr(backend, "protocol", PROTOCOL)
    if not isinstance(spoken, int) or spoken > PROTOCOL:
        owner = entry.dist.name if entry.dist is not None else entry.value
        raise BackendBrokenError(
            f"backend {entry.name!r} of {owner} is made for protocol {spoken} of backends, and this unified-agents has "
            f"{PROTOCOL}: {UPGRADE}{owner}"
        )


def _import_failure(name: str, error: Exception) -> ConfigError:
    info = backend_info(name)
    if info.missing:
        return BackendNotInstalledError(
            f"backend {name!r} is not installed: {', '.join(info.missing)} missing; run: {info.remedy}; or, for an "
            f"environment of its own: unified-agents backends install {name}, and create_agent(…, isolated=True)"
        )
    remedy = f"try: {info.remedy} --force-reinstall" if info.requirements else f"reinstall {info.distribution}"
    return BackendBrokenError(
        f"backend {name!r} is installed and fails on import: {type(error).__name__}: {error}; {remedy}"
    )


def _entry_point(name: str) -> EntryPoint:
    return _find_entry_point(name, tuple(sys.path))


@lru_cache(maxsize=64)
def _find_entry_point(name: str, path: tuple[str, ...]) -> EntryPoint:
    # Reading the metadata of all distributions takes ten milliseconds, and building an agent less than one.
    entries = entry_points(group=GROUP, name=name)
    if not entries:
        known = backend_names()
        close = closest(name, known)
        hint = f"did you mean {close[0]!r}?" if close else f"known backends: {', '.join(known)}"
        raise UnknownBackendError(f"unknown backend {name!r}: {hint}")
    if len({entry.value for entry in entries}) > 1:
        owners = ", ".join(sorted(entry.dist.name if entry.dist else "?" for entry in entries))
        raise ConfigError(f"backend {name!r} is registered more than once, by {owners}: uninstall one of them")
    return next(iter(entries))

"""Examines every backend, here and in its environments."""

from __future__ import annotations

import platform
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import entry_points
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from unified_agents.doctor.scripted_call import CallReport
from unified_agents.doctor.versions import PackageVersion, clashes, package_versions
from unified_agents.environments.environment import (
    Environment,
    find_environment,
    install_environment_command,
)
from unified_agents.environments.folders import labels
from unified_agents.environments.label import BackendLabel, framework_package
from unified_agents.environments.library_state import library_state
from unified_agents.environments.other_process import ask_in_process
from unified_agents.errors import ConfigError
from unified_agents.extras import install_command
from unified_agents.registry import GROUP, UNFINISHED, UPGRADE, BackendInfo, backend_info, backend_names

Status: TypeAlias = Literal["ready", "missing", "trouble"]

_AT_ONCE = 2
"""How many backends are tried at once: each takes a processor for some seconds."""


class Trouble(BaseModel):
    """Something that is wrong.

    Attributes:
        what: What it is.
        remedy: What to do about it, mostly a command.
    """

    model_config = ConfigDict(frozen=True)

    what: str
    remedy: str


class Examined(BaseModel):
    """A backend in one place.

    Attributes:
        backend: Its name; of an environment its label.
        where: `here`, or the folder of the environment.
        status: `ready`; `missing` where its framework is not installed; `trouble`.
        packages: What it asks for, and what is installed; none for an environment.
        versions: Of an environment: what is installed there.
        troubles: What is wrong.
        call: What a scripted run has shown; None where there was none.
    """

    model_config = ConfigDict(frozen=True)

    backend: str
    where: str
    status: Status
    packages: tuple[PackageVersion, ...] = ()
    versions: dict[str, str] = {}
    troubles: tuple[Trouble, ...] = ()
    call: CallReport | None = None


class Examination(BaseModel):
    """All that was examined.

    Attributes:
        library: The state of this library.
        python: The version of this interpreter.
        examined: The backends, here and in their environments.
    """

    model_config = ConfigDict(frozen=True)

    library: str
    python: str
    examined: tuple[Examined, ...]

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong. A backend that is not installed is not wrong."""
        return all(one.status != "trouble" for one in self.examined)


def examine(names: Collection[str] = ()) -> Examination:
    """Examine backends, each by a scripted run in a process of its own.

    Args:
        names: Their names; none for all.

    Raises:
        UnknownBackendError: there is none of that name.
    """
    for name in names:
        if name not in backend_names():
            backend_info(name)
    owners: dict[str, dict[str, str]] = {}
    for entry in entry_points(group=GROUP):
        owners.setdefault(entry.name, {})[entry.value] = entry.dist.name if entry.dist is not None else "?"
    work: list[Callable[[], Examined]] = [
        *(partial(_here, name, owners[name]) for name in sorted(owners) if not names or name in names),
        *(partial(_environment, one) for one in labels() if not names or BackendLabel.parse(one).name in names),
    ]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        examined = tuple(pool.map(lambda one: one(), work))
    return Examination(library=library_state(), python=platform.python_version(), examined=examined)


def _here(name: str, owners: dict[str, str]) -> Examined:
    if len(owners) > 1:
        first, *others = sorted(owners.values())
        what = f"the name is registered by {first} and {', '.join(others)}"
        trouble = Trouble(what=what, remedy=f"keep one of them: pip uninstall {others[0]}")
        return Examined(backend=name, where="here", status="trouble", troubles=(trouble,))
    info = backend_info(name)
    packages = package_versions(info.requirements)
    troubles = tuple(_version_troubles(name, packages))
    if info.missing:
        own = framework_package(name, info.requirements)
        troubles += (_missing(info),)
        # Where the framework itself is there, somebody means to use it.
        status: Status = "missing" if own is None or own in info.missing else "trouble"
        return Examined(backend=name, where="here", status=status, packages=packages, troubles=troubles)
    return _tried(
        Examined(backend=name, where="here", status="ready", packages=packages, troubles=troubles), name, None
    )


def _environment(label: str) -> Examined:
    try:
        found = find_environment(label)
    except ConfigError as error:
        what, _, remedy = str(error).partition("; run: ")
        return _in_trouble(label, "environment", Trouble(what=what, remedy=remedy))
    if found is None:
        trouble = Trouble(what="it was removed meanwhile", remedy=install_environment_command(label))
        return _in_trouble(label, "environment", trouble)
    if found.trouble is not None:
        what, _, remedy = found.trouble.partition("; run: ")
        return _in_trouble(label, str(found.folder), Trouble(what=what, remedy=remedy))
    return _tried(_as_examined(found), found.label.name, found.python)


def _as_examined(found: Environment) -> Examined:
    versions = found.manifest.facts.versions
    return Examined(backend=str(found.label), where=str(found.folder), status="ready", versions=versions)


def _in_trouble(label: str, where: str, trouble: Trouble) -> Examined:
    return Examined(backend=label, where=where, status="trouble", troubles=(trouble,))


def _version_troubles(name: str, packages: Iterable[PackageVersion]) -> Iterable[Trouble]:
    for one in packages:
        if one.state in ("too old", "too new"):
            yield Trouble(
                what=f"{one.name} {one.installed} is {one.state}: {one.supported} is supported",
                remedy=f"{install_command([one.requirement])}; or {install_environment_command(name)}",
            )
    yield from (
        Trouble(what=line, remedy=install_environment_command(name))
        for line in clashes([one.name for one in packages if one.installed is not None])
    )


def _missing(info: BackendInfo) -> Trouble:
    return Trouble(
        what=f"{', '.join(info.missing)} missing",
        remedy=f"{install_environment_command(info.name)}; or here: {info.remedy}",
    )


def _tried(one: Examined, name: str, python: str | None) -> Examined:
    """Make a scripted run, and add what it has shown."""
    troubles, call = one.troubles, None
    try:
        call = CallReport.model_validate_json(ask_in_process("unified_agents.doctor.scripted_call", name, python))
    except (ConfigError, ValueError) as error:
        troubles += (Trouble(what=str(error), remedy=_remedy(one, name, str(error))),)
    else:
        troubles += tuple(_changed_since(one, call.versions))
    status: Status = "trouble" if troubles else "ready"
    return one.model_copy(update={"status": status, "troubles": troubles, "call": call})


def _changed_since(one: Examined, found: dict[str, str]) -> Iterable[Trouble]:
    """Yield what is no longer in an environment as it was installed."""
    for package, version in one.versions.items():
        if (now := found.get(package)) != version:
            yield Trouble(
                what=f"{package} {version} was installed, and {now or 'none'} is there now",
                remedy=install_environment_command(one.backend),
            )


def _remedy(one: Examined, name: str, what: str) -> str:
    _, is_newer, owner = what.partition(UPGRADE)
    if is_newer:
        return f"{UPGRADE}{owner}"
    if one.where != "here":
        return f"unified-agents backends remove {one.backend}, then {install_environment_command(one.backend)}"
    info = backend_info(name)
    if UNFINISHED in what:
        return f"fill in what {info.distribution} leaves open"
    again = f"{info.remedy} --force-reinstall" if info.requirements else f"reinstall or upgrade {info.distribution}"
    return f"{again}; or {install_environment_command(name)}"

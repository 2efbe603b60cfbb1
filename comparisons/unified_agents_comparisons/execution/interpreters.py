"""Which interpreter runs the worker of each backend: this one, or that of an environment of its own."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence

from unified_agents.environments.environment import environments, needed_environment
from unified_agents.environments.label import BackendLabel, framework_package
from unified_agents.errors import ConfigError
from unified_agents.registry import backend_info, backend_names


def given_interpreters(options: Sequence[str]) -> dict[str, str]:
    """Read `BACKEND=PATH` for each backend whose interpreter is named; BACKEND may be `NAME==VERSION`.

    Raises:
        ConfigError: one is something else, or its path is no program.
    """
    found = {}
    for option in options:
        backend, _, path = option.partition("=")
        if path.startswith("="):
            version, _, path = path[1:].partition("=")
            backend = f"{backend}=={version}"
        if not backend or not path:
            raise ConfigError(f"--python {backend!r}: write BACKEND=PATH, the path of an interpreter")
        if shutil.which(path) is None:
            raise ConfigError(f"--python {backend}: {path} cannot be run: there is no such program")
        found[backend] = path
    return found


def available_backends(given: Mapping[str, str]) -> tuple[str, ...]:
    """Return the backends that are installed here or in an environment of their own, and those that are given."""
    own = {one.manifest.label for one in environments() if one.label.version is None}
    here = [name for name in backend_names() if name in given or name in own or backend_info(name).installed]
    return tuple(dict.fromkeys([*here, *given]))


def chosen_interpreters(labels: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """Return the interpreter of each backend whose worker does not run in this one.

    Args:
        labels: The backends, as `NAME` or `NAME==VERSION`.
        given: The interpreters that the user has named.

    Raises:
        ConfigError: a backend is not installed, or none of that version; the message has the command that installs it.
            Or an interpreter is named for a backend that is not compared.
    """
    unused = sorted(given.keys() - set(labels))
    if unused:
        raise ConfigError(f"--python {unused[0]}: that backend is not compared; add it to --backends")
    others = [label for label in labels if label not in given and not _is_here(BackendLabel.parse(label))]
    return dict(given) | {label: needed_environment(label).python for label in others}


def _is_here(label: BackendLabel) -> bool:
    """Tell whether this interpreter runs a backend. An environment of that very version comes before it."""
    info = backend_info(label.name)
    if not info.installed or label.version is None:
        return info.installed
    if any(one.manifest.label == str(label) for one in environments()):
        return False
    package = framework_package(label.name, info.requirements)
    return package is not None and label.fits(info.requires[package])

"""What the extras of a distribution ask for, and the commands that install it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version

OURS = "unified-agents"

_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


def requirements_of_extra(of: Distribution, extra: str) -> list[str]:
    """Return what an extra asks for, as pip takes it; extras of the same distribution that it names are opened."""
    wanted = _normalized(extra)
    parts = (requirement.partition(";") for requirement in of.requires or ())
    found: list[str] = []
    for spec in (spec.strip() for spec, _, condition in parts if wanted in map(_normalized, _EXTRA.findall(condition))):
        inner = re.match(rf"{re.escape(of.name)}\s*\[([^\]]*)\]", spec)
        if inner is not None:
            names = [name.strip() for name in inner.group(1).split(",")]
            found += [each for name in names if _normalized(name) != wanted for each in requirements_of_extra(of, name)]
        elif package_name(spec):
            found.append(spec)
    return found


def _normalized(name: str) -> str:
    """Return an extra's name as a wheel has it, in which `google_adk` is `google-adk`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def package_name(requirement: str) -> str:
    """Return the name of the package that a requirement begins with; empty where it begins with none."""
    match = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement.strip())
    return match.group() if match else ""


def missing_packages(requirements: Iterable[str]) -> list[str]:
    """Return the names of the packages that are not installed."""
    return [name for name in map(package_name, requirements) if not _is_installed(name)]


def install_command(requirements: Sequence[str]) -> str:
    """Return the command that installs packages: by name, as the library itself may come from a checkout."""
    return f"pip install {' '.join(map(repr, requirements))}"


def remedy_of_extra(extra: str) -> str:
    """Say which packages of an extra of ours are missing, and which command installs what the extra asks for."""
    try:
        requirements = requirements_of_extra(distribution(OURS), extra)
    except PackageNotFoundError:
        return f"install what the extra {extra!r} in its pyproject.toml asks for"
    missing = missing_packages(requirements)
    return (f"{', '.join(missing)} missing; " if missing else "") + f"run: {install_command(requirements)}"


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True

"""Installs and removes environments."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

from unified_agents.environments.commands import CommandFailedError, run_logged, uv_command
from unified_agents.environments.environment import Environment, Manifest, find_environment
from unified_agents.environments.folders import BEING_MADE, MANIFEST, environments_folder, folder_of, python_of
from unified_agents.environments.label import BackendLabel
from unified_agents.environments.probe import probed_facts
from unified_agents.environments.wheels import distribution_wheel, library_wheel
from unified_agents.errors import ConfigError
from unified_agents.extras import OURS, package_name
from unified_agents.registry import backend_info

FOR_WORKERS = "worker"
"""The extra that a worker of comparisons needs beside the backend's."""

Say = Callable[[str], None]
"""Told what is being done; a line each."""


def install_environment(text: str, say: Say) -> Environment:
    """Install the environment of a backend; of one that is there, only this library is renewed.

    Args:
        text: `NAME` or `NAME==VERSION`.
        say: Told what is being done.

    Raises:
        UnknownBackendError: there is no such backend.
        ConfigError: it cannot be installed; the message says why, and where all of the output is.
    """
    label = BackendLabel.parse(text)
    info = backend_info(label.name)
    with _locked(str(label)) as log, tempfile.TemporaryDirectory(prefix="unified-agents-") as made:
        log.write_bytes(b"")
        requirements = label.requirements(info.requirements)
        installation = _Installation(label, info.distribution, requirements, log, Path(made), say)
        found = _whole(str(label))
        if found is None or found.manifest.requirements != requirements or not python_of(found.folder).exists():
            return installation.make()
        if found.trouble is None:
            say(f"{label} is installed already: {found.folder}")
            return found
        return installation.renew(found)


@dataclass(slots=True, frozen=True)
class _Installation:
    """One environment that is being installed.

    Attributes:
        label: The backend, with the version that was asked for.
        owner: The distribution that brings the adapter.
        requirements: What the backend asks for.
        log: Where the programs' output goes.
        made: A folder for what is made on the way.
        say: Told what is being done.
    """

    label: BackendLabel
    owner: str
    requirements: tuple[str, ...]
    log: Path
    made: Path
    say: Say

    def make(self) -> Environment:
        """Make the environment beside its place, and put it there when it is whole."""
        self.say(f"{self.label}: making an environment of its own; this may take some minutes")
        folder = folder_of(f"{self.label}{BEING_MADE}")
        shutil.rmtree(folder, ignore_errors=True)
        try:
            uv = uv_command()
            maker = [sys.executable, "-m", "venv"] if uv is None else [*uv, "venv", "--python", sys.executable]
            run_logged([*maker, str(folder)], self.log)
            is_constrained = self._fill(folder)
            manifest = self._finish(folder, is_constrained=is_constrained)
            place = folder_of(str(self.label))
            shutil.rmtree(place, ignore_errors=True)
            os.replace(folder, place)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return Environment(folder=place, manifest=manifest)

    def renew(self, found: Environment) -> Environment:
        """Put this library, and the plug-in that brings the adapter, into an environment in the place of another."""
        self.say(f"{self.label}: renewing unified-agents")
        ours, *others = self._wheels()
        forced = "--force-reinstall" if uv_command() is None else "--reinstall"
        self._install(found.folder, "--no-deps", forced, str(ours), *others)
        is_constrained = found.manifest.is_constrained
        self._install(found.folder, *(self._constraints() if is_constrained else ()), _with_extra(ours))
        manifest = self._finish(found.folder, is_constrained=is_constrained)
        return Environment(folder=found.folder, manifest=manifest)

    def _fill(self, folder: Path) -> bool:
        """Install into a new environment; returns whether the project's constraints held.

        A version that was asked for may ask for others than the constraints name: then they are left out.
        """
        ours, *others = self._wheels()
        wanted = [_with_extra(ours), *others, *self.requirements]
        constraints = self._constraints()
        try:
            self._install(folder, *constraints, *wanted)
        except CommandFailedError as error:
            if self.label.version is None or not constraints:
                raise
            self.say(f"{self.label} does not fit the project's constraints ({error}): installing without them")
            self._install(folder, *wanted)
            return False
        return bool(constraints)

    def _wheels(self) -> list[str]:
        wheels = [str(library_wheel(self.made, self.log))]
        if self.owner != OURS:
            wheels.append(str(distribution_wheel(distribution(self.owner), self.made, self.log)))
        return wheels

    def _constraints(self) -> list[str]:
        """Return the option for the project's constraints, without the packages whose version was asked for."""
        constraints = constraints_file()
        if constraints is None:
            return []
        asked = {package_name(one).lower() for one in self.requirements if self.label.version and "==" in one}
        lines = constraints.read_text(encoding="utf-8").splitlines()
        chosen = self.made / "constraints.txt"
        kept = [line for line in lines if package_name(line).lower() not in asked]
        chosen.write_text("\n".join(kept) + "\n", encoding="utf-8")
        return ["-c", str(chosen)]

    def _install(self, folder: Path, *arguments: str) -> None:
        uv, python = uv_command(), str(python_of(folder))
        program = [python, "-m", "pip", "install"] if uv is None else [*uv, "pip", "install", "--python", python]
        run_logged([*program, *arguments], self.log)

    def _finish(self, folder: Path, *, is_constrained: bool) -> Manifest:
        """Ask the backend what it is there, and write the file that makes the environment whole."""
        manifest = Manifest(
            label=str(self.label),
            requirements=self.requirements,
            is_constrained=is_constrained,
            facts=probed_facts(self.label.name, str(python_of(folder))),
        )
        temporary = folder / f"{MANIFEST}.new"
        temporary.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        os.replace(temporary, folder / MANIFEST)
        return manifest


def remove_environment(text: str) -> Path:
    """Remove the environment of a backend, and return where it was.

    Raises:
        ConfigError: there is none.
    """
    label = str(BackendLabel.parse(text))
    folder = folder_of(label)
    if not folder.is_dir():
        raise ConfigError(f"there is no environment of {label}; see: unified-agents backends list")
    with _locked(label):
        (folder / MANIFEST).unlink(missing_ok=True)  # from now on nobody finds it
        shutil.rmtree(folder)
    return folder


def constraints_file() -> Path | None:
    """Return the project's constraints: those of the checkout, or those that the wheel brought; None without."""
    package = Path(__file__).resolve().parents[1]
    places = (package.parent / "constraints.txt", package / "environments" / "constraints.txt")
    return next((place for place in places if place.is_file()), None)


def _with_extra(wheel: str) -> str:
    """Return the requirement of our wheel, by its path alone."""
    return f"{OURS}[{FOR_WORKERS}] @ {Path(wheel).as_uri()}"


def _whole(label: str) -> Environment | None:
    try:
        return find_environment(label)
    except ConfigError:
        return None  # its file is broken: it is made anew


@contextmanager
def _locked(label: str) -> Iterator[Path]:
    """Let one process at a time install or remove an environment; gives the file of its log.

    Raises:
        ConfigError: another process is at it, or the folder cannot be made.
    """
    folder = environments_folder()
    log = folder / f"{folder_of(label).name}.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(log, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be made: {error.strerror}") from error
    try:
        if sys.platform != "win32":  # it has no such lock
            import fcntl  # noqa: PLC0415  # not on every platform

            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConfigError(f"the environment of {label} is being installed by another process") from error
        yield log
    finally:
        os.close(handle)

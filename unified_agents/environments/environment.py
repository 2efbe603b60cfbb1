"""What is known of an environment, and how one is found."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from unified_agents.environments.folders import MANIFEST, folder_of, labels, python_of
from unified_agents.environments.label import BackendLabel
from unified_agents.environments.library_state import library_state
from unified_agents.errors import BackendNotInstalledError, ConfigError
from unified_agents.registry import backend_info


class BackendFacts(BaseModel):
    """What a backend says of itself in the interpreter that it is installed in.

    Attributes:
        library: The state of this library.
        versions: Of python, of this library and of the backend's packages.
        capabilities: The capabilities that it declares.
        variants: Its loops.
        calls_by_id: Whether it is given every call as one of the reserved tool.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    library: str
    versions: dict[str, str]
    capabilities: frozenset[str]
    variants: frozenset[str]
    calls_by_id: bool = False


class Manifest(BaseModel):
    """The file that an environment is whole with.

    Attributes:
        label: The backend, with the version that was asked for.
        requirements: What was installed.
        is_constrained: Whether the project's constraints held.
        facts: What the backend says of itself there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    requirements: tuple[str, ...]
    is_constrained: bool
    facts: BackendFacts


class Environment(BaseModel):
    """An environment that is installed.

    Attributes:
        folder: Where it is.
        manifest: What it holds.
    """

    model_config = ConfigDict(frozen=True)

    folder: Path
    manifest: Manifest

    @property
    def label(self) -> BackendLabel:
        """The backend that it is for."""
        return BackendLabel.parse(self.manifest.label)

    @property
    def python(self) -> str:
        """The path of its interpreter."""
        return str(python_of(self.folder))

    @property
    def trouble(self) -> str | None:
        """Why it cannot be used, with the command that mends it; None when it can."""
        command = f"run: {install_environment_command(self.manifest.label)}"
        if not python_of(self.folder).exists():
            return f"the environment of {self.manifest.label} has lost its interpreter; {command}"
        if (found := self.manifest.facts.library) != (ours := library_state()):
            return f"the environment of {self.manifest.label} has unified-agents {found}, and this is {ours}; {command}"
        return None


def install_environment_command(label: str) -> str:
    """Return the command that installs the environment of a backend."""
    return f"unified-agents backends install {label!r}" if "*" in label else f"unified-agents backends install {label}"


def environments() -> list[Environment]:
    """Return all environments that are whole, by label.

    Raises:
        ConfigError: the file of one cannot be read; the message has the command that mends it.
    """
    return [found for label in labels() if (found := find_environment(label)) is not None]


def find_environment(label: str) -> Environment | None:
    """Return the environment of that label; None where there is none.

    Raises:
        ConfigError: its file cannot be read; the message has the command that mends it.
    """
    folder = folder_of(label)
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        return Environment(folder=folder, manifest=Manifest.model_validate_json(path.read_bytes()))
    except (OSError, ValidationError) as error:
        command = install_environment_command(label)
        raise ConfigError(f"{path}: cannot be read as the file of an environment; run: {command}") from error


def needed_environment(label: str) -> Environment:
    """Return the environment of that label, ready for use.

    Raises:
        UnknownBackendError: there is no such backend.
        BackendNotInstalledError: there is none; the message has the command that installs it.
        ConfigError: it cannot be used; the message has the command that mends it.
    """
    backend_info(BackendLabel.parse(label).name)
    found = find_environment(label)
    if found is None:
        raise BackendNotInstalledError(
            f"backend {label!r} has no environment of its own; run: {install_environment_command(label)}"
        )
    if found.trouble is not None:
        raise ConfigError(found.trouble)
    return found

"""The program that asks an interpreter what a backend is there: `python -m unified_agents.environments.probe NAME`."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version

from pydantic import ValidationError

from unified_agents.backend import calls_by_id, variants_of
from unified_agents.environments.environment import BackendFacts
from unified_agents.environments.library_state import library_state
from unified_agents.environments.other_process import answer_in_process, ask_in_process
from unified_agents.errors import BackendBrokenError
from unified_agents.extras import OURS
from unified_agents.registry import backend_info, load_backend


def main(name: str) -> None:
    """Print what the backend says of itself as one JSON object."""
    answer_in_process(lambda: backend_facts(name).model_dump_json())


def backend_facts(name: str) -> BackendFacts:
    """Import a backend here, and return what it says of itself.

    Raises:
        ConfigError: it is unknown, not installed, or broken.
    """
    backend = load_backend(name)
    return BackendFacts(
        library=library_state(),
        versions=versions_here(name),
        capabilities=frozenset(map(str, backend.capabilities)),
        variants=frozenset(variants_of(backend)),
        calls_by_id=calls_by_id(backend),
    )


def versions_here(name: str) -> dict[str, str]:
    """Return the versions of Python, of this library, and of what a backend is made of."""
    info = backend_info(name)
    versions = {"python": platform.python_version(), OURS: version(OURS), info.distribution: info.version}
    return versions | info.requires


def probed_facts(name: str, python: str | None = None) -> BackendFacts:
    """Return what a backend says of itself in another process.

    Args:
        name: The backend's name.
        python: The interpreter of its environment; None for this one, with the path that it has now.

    Raises:
        BackendBrokenError: it cannot be imported there, or is not installed; the message has the reason.
    """
    answer = ask_in_process("unified_agents.environments.probe", name, python)
    try:
        return BackendFacts.model_validate_json(answer)
    except ValidationError as error:
        raise BackendBrokenError(f"{python or sys.executable} has another unified-agents: install it anew") from error


if __name__ == "__main__":
    main(sys.argv[1])

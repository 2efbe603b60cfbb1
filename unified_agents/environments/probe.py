"""The program that asks an interpreter what a backend is there: `python -m unified_agents.environments.probe NAME`."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import version

from pydantic import ValidationError

from unified_agents.backend import calls_by_id, variants_of
from unified_agents.environments.environment import BackendFacts
from unified_agents.environments.library_state import library_state
from unified_agents.errors import BackendBrokenError, UnifiedAgentsError
from unified_agents.extras import OURS
from unified_agents.registry import backend_info, load_backend

PROBE_SECONDS = 180.0
_START = "import sys; sys.path[:] = {path!r}; from unified_agents.environments.probe import main; main({name!r})"


def main(name: str) -> None:
    """Print what the backend says of itself as one JSON object; or one line on standard error, with exit code 1."""
    out = os.dup(1)
    os.dup2(2, 1)  # a framework may print as it is imported
    try:
        facts = backend_facts(name)
    except UnifiedAgentsError as error:
        sys.exit(" ".join(str(error).split()))
    with os.fdopen(out, "w", encoding="utf-8") as answers:
        answers.write(facts.model_dump_json())


def backend_facts(name: str) -> BackendFacts:
    """Import a backend here, and return what it says of itself.

    Raises:
        ConfigError: it is unknown, not installed, or broken.
    """
    backend, info = load_backend(name), backend_info(name)
    versions = {"python": platform.python_version(), OURS: version(OURS), info.distribution: info.version}
    return BackendFacts(
        library=library_state(),
        versions=versions | info.requires,
        capabilities=frozenset(map(str, backend.capabilities)),
        variants=frozenset(variants_of(backend)),
        calls_by_id=calls_by_id(backend),
    )


def probed_facts(name: str, python: str | None = None) -> BackendFacts:
    """Return what a backend says of itself in another process.

    Args:
        name: The backend's name.
        python: The interpreter of its environment; None for this one, with the path that it has now.

    Raises:
        BackendBrokenError: it cannot be imported there, or is not installed; the message has the reason.
    """
    own = [sys.executable, "-c", _START.format(path=sys.path, name=name)]
    command = own if python is None else [python, "-I", "-m", "unified_agents.environments.probe", name]
    where = "here" if python is None else f"for {python}"
    try:
        done = subprocess.run(  # noqa: S603  # a list of words, and no shell
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_SECONDS, check=False
        )
        if done.returncode == 0:
            return BackendFacts.model_validate_json(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValidationError) as error:
        raise BackendBrokenError(f"backend {name!r} cannot be used {where}: {' '.join(str(error).split())}") from error
    lines = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
    raise BackendBrokenError(f"backend {name!r} cannot be used {where}: {lines[-1]}")


if __name__ == "__main__":
    main(sys.argv[1])

"""Asks a module of this library something in a process of its own: in this interpreter, or in another one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

from unified_agents.errors import BackendBrokenError, UnifiedAgentsError

ASK_SECONDS = 180.0
_START = "import sys; sys.path[:] = {path!r}; from {module} import main; main({name!r})"


def ask_in_process(module: str, backend: str, python: str | None = None) -> bytes:
    """Return what a module's `main(backend)` prints.

    Args:
        module: A module of this library whose `main` is `answer_in_process`, which takes the backend's name.
        backend: The backend's name.
        python: The interpreter of an environment; None for this one, with the path that it has now.

    Raises:
        BackendBrokenError: the backend cannot be used there; the message has the reason.
    """
    own = [sys.executable, "-c", _START.format(path=sys.path, module=module, name=backend)]
    command = own if python is None else [python, "-I", "-m", module, backend]
    where = "here" if python is None else f"for {python}"
    try:
        done = subprocess.run(  # noqa: S603  # a list of words, and no shell
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=ASK_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendBrokenError(
            f"backend {backend!r} cannot be used {where}: {' '.join(str(error).split())}"
        ) from error
    if done.returncode == 0:
        return done.stdout
    lines = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
    raise BackendBrokenError(f"backend {backend!r} cannot be used {where}: {lines[-1]}")


def answer_in_process(answer: Callable[[], str]) -> None:
    """Print an answer, and nothing else; or an error as one line on standard error, with exit code 1."""
    out = os.dup(1)
    os.dup2(2, 1)  # a framework may print as it is imported
    try:
        text = answer()
    except UnifiedAgentsError as error:
        sys.exit(" ".join(str(error).split()))
    with os.fdopen(out, "w", encoding="utf-8") as answers:
        answers.write(text)

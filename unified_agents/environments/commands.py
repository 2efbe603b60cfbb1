"""The programs that build and fill environments: started without a shell, bounded in time, their words in a log."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from unified_agents.errors import ConfigError

COMMAND_SECONDS = 1800.0
_TAIL_BYTES = 65536
_NOT_FOR_ENVIRONMENTS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


class CommandFailedError(ConfigError):
    """A program that an environment is made with has failed."""


def uv_command() -> list[str] | None:
    """Return how uv is called; None where it is not there."""
    if (found := shutil.which("uv")) is not None:
        return [found]
    return [sys.executable, "-m", "uv"] if find_spec("uv") is not None else None


def run_logged(command: Sequence[str], log: Path, *, folder: Path | None = None) -> None:
    """Run a program to its end; what it says goes to the end of a file.

    Raises:
        CommandFailedError: it cannot be run, failed, or took too long; the message has its last line.
    """
    env = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_ENVIRONMENTS}
    with log.open("ab") as file:
        file.write(f"$ {' '.join(command)}\n".encode(errors="replace"))
        file.flush()
        try:
            done = subprocess.run(  # noqa: S603  # a list of words, and no shell
                list(command),
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except OSError as error:
            raise CommandFailedError(f"{command[0]} cannot be run: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise CommandFailedError(f"{command[0]} did not end within {COMMAND_SECONDS:g} seconds") from error
    if done.returncode:
        raise CommandFailedError(f"{_reason(log)}; all of it: {log}")


def _reason(log: Path) -> str:
    """Return the first line that tells of an error, or the last of all."""
    text = log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error", "×", "x ", "╰"))]
    return errors[0] if errors else [*lines[-1:], "it failed without a word"][0]

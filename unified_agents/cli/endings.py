"""How a command ends: one line for people on standard error, an exit code, and with `--json` one object for scripts."""

from __future__ import annotations

import json
import sys
from typing import NoReturn

from unified_agents.errors import ConfigError, RunError, UnifiedAgentsError

COMPLETED, FAILED, USAGE, LIMIT, INTERRUPTED = 0, 1, 2, 3, 130


def stop(error: UnifiedAgentsError, code: int, *, as_json: bool = False) -> NoReturn:
    """Say what went wrong, and end with this code; see `tell`."""
    tell_of(error, as_json=as_json)
    raise SystemExit(code) from None


def interrupted(hint: str = "", *, as_json: bool = False) -> None:
    """Say that the user interrupted, and what to do to go on; see `tell`."""
    tell("cancelled", "KeyboardInterrupt", f"interrupted{hint}", as_json=as_json)


def tell_of(error: UnifiedAgentsError, *, as_json: bool) -> None:
    """Say what went wrong; see `tell`. The kind is the run error's own, else `config` or `unsupported`."""
    kind = error.kind if isinstance(error, RunError) else "config" if isinstance(error, ConfigError) else "unsupported"
    tell(kind, type(error).__name__, str(error), as_json=as_json)


def tell(kind: str, type_: str, message: str, *, as_json: bool) -> None:
    """One line on standard error, and with `as_json` an object on standard output, where else the result would be.

    Args:
        kind: What scripts decide by.
        type_: The error's class.
        message: One line for people.
        as_json: Whether to write `{"error": {"kind": …, "type": …, "message": …}}` as well.
    """
    say(message)
    if as_json:
        error = {"kind": kind, "type": type_, "message": _one_line(message)}
        sys.stdout.write(json.dumps({"error": error}, ensure_ascii=False) + "\n")


def say(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"unified-agents: {_one_line(text)}\n")


def _one_line(text: str) -> str:
    return " ".join(text.split())

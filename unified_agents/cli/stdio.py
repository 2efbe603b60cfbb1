"""How a command ends: one line for people on standard error, an exit code, and with `--json` one object for scripts.

Importing this loads next to nothing, so that there is hardly a moment in which an interrupt is not told.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, NoReturn, TextIO

if TYPE_CHECKING:
    from unified_agents.errors import UnifiedAgentsError

COMPLETED, FAILED, USAGE, LIMIT, INTERRUPTED = 0, 1, 2, 3, 130

_ours: list[TextIO] = []
"""Where `put` writes once standard output is claimed."""


class Interrupted(BaseException):
    """The user interrupted. `main` says so, and then what this holds; of KeyboardInterrupt typer makes a silent end."""


def claim_standard_output() -> None:
    """From now on to the end of the process, only `put` writes to standard output.

    What tools, modules on their import and child processes print goes to standard error.
    """
    out = sys.__stdout__
    if _ours or out is None or sys.stdout is not out or sys.stderr is None:
        return
    out.flush()
    _ours.append(os.fdopen(os.dup(1), "w", encoding=out.encoding, errors=out.errors))
    os.dup2(2, 1)
    sys.stdout = sys.stderr


def put(text: str) -> None:
    """Write to standard output, also once it is claimed; not where the caller has closed it."""
    out = _ours[0] if _ours else sys.stdout
    if out is not None:
        out.write(text)
        out.flush()


def stop(error: UnifiedAgentsError, code: int, *, as_json: bool = False) -> NoReturn:
    """Say what went wrong, and end with this code; see `tell`."""
    tell_of(error, as_json=as_json)
    raise SystemExit(code) from None


def tell_of(error: UnifiedAgentsError, *, as_json: bool) -> None:
    """Say what went wrong; see `tell`. The kind is the run error's own, else `config` or `unsupported`."""
    from unified_agents.errors import ConfigError, RunError  # noqa: PLC0415  # loaded by now: one of them was raised

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
        put(json.dumps({"error": error}, ensure_ascii=False) + "\n")


def say(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"unified-agents: {_one_line(text)}\n")


def _one_line(text: str) -> str:
    return " ".join(text.split())

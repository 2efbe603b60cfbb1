"""How a command ends: one line for people on standard error, and an exit code."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from unified_agents.errors import UnifiedAgentsError

COMPLETED, FAILED, USAGE, LIMIT, INTERRUPTED = 0, 1, 2, 3, 130


def stop(error: UnifiedAgentsError, code: int) -> NoReturn:
    """Say what went wrong, and end with this code."""
    say(str(error))
    raise typer.Exit(code) from None


def say(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"unified-agents: {' '.join(text.split())}\n")

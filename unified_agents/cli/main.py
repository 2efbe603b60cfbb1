"""The command line: `unified-agents run | compare | backends`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command that was asked for, and exit with its code."""
    try:
        from unified_agents.cli.commands import app  # noqa: PLC0415  # the `cli` extra may be missing
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich", "click"):
            raise
        sys.stderr.write("unified-agents: the command line is not installed; run: pip install 'unified-agents[cli]'\n")
        sys.exit(2)
    app()

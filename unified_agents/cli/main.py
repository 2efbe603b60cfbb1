"""The command line: `unified-agents run | compare | backends | tools`."""

from __future__ import annotations

import sys
from typing import Any

from unified_agents.cli.endings import USAGE, tell


def main() -> None:
    """Run the command that was asked for, and exit with its code."""
    as_json = "--json" in sys.argv[1:]
    try:
        from unified_agents.cli.commands import app  # noqa: PLC0415  # the `cli` extra may be missing
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich", "click"):
            raise
        message = "the command line is not installed; run: pip install 'unified-agents[cli]'"
        tell("usage", type(error).__name__, message, as_json=as_json)
        sys.exit(USAGE)
    if as_json:
        _run_for_a_script(app)
    app()


def _run_for_a_script(app: Any) -> None:
    from typer import BadParameter  # noqa: PLC0415  # the `cli` extra may be missing

    wrong_usage: Any = BadParameter.__bases__  # typer exports no name for it
    try:
        code = app(standalone_mode=False)
    except wrong_usage as error:
        tell("usage", type(error).__name__, error.format_message(), as_json=True)
        code = USAGE
    sys.exit(code)

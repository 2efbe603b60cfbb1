"""The command line: `unified-agents run | runs | compare | backends | schema | tools`."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from unified_agents.cli.stdio import INTERRUPTED, USAGE, Interrupted, claim_standard_output, report


def main() -> NoReturn:
    """Run the command that was asked for, and exit with its code."""
    as_json = "--json" in sys.argv[1:]
    if as_json and "--help" not in sys.argv[1:]:
        claim_standard_output()
    try:
        app = _load_commands(as_json=as_json)
        sys.exit(_run_as_json(app) if as_json else app())
    except (KeyboardInterrupt, Interrupted) as error:
        report("cancelled", KeyboardInterrupt.__name__, f"interrupted{error}", as_json=as_json)
        sys.exit(INTERRUPTED)


def _load_commands(*, as_json: bool) -> Any:
    try:
        from unified_agents.cli.commands import app  # noqa: PLC0415  # the `cli` extra may be missing
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich", "click"):
            raise
        from unified_agents.extras import remedy_of_extra  # noqa: PLC0415  # read only where something is missing

        message = f"the command line is not installed: {remedy_of_extra('cli')}"
        report("usage", type(error).__name__, message, as_json=as_json)
        sys.exit(USAGE)
    return app


def _run_as_json(app: Any) -> int | None:
    from typer import BadParameter  # noqa: PLC0415  # the `cli` extra may be missing

    # The base UsageError stands in click, or in typer's own copy of it, by typer's version: no import fits both.
    wrong_usage: Any = BadParameter.__bases__
    try:
        code: int | None = app(standalone_mode=False)
    except wrong_usage as error:
        report("usage", type(error).__name__, error.format_message(), as_json=True)
        return USAGE
    return code

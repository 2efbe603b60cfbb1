"""The command line: `unified-agents run | chat | exec | runs | compare | backends | doctor | schema | tools | …`."""

from __future__ import annotations

import signal
import sys
from typing import Any, NoReturn

from unified_agents.cli.stdio import (
    FAILED,
    INTERRUPTED,
    TERMINATED,
    USAGE,
    Interrupted,
    claim_standard_output,
    discard_output,
    flush_output,
    report,
    tolerate_other_encodings,
)


def main() -> NoReturn:
    """Run the command that was asked for, and exit with its code."""
    as_json = "--json" in sys.argv[1:]
    tolerate_other_encodings()
    if as_json and "--help" not in sys.argv[1:]:
        claim_standard_output()
    try:
        signal.signal(signal.SIGTERM, _terminate)
        code = _run(_load_commands(as_json=as_json), as_json=as_json)
        flush_output()
        sys.exit(code)
    except (KeyboardInterrupt, Interrupted) as error:
        what = "terminated" if _terminated else "interrupted"
        report("cancelled", KeyboardInterrupt.__name__, f"{what}{error}", as_json=as_json)
        sys.exit(TERMINATED if _terminated else INTERRUPTED)
    except OSError as error:
        discard_output()
        if not isinstance(error, BrokenPipeError):  # who reads has had enough, and asks for no message
            report("io", type(error).__name__, f"cannot read or write: {error}", as_json=False)
        sys.exit(FAILED)


_terminated: list[int] = []


def _terminate(number: int, frame: object) -> NoReturn:
    """End as on an interrupt: what was begun is cancelled, and one line says how to go on."""
    _terminated.append(number)
    raise KeyboardInterrupt


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


def _run(app: Any, *, as_json: bool) -> int | None:
    """Run the command, and report wrong usage on one line."""
    from typer import BadParameter  # noqa: PLC0415  # the `cli` extra may be missing

    # The base UsageError stands in click, or in typer's own copy of it, by typer's version: no import fits both.
    wrong_usage: Any = BadParameter.__bases__
    try:
        code: int | None = app(standalone_mode=False)
    except wrong_usage as error:
        told, context = error.format_message().replace(": Value error, ", ": ", 1), error.ctx
        if type(error).__name__ == "NoArgsIsHelpError" and not as_json:
            return USAGE  # the help was shown
        remedy = f"; see {context.command_path} --help" if context is not None else ""
        report("usage", type(error).__name__, told.rstrip(".") + remedy, as_json=as_json)
        return USAGE
    return code

"""The command `exec`: a program as it is, with its model calls on the wire."""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Annotated, Any

import orjson
import typer

from unified_agents.cli.stdio import LIMIT, exit_on_wrong_usage, print_message
from unified_agents.config import Limits, ModelPrice, parse_config
from unified_agents.errors import ConfigError
from unified_agents.events import Event
from unified_agents.wrapping.program import BASE_URL_VARIABLES, ProgramRun, run_program

BOUNDS = ("max_model_calls", "max_tokens", "max_cost", "timeout")
TOOL_BOUNDS = ("max_tool_calls", "max_parallel_tools")


def exec_command(
    command: Annotated[list[str], typer.Argument(help="The program with its arguments.", metavar="-- COMMAND")],
    *,
    limits: Annotated[
        str | None,
        typer.Option(
            help="Bounds with commas between, such as max_model_calls=20,max_tokens=100000,max_cost=0.5,timeout=300. "
            "There are no limits on the program's tools: it runs them itself."
        ),
    ] = None,
    price: Annotated[
        str | None,
        typer.Option(help="What a million tokens cost, such as input=1.25,output=10; max_cost needs it."),
    ] = None,
    mend: Annotated[
        bool,
        typer.Option(help="Ask again for an answer whose tool calls are no JSON. Streamed ones then come when whole."),
    ] = True,
    events: Annotated[Path | None, typer.Option(help="Write each event to this file, as a line of JSON.")] = None,
    result: Annotated[
        Path | None, typer.Option(help="Write the result to this file; `unified-agents trace FILE` draws it.")
    ] = None,
    exchanges: Annotated[
        bool, typer.Option("--exchanges", help="Keep the bodies of requests and answers in the result.")
    ] = False,
) -> None:
    """Run a program, in whatever language, with its model calls on the wire.

    It is told another base URL by the environment variables that the clients of OpenAI, Anthropic and Google read, and
    nothing else of it changes. Its model calls are bounded, retried, mended and traced. Its tools are its own.

    Exit codes: the program's own; 3 where a limit was met; 2 wrong usage, or the program cannot be run.
    """
    with exit_on_wrong_usage():
        bounds = _bounds(limits)
        cost = None if price is None else parse_config(ModelPrice, _pairs(price, "--price"), "--price")
        if bounds.max_cost is not None and cost is None:
            raise ConfigError("--limits max_cost needs a price: --price input=1.25,output=10")
        if exchanges and result is None:
            raise ConfigError("--exchanges goes with --result FILE")
        with ExitStack() as files:
            log = None if events is None else files.enter_context(_opened(events))
            out = None if result is None else files.enter_context(_opened(result))
            ended = asyncio.run(
                run_program(
                    command,
                    bounds,
                    price=cost,
                    mends=mend,
                    record_exchanges=exchanges,
                    on_event=None if log is None else lambda event: _write(log, event),
                )
            )
            if out is not None:
                out.write(orjson.dumps(ended.result.to_dict()) + b"\n")
    _tell(ended)
    raise typer.Exit(LIMIT if ended.result.status == "limit" else ended.exit_code)


def _bounds(text: str | None) -> Limits:
    given = {} if text is None else _pairs(text, "--limits")
    for name in given:
        if name in TOOL_BOUNDS:
            raise ConfigError(f"--limits {name}: a program runs its tools itself, so no limit on them can hold here")
        if name in Limits.model_fields and name not in BOUNDS:
            raise ConfigError(f"--limits {name}: does not hold for a program; give {', '.join(BOUNDS)}")
    given.setdefault("timeout", float(sys.maxsize))
    given.setdefault("max_model_calls", sys.maxsize)
    return parse_config(Limits, given, "--limits")


def _pairs(text: str, option: str) -> dict[str, Any]:
    pairs = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    if not pairs or not all(name and equals and value for name, equals, value in pairs):
        raise ConfigError(f"{option} {text!r}: write name=number, with commas between")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("wb")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error


def _write(log: IO[bytes], event: Event) -> None:
    log.write(orjson.dumps(event.to_dict()) + b"\n")
    log.flush()


def _tell(ended: ProgramRun) -> None:
    """Say on standard error what the program's model calls were."""
    result = ended.result
    if ended.requests == 0:
        names = ", ".join(names[0] for names in BASE_URL_VARIABLES.values())
        print_message(
            "no request came: the program asked no model, or it goes past its clients' base URLs "
            f"({names}), as one does that names a server itself"
        )
        return
    calls = sum(span.name.startswith("chat ") for span in result.trace.walk())
    tokens = result.usage.total_tokens
    parts = [f"{calls} model calls", f"{result.requests} requests"]
    parts += [f"{tokens:,} tokens"] if tokens is not None else []
    parts += [f"cost {result.cost:.6g}"] if result.cost is not None else []
    parts += [result.errors[-1].message] if result.status == "limit" else []
    print_message("; ".join(parts))

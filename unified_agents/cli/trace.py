"""The command `trace`: the waterfall of a run in the terminal, and where its time went."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.table import Column, Table
from rich.text import Text

from unified_agents.cli.stdio import exit_on_wrong_usage, put, put_json
from unified_agents.cli.tables import console
from unified_agents.errors import ConfigError
from unified_agents.tracing.spans import Span, printable
from unified_agents.tracing.summary import TraceSummary, summarise_trace

MAX_BYTES = 256 * 1024 * 1024
TIMES = ("total", "model", "tool", "waiting", "overhead")
TOKENS = ("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")


def trace(
    run: Annotated[Path, typer.Argument(help="What `run --json` printed, or a file of a comparison's folder details.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
) -> None:
    """Draw the waterfall of a run, and say where its time went.

    Exit codes: 0 drawn; 2 the file holds no run.
    """
    with exit_on_wrong_usage(as_json=as_json):
        result = _read(run)
        try:
            root = Span.from_dict(result["trace"])
        except (ValueError, KeyError) as error:
            raise ConfigError(f"{run}: holds no trace of a run: {error}") from error
    summary = summarise_trace(root)
    if as_json:
        put_json(summary.to_dict() | {name: result.get(name) for name in ("seconds", "usage", "cost", "status")})
        return
    put(f"{root}\n\n")
    for table in (_types(summary), _events(summary), _slowest(summary), _sums(result)):
        if table.row_count:
            console().print(table)


def _read(path: Path) -> dict[str, Any]:
    """Return the result that a file holds.

    Raises:
        ConfigError: it cannot be read, or holds no JSON object.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_BYTES:,} bytes")
        found = orjson.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{path}: is no JSON: {error}") from error
    if isinstance(found, dict) and isinstance(found.get("result"), dict):
        found = found["result"]
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: holds no run: give what `run --json` printed")
    return found


def _types(summary: TraceSummary) -> Table:
    table = Table("spans", *_numbers("count", "time, s", "errors"))
    for one in summary.types:
        table.add_row(Text(printable(one.name)), str(one.count), f"{one.seconds:.3f}", str(one.errors))
    return table


def _events(summary: TraceSummary) -> Table:
    table = Table("events", *_numbers("count", "time, s"))
    for one in summary.events:
        table.add_row(Text(printable(one.name)), str(one.count), "" if one.seconds is None else f"{one.seconds:.3f}")
    return table


def _slowest(summary: TraceSummary) -> Table:
    table = Table("slowest", *_numbers("from, s", "time, s"))
    for span in summary.slowest:
        seconds = "not ended" if span.end is None else f"{span.end - span.start:.3f}"
        table.add_row(Text(printable(span.name)), f"{span.start:.3f}", seconds)
    return table


def _sums(result: dict[str, Any]) -> Table:
    table = Table("sum", *_numbers("value"))
    seconds, usage = (_mapping(result.get(name)) for name in ("seconds", "usage"))
    for names, values, unit in ((TIMES, seconds, " s"), (TOKENS, usage, "")):
        for name in names:
            value = values.get(name)
            if isinstance(value, int | float):
                table.add_row(name, f"{value:.3f}{unit}" if unit else f"{value:,}")
    cost = result.get("cost")
    table.add_row("cost", f"{cost:.6g}" if isinstance(cost, int | float) else "unknown: the model has no price")
    return table


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _numbers(*names: str) -> list[Column]:
    return [Column(name, justify="right") for name in names]

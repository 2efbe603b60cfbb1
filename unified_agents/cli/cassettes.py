"""The options `--record` and `--replay` of the commands that ask a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unified_agents.errors import ConfigError

RecordOption = Annotated[
    Path | None, typer.Option("--record", help="Write each exchange with the model to this new file, without secrets.")
]
ReplayOption = Annotated[
    Path | None, typer.Option("--replay", help="Answer from a file that --record wrote; no model is asked.")
]


def check_cassettes(record: Path | None, replay: Path | None) -> None:
    """Check that the options fit: a recording is money and time, so none is written into another.

    Raises:
        ConfigError: both are given, or the file to record is there.
    """
    if record is not None and replay is not None:
        raise ConfigError("--record writes what the model answers, and --replay answers without it: give one of them")
    if record is not None and record.exists():
        raise ConfigError(f"--record {record}: the file is there; delete it, name another, or --replay it")

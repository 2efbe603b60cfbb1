"""What `unified-agents compare` does, from its options to its exit code."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from unified_agents.cli.stdio import COMPLETED, FAILED, USAGE, Interrupted, put, report_error
from unified_agents.cli.tables import console
from unified_agents.config import ModelConfig, parse_config
from unified_agents.errors import ConfigError
from unified_agents.registry import backend_info, backend_names
from unified_agents_comparisons.bfcl.suite import NAME, Source
from unified_agents_comparisons.execution.comparison import Plan, compare
from unified_agents_comparisons.loading import load_suite
from unified_agents_comparisons.negative_controls import controls
from unified_agents_comparisons.progress import progress
from unified_agents_comparisons.report.markdown import REPORT, write_report
from unified_agents_comparisons.report.summary import Summary, summarise, write_summary
from unified_agents_comparisons.report.terminal import show
from unified_agents_comparisons.suite.model import LoadedSuite


def run_command(options: Mapping[str, Any], *, as_json: bool) -> int:
    """Run a comparison and print its report.

    Args:
        options: The options of `compare_command`, as texts and numbers.
        as_json: Whether standard output gets the summary, or the error, as JSON and nothing else.

    Returns:
        The exit code: 0 when every `unified` cell passed, or every cell of a negative control failed; 1 when not; 2
        when something does not fit.

    Raises:
        Interrupted: the user interrupted it; it says how to go on.
    """
    try:
        plan = _plan(options)
        try:
            summary = _run(plan, Console(stderr=True))
        except KeyboardInterrupt:
            raise Interrupted(f"; go on with --out {plan.out}") from None
    except ConfigError as error:
        report_error(error, as_json=as_json)
        return USAGE
    if as_json:
        put(summary.model_dump_json(indent=2) + "\n")
    else:
        show(summary, console())
    print(f"report: {plan.out / REPORT}", file=sys.stderr if as_json else sys.stdout)
    return COMPLETED if summary.ok else FAILED


def _run(plan: Plan, console: Console) -> Summary:
    with progress(plan, console) as tell:
        summary = summarise(asyncio.run(compare(plan, on_cell=tell.cell, on_note=tell.note)))
    write_summary(summary, plan.out)
    write_report(summary, plan.out)
    return summary


def _plan(options: Mapping[str, Any]) -> Plan:
    suite = load_suite(_source(options))
    suite.select(options["tasks"])
    pythons = _pythons(options["pythons"])
    names = _names(options["backends"]) if options["backends"] is not None else _installed(pythons)
    for name in names:
        if name not in pythons:
            _check_backend(name)
    unused = sorted(pythons.keys() - set(names))
    if unused:
        raise ConfigError(f"--python {unused[0]}: that backend is not compared; add it to --backends")
    changes = {
        "suite": suite.source,
        "backends": names,
        "named": [name for name in ("backends", "handlings") if options[name] is not None],
        "handlings": suite.suite.handlings if options["handlings"] is None else _names(options["handlings"]),
        "model": _model(options["model"], options["base_url"], options["api_key_env"]),
        "out": options["out"] or _new_folder(suite.suite.name),
        "pythons": pythons,
        "perturb": _controls(options["perturb"], options["controls"], suite),
    }
    rest = {name: value for name, value in options.items() if name in Plan.model_fields}
    return parse_config(Plan, rest | changes, "compare")


def _source(options: Mapping[str, Any]) -> str:
    given = {name: options[name] for name in ("data", "categories", "limit") if options[name] is not None}
    if not given:
        return str(options["suite"])
    if options["suite"] != NAME:
        raise ConfigError(f"--{next(iter(given))} goes with the suite {NAME}: leave it out, or compare {NAME}")
    return str(parse_config(Source, given, f"compare {NAME}"))


def _controls(perturb: bool, named: str | None, suite: LoadedSuite) -> tuple[str, ...]:
    if named is not None and not perturb:
        raise ConfigError(f"{named!r} is one word too many: negative controls are named after --perturb")
    if not perturb:
        return ()
    return _names(named) if named else tuple(dict.fromkeys(one for task in suite.suite.tasks for one in controls(task)))


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _installed(pythons: Mapping[str, str]) -> tuple[str, ...]:
    here = [name for name in backend_names() if name in pythons or backend_info(name).installed]
    return tuple(dict.fromkeys([*here, *pythons]))


def _check_backend(name: str) -> None:
    info = backend_info(name)
    if not info.installed:
        missing = ", ".join(info.missing)
        raise ConfigError(f"backend {name!r} is not installed: {missing} missing; run: {info.remedy}, or leave it out")


def _pythons(options: Iterable[str]) -> dict[str, str]:
    pairs = [option.partition("=") for option in options]
    for backend, _, path in pairs:
        if not backend or not path:
            raise ConfigError(f"--python {backend!r}: write BACKEND=PATH, the path of an interpreter")
        if shutil.which(path) is None:
            raise ConfigError(f"--python {backend}: {path} cannot be run: there is no such program")
    return {backend: path for backend, _, path in pairs}


def _model(text: str, base_url: str | None, api_key_env: str | None) -> ModelConfig:
    model = ModelConfig.parse(text)
    name = str(Path(model.name).resolve()) if model.provider == "script" else model.name
    values = model.model_dump() | {"name": name} | {"base_url": base_url, "api_key_env": api_key_env}
    return parse_config(ModelConfig, values, f"model {text}")


def _new_folder(name: str) -> Path:
    return Path(f"comparison-{name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}")

"""What `unified-agents compare` does: from its options to a plan, and from the plan to a report."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import get_args

from rich.console import Console

from unified_agents.cli.stdio import COMPLETED, FAILED, Interrupted, put_json_text
from unified_agents.cli.tables import console
from unified_agents.config import AgentConfig, Handling, ModelConfig, parse_config
from unified_agents.config.prices import load_prices
from unified_agents.config.providers import ProtocolName
from unified_agents.errors import ConfigError
from unified_agents.text import closest
from unified_agents_comparisons.agent_suites import agent_source
from unified_agents_comparisons.analysis.paired_tests import is_decided
from unified_agents_comparisons.bfcl.suite import NAME, BfclSource
from unified_agents_comparisons.execution.comparison import compare
from unified_agents_comparisons.execution.folder import ASKED
from unified_agents_comparisons.execution.interpreters import (
    available_backends,
    chosen_interpreters,
    given_interpreters,
)
from unified_agents_comparisons.execution.plan import ComparisonPlan
from unified_agents_comparisons.loading import load_suite
from unified_agents_comparisons.native_tracing.collector import traceable
from unified_agents_comparisons.negative_controls import applicable_controls
from unified_agents_comparisons.progress import show_progress
from unified_agents_comparisons.records import Cell, Perturbation, Tracing
from unified_agents_comparisons.report.exports import Exports
from unified_agents_comparisons.report.markdown import write_report
from unified_agents_comparisons.report.page import PAGE, write_page
from unified_agents_comparisons.report.summary import Summary, summarise, write_summary
from unified_agents_comparisons.report.terminal import show
from unified_agents_comparisons.suite.model import LoadedSuite

NO_EXPORTS = Exports()


def plan_comparison(
    suite: str,
    *,
    backends: str | None,
    pythons: Sequence[str],
    handlings: str | None,
    perturb: bool,
    controls: str | None,
    model: ModelConfig | None,
    tasks: str,
    out: Path | None,
    prices: Path | None = None,
    tracing: Tracing | None = None,
    **rest: object,
) -> ComparisonPlan:
    """Make the plan of a comparison from the texts of the command line.

    Args:
        suite: What `load_suite` finds the suite by.
        backends: `NAME` or `NAME==VERSION` with commas between; None takes all that are installed, here or in an
            environment of their own.
        pythons: `BACKEND=PATH` for each interpreter of a backend's worker.
        handlings: Names with commas between; None takes those of the suite.
        perturb: Whether to run negative controls.
        controls: Their names with commas between; None takes all that apply to a task.
        model: Which model answers; None takes that of the suite's agent, or each task's own script.
        tasks: A shell pattern of task ids.
        out: The folder of the records; None makes a new one.
        prices: A file of prices; None where the spend is not told.
        tracing: Whether the frameworks' own tracing is scored.
        rest: Further fields of the plan, as they are.

    Raises:
        ConfigError: something does not fit, or a backend is not installed.
    """
    loaded = load_suite(suite)
    loaded.select(tasks)
    given = given_interpreters(pythons)
    wrapped = loaded.suite.backends
    names = _names(backends) if backends is not None else (*available_backends(given), *wrapped)
    if tracing is not None:
        names = traceable(names, named=backends is not None, wrapped=wrapped)
    answering = _answering_model(model, loaded.agent)
    values = {
        "suite": loaded,
        "backends": names,
        "named": [name for name, text in (("backends", backends), ("handlings", handlings)) if text is not None],
        "handlings": loaded.suite.handlings if handlings is None else _handlings(handlings),
        "model": answering,
        "tasks": tasks,
        "out": out or Path(f"comparison-{loaded.suite.name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"),
        "pythons": chosen_interpreters([name for name in names if name not in wrapped], given),
        "tracing": tracing,
        "perturb": _controls(perturb, controls, loaded),
    }
    if prices is not None:
        known = load_prices(prices)
        values |= {"price": known.price_of(answering), "currency": known.currency}
    if loaded.agent is not None:
        values["variant"] = rest.get("variant") or loaded.agent.variant
        values["timeout"] = rest.get("timeout") or loaded.agent.limits.timeout
    further = {name: value for name, value in rest.items() if value is not None}
    return parse_config(ComparisonPlan, further | values, "compare")


def _answering_model(named: ModelConfig | None, agent: AgentConfig | None) -> ModelConfig:
    if named is None:
        return ModelConfig(provider="oracle", name="oracle") if agent is None else agent.model
    return named if agent is None or named.base_url is not None else agent.model.renamed(named)


def suite_source(suite: str, tasks: str = "*", **options: object) -> tuple[str, str]:
    """Return what `load_suite` finds a suite by, and the pattern of its tasks.

    Args:
        suite: A suite, or an agent's file.
        tasks: A shell pattern of task ids; of an agent's file, the file of its questions.
        options: Where they are not None, they go with BFCL alone.

    Raises:
        ConfigError: there are options and the suite is another one, or one does not fit; or an agent's file has no
            questions.
    """
    chosen = {name: value for name, value in options.items() if value is not None}
    if not chosen:
        source = agent_source(suite, tasks)
        return (suite, tasks) if source is None else (str(source), "*")
    if suite != NAME:
        raise ConfigError(f"--{next(iter(chosen))} goes with the suite {NAME}: leave it out, or compare {NAME}")
    return str(parse_config(BfclSource, chosen, f"compare {NAME}")), tasks


def parse_model(
    text: str | None, base_url: str | None, api_key_env: str | None, protocol: ProtocolName | None = None
) -> ModelConfig | None:
    """Read `provider:name`; the path of a script becomes absolute, since a worker may run elsewhere.

    Returns:
        None where nothing is said of the model.

    Raises:
        ConfigError: something does not fit.
    """
    if text is None and (base_url, api_key_env, protocol) == (None, None, None):
        return None
    model = ModelConfig.parse(text or "oracle:")
    name = str(Path(model.name).resolve()) if model.provider == "script" else model.name
    values = model.model_dump() | {"name": name, "base_url": base_url, "api_key_env": api_key_env, "protocol": protocol}
    return parse_config(ModelConfig, values, f"model {text or 'oracle:'}")


def run_command(
    plan: ComparisonPlan, *, as_json: bool, until_decided: bool = False, exports: Exports = NO_EXPORTS
) -> int:
    """Run a comparison and print its report.

    Args:
        plan: What to compare.
        as_json: Whether standard output gets the summary as JSON and nothing else.
        until_decided: Whether to stop before all repeats when no test is inconclusive.
        exports: Further files to write.

    Returns:
        The exit code: 0 when every `unified` cell passed, or every cell of a negative control failed; 1 when not.

    Raises:
        ConfigError: something does not fit.
        Interrupted: the user interrupted it; it says how to go on.
    """
    try:
        summary, cells = _run(plan, looks(plan.repeats) if until_decided else (plan.repeats,))
        exports.write(cells)
    except KeyboardInterrupt:
        shown = f", or see what there is with unified-agents report {plan.out}" if (plan.out / ASKED).exists() else ""
        raise Interrupted(f"; go on with --out {plan.out}{shown}") from None
    if as_json:
        put_json_text(summary.model_dump_json(indent=2) + "\n")
    else:
        show(summary, console())
    print(f"report: {plan.out / PAGE}", file=sys.stderr if as_json else sys.stdout)
    return COMPLETED if summary.ok else FAILED


def looks(repeats: int) -> tuple[int, ...]:
    """Return after how many repeats a comparison is looked at to stop when it is decided."""
    return (*itertools.takewhile(lambda count: count < repeats, (1 << power for power in itertools.count())), repeats)


def _run(plan: ComparisonPlan, planned: Sequence[int]) -> tuple[Summary, tuple[Cell, ...]]:
    with show_progress(plan, Console(stderr=True)) as progress:
        for repeats in planned:
            part = plan.model_copy(update={"repeats": repeats})
            comparison = asyncio.run(compare(part, on_cell=progress.on_cell, on_note=progress.on_note))
            summary = summarise(comparison, looks=len(planned))
            if summary.tests and is_decided(summary.tests):
                break
            if repeats != planned[-1] and summary.power:
                progress.on_note(summary.power)
    write_summary(summary, plan.out)
    write_report(summary, comparison.cells, plan.out)
    write_page(summary, comparison.cells, plan.out)
    return summary, comparison.cells


def _controls(perturb: bool, names: str | None, suite: LoadedSuite) -> tuple[str, ...]:
    if names is not None and not perturb:
        raise ConfigError(f"{names!r} is one word too many: negative controls are named after --perturb")
    if not perturb:
        return ()
    if names:
        known = [name for kind in get_args(Perturbation) for name in get_args(kind)]
        return _known_names(names, "--perturb", known, known)
    return tuple(dict.fromkeys(control for task in suite.suite.tasks for control in applicable_controls(task)))


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _handlings(text: str) -> tuple[str, ...]:
    known = get_args(Handling)
    return known if text.strip() == "both" else _known_names(text, "--handling", known, (*known, "both"))


def _known_names(text: str, option: str, known: Sequence[str], choices: Sequence[str]) -> tuple[str, ...]:
    names = _names(text)
    for name in names:
        if name not in known:
            close = closest(name, known)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ConfigError(f"{option} {name!r}: give {', '.join(choices[:-1])} or {choices[-1]}{hint}")
    return names

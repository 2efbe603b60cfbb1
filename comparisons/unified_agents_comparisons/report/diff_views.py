"""Two comparisons set against each other, as a terminal, a pull request and a browser show them."""

from __future__ import annotations

import re
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from unified_agents.cli.tables import console
from unified_agents.text import visible
from unified_agents_comparisons.analysis.machine_speed import MachineSpeed
from unified_agents_comparisons.analysis.run_diff import TIMES, Exceeded, Figure, RunDiff, SideDiff, TestedChange
from unified_agents_comparisons.analysis.wire_diff import change_lines
from unified_agents_comparisons.report.formatting import METRIC_NAMES, effect
from unified_agents_comparisons.report.markdown import escaped

MAX_TASKS = 30
MAX_CHANGES = 40
STYLES = {"better": "green", "worse": "bold red", "inconclusive": "yellow"}


def terminal(diff: RunDiff) -> str:
    """Return a diff as a terminal shows it, with colours where standard output is one."""
    printed = console()
    with printed.capture() as captured:
        _print(diff, printed)
    return captured.get()


def _print(diff: RunDiff, console: Console) -> None:
    table = Table(
        "backend",
        "handling",
        "figure",
        *(Column(name, justify="right") for name in ("before", "after", "change")),
        "verdict",
        title=Text(visible(f"{diff.before} → {diff.after}")),
    )
    for side in diff.sides:
        for figure in side.figures:
            if figure.before is None and figure.after is None:
                continue
            change = tested(side, figure)
            text = Text(verdict(change), style=STYLES[change.verdict]) if change else Text("")
            values = (value(figure.name, figure.before), value(figure.name, figure.after), relative(figure))
            table.add_row(Text(visible(side.backend)), side.handling, figure.name, *values, text)
    console.print(table)
    for line in lines(diff):
        console.print(Text(visible(line)), soft_wrap=True)


def lines(diff: RunDiff) -> list[str]:
    """Return what stands below the table: the machine's speed, tasks, versions, what does not match, and the limits."""
    found = []
    for side in diff.sides:
        where = f"{side.backend}, {side.handling}"
        if side.machine is not None:
            found.append(f"{where}: {machine(side.machine, diff)}; a change of a time is shown beyond 5 %")
        for task, old, of_old, new, of_new in side.tasks[:MAX_TASKS]:
            found.append(f"{where}: {task} passed {old}/{of_old}, now {new}/{of_new}")
        if len(side.tasks) > MAX_TASKS:
            found.append(f"{where}: and {len(side.tasks) - MAX_TASKS} more tasks")
        found += [f"{where}: {name} {old} → {new}" for name, old, new in side.versions]
        if side.wire is not None:
            changes = change_lines(side.wire[:MAX_CHANGES]) or ["nothing is otherwise on the wire"]
            found += [f"{where}: {line}" for line in changes]
            if len(side.wire) > MAX_CHANGES:
                found.append(f"{where}: and {len(side.wire) - MAX_CHANGES} more changes on the wire; see --format json")
    found += [f"Mind: {line}." for line in diff.left_out]
    return [*found, *map(exceeded, diff.exceeded), f"Verdict: {diff.verdict}."]


def exceeded(one: Exceeded) -> str:
    """Say which limit a side does not keep."""
    name = re.split("[<>]", one.limit)[0].strip()
    held = (
        ""
        if one.at_one_speed is None
        else " (at one speed {}, now {})".format(*(value(name, number) for number in one.at_one_speed))
    )
    return (
        f"Limit {one.limit} is exceeded by {one.backend}, {one.handling}: "
        f"{value(name, one.before)}, now {value(name, one.after)}{held}."
    )


def machine(speed: MachineSpeed, diff: RunDiff) -> str:
    """Write how fast the machine was before and after, and what that means for changes of times."""
    known = ((speed.before, diff.before), (speed.after, diff.after))
    took = " and ".join(f"{value('total', seconds)} in {name}" for seconds, name in known if seconds is not None)
    told = f"the machine took {took} for the same work; " if took else ""
    if not speed.why_unused:
        return f"{told}changes of times are in units of this work"
    return f"{told}nothing tells a slower machine from slower code: {speed.why_unused}"


def tested(side: SideDiff, figure: Figure) -> TestedChange | None:
    """Return the test of a figure; percentiles beyond the median have none."""
    name = figure.name.removesuffix("_p50")
    return next((change for change in side.tested if change.metric == name), None)


def verdict(change: TestedChange) -> str:
    """Write what a test shows of a change."""
    what = "inconclusive, alike within 5 %" if change.alike else change.verdict
    return f"{what}: {METRIC_NAMES[change.metric]} {effect(change.test)}"


def value(name: str, number: float | None) -> str:
    """Write a figure in its unit."""
    if number is None:
        return "n/a"
    if name == "passed":
        return f"{number:.1%}".replace("%", " %")
    if name.startswith(TIMES):
        return f"{number * 1000:,.2f} ms"
    return f"{number:,.1f}"


def relative(figure: Figure) -> str:
    """Write the relative change of a figure."""
    change = figure.change
    return "n/a" if change is None else f"{100 * change:+.1f} %"


def markdown(diff: RunDiff) -> str:
    """Return a diff as Markdown, short enough for a comment on a pull request."""
    return _template("diff.md.jinja", html=False).render(diff=diff, views=_views())


def html(diff: RunDiff) -> str:
    """Return a diff as one page without scripts."""
    return _template("diff.html.jinja", html=True).render(diff=diff, views=_views())


def _views() -> dict[str, object]:
    return {"value": value, "relative": relative, "verdict": verdict, "tested": tested, "lines": lines}


@cache
def _template(name: str, *, html: bool) -> Template:
    environment = Environment(
        loader=PackageLoader("unified_agents_comparisons", "report"),
        undefined=StrictUndefined,
        autoescape=html,  # noqa: S701  # Markdown is escaped by `finalize`
        finalize=(lambda text: text) if html else escaped,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)

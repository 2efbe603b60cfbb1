"""Numbers as a report writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unified_agents.messages import Usage
from unified_agents_comparisons.analysis.metrics import PairedTest, Side
from unified_agents_comparisons.analysis.outcomes import Outcome
from unified_agents_comparisons.analysis.statistics import Interval
from unified_agents_comparisons.schema_fidelity import ToolFidelity

MOST_PATHS = 12


def milliseconds(interval: Interval | None) -> str:
    """Seconds as milliseconds, with the interval: `12.3 (11.9 to 13.0)`; `n/a` without a value."""
    if interval is None:
        return "n/a"
    return f"{_ms(interval.estimate)} ({_ms(interval.low)} to {_ms(interval.high)})"


def median_milliseconds(interval: Interval | None) -> str:
    """Seconds as milliseconds: `12.3`; `n/a` without a value."""
    return "n/a" if interval is None else _ms(interval.estimate)


def percent(interval: Interval) -> str:
    """A share with its interval: `97 % (83 to 99)`."""
    return f"{interval.estimate:.0%} ({100 * interval.low:.0f} to {100 * interval.high:.0f})".replace("%", " %")


def tokens(usage: Usage) -> str:
    """Tokens in and out, or `n/a` when none were reported."""
    return "n/a" if usage.total_tokens is None else f"{usage.input_tokens or 0:,} / {usage.output_tokens or 0:,}"


def all_tokens(usage: Usage) -> str:
    """Tokens in and out together, or `n/a` when none were reported."""
    return "n/a" if usage.total_tokens is None else f"{usage.total_tokens:,}"


def side(value: Side) -> str:
    """A backend under a handling: `custom, unified`."""
    return f"{value.backend}, {value.handling}"


def sides(outcomes: list[Outcome]) -> str:
    """Backends by handling: `custom, langchain (unified); custom (native)`."""
    handlings = dict.fromkeys(outcome.handling for outcome in outcomes)
    return "; ".join(
        f"{', '.join(one.backend for one in outcomes if one.handling == handling)} ({handling})"
        for handling in handlings
    )


def counts(found: Mapping[str, int]) -> str:
    """Numbers by name: `12 (default 9, enum 3)`; `0` for none."""
    if not found:
        return "0"
    named = ", ".join(f"{name} {number:,}" for name, number in found.items())
    return f"{sum(found.values()):,} ({named})"


def changes(tool: ToolFidelity) -> str:
    """What was done to a tool: `lost parameters/properties[city]/enum; added parameters/title`."""
    parts = [f"{verb} {_listed(paths)}" for verb, paths in (("lost", tool.lost), ("added", tool.added)) if paths]
    return "; ".join(parts)


def counted(count: int, what: str) -> str:
    """A number of things, such as `1 cell` and `2 cells`."""
    return f"{count} {what}" + ("" if count == 1 else "s")


def scope(left_out: Sequence[str], beyond: int) -> list[str]:
    """What the cells are of: what was left out, and what an earlier sitting added, a line each."""
    told = f"{beyond} of the cells were not asked for this time: the folder held them, and they are shown too."
    return [*(f"Left out: {what}." for what in left_out), *([told] if beyond else [])]


def span(numbers: Sequence[int]) -> str:
    """Numbers from the least to the most: `3 to 7`; `3` where there is only one."""
    return f"{min(numbers)} to {max(numbers)}" if len(numbers) > 1 else str(numbers[0])


def verdict(test: PairedTest) -> str:
    """What a test shows, in words."""
    if not test.shown:
        return "no difference shown"
    direction = "more" if test.difference > 0 else "less"
    if test.metric == "passed":
        return f"{side(test.left)}: {abs(test.difference):.0%} {direction} of the tasks passed".replace("%", " %")
    return f"{side(test.left)}: {_ms(abs(test.difference))} ms {direction} overhead"


def _listed(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - MOST_PATHS} more" if len(paths) > MOST_PATHS else ""
    return ", ".join(paths[:MOST_PATHS]) + more


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f}"

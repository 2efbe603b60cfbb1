"""Numbers and lists as a report writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unified_agents.messages import Usage
from unified_agents_comparisons.analysis.metrics import Group
from unified_agents_comparisons.analysis.outcomes import Outcome
from unified_agents_comparisons.analysis.paired_tests import PairedTest
from unified_agents_comparisons.analysis.sides import Side
from unified_agents_comparisons.analysis.statistics import Interval
from unified_agents_comparisons.schema_fidelity import SchemaRecord

MAX_PATHS = 12


def milliseconds(interval: Interval | None) -> str:
    """Write seconds as milliseconds, with the interval: `12.3 (11.9 to 13.0)`; `n/a` without a value."""
    if interval is None:
        return "n/a"
    return f"{_ms(interval.estimate)} ({_ms(interval.low)} to {_ms(interval.high)})"


def median_milliseconds(interval: Interval | None) -> str:
    """Write seconds as milliseconds: `12.3`; `n/a` without a value."""
    return "n/a" if interval is None else _ms(interval.estimate)


def plain_milliseconds(seconds: float | None) -> str:
    """Write seconds as milliseconds: `12.3`; `n/a` without a value."""
    return "n/a" if seconds is None else _ms(seconds)


def percent(interval: Interval) -> str:
    """Write a share with its interval: `97 % (83 to 99)`."""
    return f"{interval.estimate:.0%} ({100 * interval.low:.0f} to {100 * interval.high:.0f})".replace("%", " %")


def factor(interval: Interval | None) -> str:
    """Write a ratio with its interval: `1.32 (1.28 to 1.41)`; `n/a` without a value."""
    return "n/a" if interval is None else f"{interval.estimate:.2f} ({interval.low:.2f} to {interval.high:.2f})"


def tokens(usage: Usage) -> str:
    """Write tokens in and out, or `n/a` when none were reported."""
    return "n/a" if usage.total_tokens is None else f"{usage.input_tokens or 0:,} / {usage.output_tokens or 0:,}"


def kinds_of_tokens(usage: Usage) -> str:
    """Write the kinds of tokens that are counted apart: `600 cached, 80 written, 50 reasoning`; `n/a` for none."""
    kinds = (
        (usage.cached_input_tokens, "cached"),
        (usage.cache_write_tokens, "written"),
        (usage.reasoning_tokens, "reasoning"),
    )
    return ", ".join(f"{count:,} {name}" for count, name in kinds if count is not None) or "n/a"


def cost(group: Group, currency: str | None) -> str:
    """Write what a side's cells cost; `unknown` where no cost is known, and how many are not where only some are."""
    if group.cost is None:
        return "unknown"
    amount = f"{group.cost:.6g}{f' {currency}' if currency else ''}"
    return f"{amount}, and {counted(group.unpriced, 'cell')} unknown" if group.unpriced else amount


def cached_tokens(usage: Usage) -> str:
    """Write the tokens that came from the provider's prompt cache, or `n/a` when it was not told."""
    return "n/a" if usage.cached_input_tokens is None else f"{usage.cached_input_tokens:,}"


def all_tokens(usage: Usage) -> str:
    """Write the sum of tokens in and out, or `n/a` when none were reported."""
    return "n/a" if usage.total_tokens is None else f"{usage.total_tokens:,}"


def side(value: Side) -> str:
    """Write a side: `custom, unified`."""
    return f"{value.backend}, {value.handling}"


def sides(outcomes: list[Outcome]) -> str:
    """Write backends by handling: `custom, langchain (unified); custom (native)`."""
    handlings = dict.fromkeys(outcome.handling for outcome in outcomes)
    return "; ".join(
        f"{', '.join(one.backend for one in outcomes if one.handling == handling)} ({handling})"
        for handling in handlings
    )


def counts(found: Mapping[str, int]) -> str:
    """Write numbers by name: `12 (default 9, enum 3)`; `0` for none."""
    if not found:
        return "0"
    named = ", ".join(f"{name} {number:,}" for name, number in found.items())
    return f"{sum(found.values()):,} ({named})"


def changes(tool: SchemaRecord) -> str:
    """Write what was done to a tool: `lost parameters/properties[city]/enum; added parameters/title`."""
    parts = [f"{verb} {_listed(paths)}" for verb, paths in (("lost", tool.lost), ("added", tool.added)) if paths]
    return "; ".join(parts)


def counted(count: int, what: str) -> str:
    """Write a number of things, such as `1 cell` and `2 cells`."""
    return f"{count} {what}" + ("" if count == 1 else "s")


def scope(left_out: Sequence[str], beyond: int) -> list[str]:
    """Write what was left out, and what an earlier sitting added, a line each."""
    lines = [f"Left out: {what}." for what in left_out]
    if beyond:
        lines.append(
            f"{beyond} of the cells were not asked for this time: the folder held them, and they are shown too."
        )
    return lines


def span(numbers: Sequence[int]) -> str:
    """Write numbers from the least to the most: `3 to 7`; `3` where there is only one."""
    return f"{min(numbers)} to {max(numbers)}" if len(numbers) > 1 else str(numbers[0])


METRIC_NAMES = {"passed": "passes", "total": "total time", "overhead": "overhead"}


def effect(test: PairedTest) -> str:
    """Write what a test measured, with its interval: `+12 % (8 to 15)`."""
    unit = "points" if test.metric == "passed" else "%"
    low, high = 100 * test.effect.low, 100 * test.effect.high
    return f"{100 * test.effect.estimate:+.1f} {unit} ({low:+.1f} to {high:+.1f})"


def verdict(test: PairedTest) -> str:
    """Write what a test shows."""
    if test.conclusion == "inconclusive":
        return "inconclusive" + (f": {test.why}" if test.why else "")
    if test.conclusion == "alike":
        return "alike, within 5 points" if test.metric == "passed" else "alike, within 5 %"
    what = f"{side(test.left)}: {test.conclusion} {METRIC_NAMES[test.metric]} than {side(test.right)}"
    return f"{what}; {'for tasks like these too' if test.generalises else 'on these tasks'}"


def _listed(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - MAX_PATHS} more" if len(paths) > MAX_PATHS else ""
    return ", ".join(paths[:MAX_PATHS]) + more


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f}"

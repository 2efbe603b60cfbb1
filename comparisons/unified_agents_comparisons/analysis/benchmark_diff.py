"""Two files of pytest-benchmark, one before and one after a change: what is faster, what is slower."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from unified_agents.errors import ConfigError
from unified_agents_comparisons.analysis.run_diff import Outcome
from unified_agents_comparisons.analysis.statistics import Interval, ratio_of_medians
from unified_agents_comparisons.frozen_model import FrozenModel

MAX_BYTES = 256 * 1024 * 1024
_LIMIT = re.compile(r"\s*median\s*>\s*(?:(\d{1,6}(?:\.\d{1,6})?)\s*%)?\s*")


class BenchmarkChange(FrozenModel):
    """What changed of one benchmark.

    Attributes:
        name: Its name, with the file that it stands in.
        before: Its median before, in seconds.
        after: Its median after.
        ratio: After by before, with an interval that holds for all benchmarks together.
        verdict: `better` or `worse` where the whole interval says so.
        exceeds: Whether it is slower than the limit allows, and was shown to be slower.
    """

    name: str
    before: float
    after: float
    ratio: Interval
    verdict: Outcome
    exceeds: bool = False


class BenchmarkDiff(FrozenModel):
    """Two files of benchmarks set against each other.

    Attributes:
        before: The name of the first.
        after: The name of the second.
        changes: The benchmarks that both have.
        left_out: The benchmarks that only one of them has; a line each.
    """

    before: str
    after: str
    changes: tuple[BenchmarkChange, ...]
    left_out: tuple[str, ...]

    @property
    def exceeded(self) -> tuple[BenchmarkChange, ...]:
        """The benchmarks that are beyond the limit."""
        return tuple(change for change in self.changes if change.exceeds)


def diff_benchmarks(before: Path, after: Path, limits: Iterable[str] = ()) -> BenchmarkDiff:
    """Set two files of `pytest --benchmark-json` against each other.

    Args:
        before: The first.
        after: The second.
        limits: What must hold, such as `median>10%`.

    Raises:
        ConfigError: a file is none of pytest-benchmark, they have no benchmark in common, or a limit is none.
    """
    allowed = min(map(_allowed, limits), default=None)
    old, new = _samples(before), _samples(after)
    common = [name for name in new if name in old]
    if not common:
        raise ConfigError(f"{before} and {after} have no benchmark in common")
    return BenchmarkDiff(
        before=str(before),
        after=str(after),
        changes=tuple(_change(name, old[name], new[name], len(common), allowed) for name in common),
        left_out=tuple(
            f"only {path} has {name}"
            for path, own, other in ((before, old, new), (after, new, old))
            for name in own
            if name not in other
        ),
    )


def _change(
    name: str, before: Sequence[float], after: Sequence[float], among: int, allowed: float | None
) -> BenchmarkChange:
    ratio = ratio_of_medians(after, before, among=among)
    verdict: Outcome = "worse" if ratio.low > 1 else "better" if ratio.high < 1 else "inconclusive"
    exceeds = allowed is not None and verdict == "worse" and ratio.estimate > 1 + allowed
    return BenchmarkChange(
        name=name, before=median(before), after=median(after), ratio=ratio, verdict=verdict, exceeds=exceeds
    )


def _allowed(limit: str) -> float:
    match = _LIMIT.fullmatch(limit)
    if match is None:
        raise ConfigError(f"--fail-on {limit!r}: of benchmarks write median>N%")
    return float(match[1] or 0) / 100


def _samples(path: Path) -> dict[str, list[float]]:
    found = _read(path).get("benchmarks")
    if not isinstance(found, list):
        raise ConfigError(f"{path}: is no file of pytest-benchmark: write one with pytest --benchmark-json={path}")
    samples = {}
    for one in found:
        try:
            name, seconds = str(one["fullname"]), [float(value) for value in one["stats"]["data"]]
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"{path}: a benchmark has no times: write them with pytest --benchmark-json") from error
        if not seconds or min(seconds) <= 0:
            raise ConfigError(f"{path}: {name} has no times")
        samples[name] = seconds
    return samples


def _read(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_BYTES:,} bytes")
        found = orjson.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{path}: is no JSON: {error}") from error
    return found if isinstance(found, dict) else {}

"""The speed of the machine in two comparisons, and their times as a machine of one speed would have taken them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

from unified_agents_comparisons.analysis.sides import SCRIPTED
from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.records import REPLAY, Cell, Yardstick


class MachineSpeed(FrozenModel):
    """How long the machine took for the same work beside the cells of one side, before and after.

    Attributes:
        before: The median in the first comparison, in seconds; None where a compared cell has no measurement.
        after: The median in the second.
        why_unused: Why times are compared in seconds all the same; empty where they are compared in units of this work.
    """

    before: float | None
    after: float | None
    why_unused: str = ""


class AtOneSpeed(NamedTuple):
    """The cells of both comparisons, with times as a machine of one speed would have taken them.

    Attributes:
        before: Those of the first.
        after: Those of the second.
        speed: The machine's speed beside them; where it is not to be used, the cells are as they were.
    """

    before: Sequence[Cell]
    after: Sequence[Cell]
    speed: MachineSpeed


def at_one_speed(before: Sequence[Cell], after: Sequence[Cell], names: tuple[str, str]) -> AtOneSpeed | None:
    """Divide each cell's times by its yardstick; None where a comparison has no times.

    What a run waited is left as it is, and so is the time of a model that is no script: no faster machine shortens it.

    Args:
        before: The cells of one side in the first comparison.
        after: Those in the second.
        names: What to call the two.
    """
    timed = [[cell for cell in some if cell.passed and cell.seconds is not None] for some in (before, after)]
    if not all(timed):
        return None
    found = [_yardsticks(some) for some in timed]
    speed = MachineSpeed(
        before=median(one.seconds for one in found[0]) if found[0] else None,
        after=median(one.seconds for one in found[1]) if found[1] else None,
        why_unused=_why_unused(timed, found, names),
    )
    if speed.why_unused:
        return AtOneSpeed(before, after, speed)
    both = [*found[0], *found[1]]
    unit = Yardstick(seconds=median(one.seconds for one in both), cpu_seconds=median(one.cpu_seconds for one in both))
    return AtOneSpeed([_at(cell, unit) for cell in before], [_at(cell, unit) for cell in after], speed)


def _yardsticks(cells: Iterable[Cell]) -> list[Yardstick]:
    """Return the yardstick of each cell; nothing where a cell has none."""
    found = [cell.yardstick for cell in cells]
    known = [one for one in found if one is not None and one.seconds > 0 and one.cpu_seconds > 0]
    return known if len(known) == len(found) else []


def _why_unused(timed: Sequence[Sequence[Cell]], found: Sequence[Sequence[Yardstick]], names: tuple[str, str]) -> str:
    without = [name for name, some in zip(names, found, strict=True) if not some]
    if without:
        return f"{' and '.join(without)} did not measure the machine's speed beside each run"
    if len({one.work for some in found for one in some}) > 1:
        return "another version of unified-agents measures it by other work"
    pythons = [{cell.versions.get("python") for cell in some} for some in timed]
    return "" if pythons[0] == pythons[1] else "another version of Python does the same work at another speed"


def is_scripted(cell: Cell) -> bool:
    """Tell whether the model's time was this machine's: a script, or a recording, answered."""
    return cell.model.partition(":")[0] in SCRIPTED or cell.model.startswith(REPLAY)


def _at(cell: Cell, unit: Yardstick) -> Cell:
    if cell.yardstick is None or cell.seconds is None:
        return cell
    factor = unit.seconds / cell.yardstick.seconds
    times = cell.seconds
    waited = min(times.total, times.waiting + (0 if is_scripted(cell) else times.model))
    first, cpu = cell.time_to_first_token, cell.cpu_seconds
    changes = {
        "seconds": times.model_copy(
            update={"total": waited + (times.total - waited) * factor, "overhead": times.overhead * factor}
        ),
        "time_to_first_token": first * factor if first is not None and is_scripted(cell) else first,
        "cpu_seconds": None if cpu is None else cpu * unit.cpu_seconds / cell.yardstick.cpu_seconds,
    }
    return cell.model_copy(update=changes)

"""Sets two folders of cells, or two backends such as versions of one framework, against each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from unified_agents.errors import ConfigError
from unified_agents_comparisons.analysis.run_diff import Limit, RunDiff, SideDiff, diff_runs
from unified_agents_comparisons.analysis.wire_diff import wire_changes
from unified_agents_comparisons.records import Cell, is_torn, read_cells


@dataclass(slots=True, frozen=True)
class Recorded:
    """The cells that stand on one side of a diff.

    Attributes:
        name: What to call them.
        folder: The comparison that they are of.
        cells: The cells.
    """

    name: str
    folder: Path
    cells: tuple[Cell, ...]

    @classmethod
    def read(cls, folder: Path, backend: str | None, name: str) -> Recorded:
        """Read a comparison, or what it has of one backend.

        Raises:
            ConfigError: the folder holds no comparison, or none of that backend.
        """
        cells = read_cells(folder)
        if backend is None:
            return cls(name, folder, cells)
        known = dict.fromkeys(cell.backend for cell in cells)
        if backend not in known:
            raise ConfigError(f"{folder} has no backend {backend!r}; it has {', '.join(known)}")
        return cls(name, folder, tuple(cell for cell in cells if cell.backend == backend))


def diff_recorded(before: Recorded, after: Recorded, *, limits: Iterable[Limit], is_pair: bool) -> RunDiff:
    """Set the cells of two sides against each other, with what is otherwise on the wire.

    Args:
        before: The one side.
        after: The other.
        limits: What must hold.
        is_pair: Whether each is of one backend, and the two are compared whatever their names are.

    Raises:
        ConfigError: they have no backend and handling in common.
    """
    pair = f"{before.cells[0].backend} → {after.cells[0].backend}" if is_pair else None
    renamed = [[_under(cell, pair) for cell in one.cells] for one in (before, after)]
    interleaved = before.folder.resolve() == after.folder.resolve()
    names = (before.name, after.name)
    diff = diff_runs(renamed[0], renamed[1], names=names, limits=limits, interleaved=interleaved)
    sides = tuple(_with_wire(side, before, after, pair) for side in diff.sides)
    torn = [one.name for one in (before, after) if is_torn(one.folder)]
    cut = dict.fromkeys(f"{name} was cut off in the middle of a record" for name in torn)
    return diff.model_copy(update={"sides": sides, "left_out": (*diff.left_out, *cut)})


def _under(cell: Cell, backend: str | None) -> Cell:
    return cell if backend is None else cell.model_copy(update={"backend": backend})


def _with_wire(side: SideDiff, before: Recorded, after: Recorded, pair: str | None) -> SideDiff:
    own = [
        [(cell, one.folder) for cell in one.cells if _is_of(cell, side, pair) and not (cell.fault or cell.perturb)]
        for one in (before, after)
    ]
    return side.model_copy(update={"wire": wire_changes(own[0], own[1])})


def _is_of(cell: Cell, side: SideDiff, pair: str | None) -> bool:
    return cell.handling == side.handling and pair in (None, side.backend) and (pair or cell.backend) == side.backend

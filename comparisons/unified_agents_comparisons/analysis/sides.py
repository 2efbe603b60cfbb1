"""Cells by side: a side is a backend under a handling."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Self

from unified_agents.config import Handling
from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.records import Cell

SCRIPTED = frozenset({"oracle", "script"})
"""The providers that answer by a script."""

INFRASTRUCTURE = frozenset({"network", "server", "rate_limit", "auth"})
"""The kinds of errors that say nothing of a backend, where a real model answers and no fault was put in."""


class Side(NamedTuple):
    """A backend under a handling."""

    backend: str
    handling: Handling

    @classmethod
    def of(cls, cell: Cell) -> Self:
        """Return the side that a cell ran on."""
        return cls(cell.backend, cell.handling)


class SidePasses(FrozenModel):
    """How many cells of one side passed.

    Attributes:
        backend: The backend.
        handling: The handling.
        passed: Cells that passed.
        total: Cells that were run.
    """

    backend: str
    handling: Handling
    passed: int
    total: int


def by_side(cells: Iterable[Cell]) -> dict[Side, list[Cell]]:
    """Group cells by their side: backends by name, `unified` before `native`; the cells of a side keep their order."""
    found: dict[Side, list[Cell]] = {}
    for cell in sorted(cells, key=lambda one: (one.backend, one.handling != "unified")):
        found.setdefault(Side.of(cell), []).append(cell)
    return found


def is_infrastructure(cell: Cell) -> bool:
    """Tell whether a run failed for want of the model's server. A scripted model fails because its script says so."""
    if cell.fault is not None or cell.model.partition(":")[0] in SCRIPTED:
        return False
    return cell.error is not None and cell.error.kind in INFRASTRUCTURE

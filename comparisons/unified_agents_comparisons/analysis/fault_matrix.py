"""The fault matrix: what each fault led to on each backend under each handling."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

from unified_agents.config import Handling
from unified_agents_comparisons.analysis.sides import Side, by_side
from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.records import Cell, Verdict
from unified_agents_comparisons.suite.fault_kinds import KINDS
from unified_agents_comparisons.suite.fault_settings import FaultCase


class FaultOutcome(FrozenModel):
    """What a fault led to on one backend under one handling, over its places and repeats.

    Attributes:
        backend: The backend.
        handling: The handling.
        verdicts: How often each verdict was reached.
        errors: The kinds of error that ended a run, in order of their names.
        requests: Requests of a run, from least to most, each number once.
        seconds_lost: Median over the cells.
        told: What the model was told because of it, each text once.
    """

    backend: str
    handling: Handling
    verdicts: dict[Verdict, int]
    errors: tuple[str, ...]
    requests: tuple[int, ...]
    seconds_lost: float
    told: tuple[str, ...]

    @property
    def what(self) -> str:
        """Return the verdicts in words, with their numbers where there are several."""
        if len(self.verdicts) == 1:
            return next(iter(self.verdicts))
        return ", ".join(f"{number} {name}" for name, number in self.verdicts.items())


class FaultRow(FrozenModel):
    """One fault with what it led to everywhere.

    Attributes:
        kind: Its name.
        description: What happens.
        outcomes: One for each side: backends by name, `unified` before `native`.
    """

    kind: str
    description: str
    outcomes: tuple[FaultOutcome, ...]

    def of(self, backend: str, handling: str) -> FaultOutcome | None:
        """Return the outcome on a side; None where the fault was not run."""
        found = (one for one in self.outcomes if (one.backend, one.handling) == (backend, handling))
        return next(found, None)


def fault_matrix(cells: Iterable[Cell]) -> tuple[FaultRow, ...]:
    """Return a row for each fault of a comparison; none where no cell has one."""
    by_kind: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=lambda one: (one.fault or "", one.repeat)):
        if cell.fault is not None and cell.perturb is None:
            by_kind.setdefault(FaultCase.parse(cell.fault).kind, []).append(cell)
    return tuple(
        FaultRow(
            kind=name,
            description=kind.description,
            outcomes=tuple(_outcome(side, some) for side, some in by_side(by_kind[name]).items()),
        )
        for name, kind in KINDS.items()
        if name in by_kind
    )


def _outcome(side: Side, cells: Sequence[Cell]) -> FaultOutcome:
    # A cell whose worker died has no verdict.
    verdicts: Counter[Verdict] = Counter(cell.verdict or "hung" for cell in cells)
    return FaultOutcome(
        backend=side.backend,
        handling=side.handling,
        verdicts=dict(verdicts.most_common()),
        errors=tuple(sorted({cell.error.kind for cell in cells if cell.error is not None})),
        requests=tuple(sorted({cell.requests for cell in cells})),
        seconds_lost=statistics.median(cell.seconds_lost or 0.0 for cell in cells),
        told=tuple(dict.fromkeys(text for cell in cells for text in cell.told)),
    )

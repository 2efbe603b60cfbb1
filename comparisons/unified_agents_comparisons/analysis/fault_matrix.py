"""The matrix: each fault on each backend under each handling."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict

from unified_agents.config import Handling
from unified_agents_comparisons.records import Cell, Verdict
from unified_agents_comparisons.suite.fault_kinds import KINDS
from unified_agents_comparisons.suite.fault_settings import FaultCase


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FaultOutcome(_Frozen):
    """What a fault came to on one backend under one handling, over its places and repeats.

    Attributes:
        backend: The backend.
        handling: The handling.
        verdicts: How often each verdict came.
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
        """The verdicts in words, with their numbers where there are several."""
        if len(self.verdicts) == 1:
            return next(iter(self.verdicts))
        return ", ".join(f"{number} {name}" for name, number in self.verdicts.items())


class FaultRow(_Frozen):
    """One fault.

    Attributes:
        kind: Its name.
        description: What happens.
        outcomes: Backends by name, `unified` before `native`.
    """

    kind: str
    description: str
    outcomes: tuple[FaultOutcome, ...]

    def of(self, backend: str, handling: str) -> FaultOutcome | None:
        """The outcome there; None where the fault was not run."""
        found = (one for one in self.outcomes if (one.backend, one.handling) == (backend, handling))
        return next(found, None)


def matrix(cells: Iterable[Cell]) -> tuple[FaultRow, ...]:
    """The rows of a comparison's faults; none where no cell has one."""
    found: dict[str, dict[tuple[str, Handling], list[Cell]]] = {}
    for cell in sorted(cells, key=lambda one: (one.backend, one.handling != "unified", one.fault or "", one.repeat)):
        if cell.fault is not None and cell.perturb is None:
            sides = found.setdefault(FaultCase.parse(cell.fault).kind, {})
            sides.setdefault((cell.backend, cell.handling), []).append(cell)
    return tuple(
        FaultRow(
            kind=kind,
            description=KINDS[kind].description,
            outcomes=tuple(_outcome(backend, handling, some) for (backend, handling), some in found[kind].items()),
        )
        for kind in KINDS
        if kind in found
    )


def _outcome(backend: str, handling: Handling, cells: Sequence[Cell]) -> FaultOutcome:
    verdicts: Counter[Verdict] = Counter(cell.verdict or "hung" for cell in cells)  # a worker that died said nothing
    return FaultOutcome(
        backend=backend,
        handling=handling,
        verdicts=dict(verdicts.most_common()),
        errors=tuple(sorted({cell.error.kind for cell in cells if cell.error is not None})),
        requests=tuple(sorted({cell.requests for cell in cells})),
        seconds_lost=statistics.median(cell.seconds_lost or 0.0 for cell in cells),
        told=tuple(dict.fromkeys(text for cell in cells for text in cell.told)),
    )

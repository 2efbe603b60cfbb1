"""The messages between a comparison and its workers: one JSON object per line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from unified_agents.config import Handling, ModelConfig, Variant
from unified_agents.environments.label import BackendLabel
from unified_agents.environments.library_state import library_state
from unified_agents_comparisons.cassettes import NO_CASSETTES, Cassettes
from unified_agents_comparisons.execution.abilities import Abilities
from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.records import Cell, Keep, Perturbation, Tracing, model_label

MAX_LINE_BYTES = 64 * 1024 * 1024


class Job(FrozenModel):
    """The order to a worker to run a cell.

    Attributes:
        task: The task's id.
        handling: The handling.
        repeat: From 0.
        perturb: Its negative control; None for none.
        fault: Its fault; None for none.
    """

    type: Literal["job"] = "job"
    task: str
    handling: Handling
    repeat: int
    perturb: Perturbation | None = None
    fault: str | None = None


class Start(FrozenModel):
    """The first message to a worker: what it is for.

    Attributes:
        backend: The one backend that it runs; with a version of its framework as `NAME==VERSION`.
        library: The state of this library; a worker that has another refuses.
        suite: The text that `load_suite` finds the suite by.
        digest: The suite's digest; a worker that reads another suite refuses.
        model: Which model answers.
        handlings: The handlings to warm up.
        variant: The loop within the backend.
        scratch: A folder of its own for the cells' scratch folders.
        details: Where the cells' exchanges and traces go.
        keep: Which cells leave them.
        timeout: Seconds of wall clock for one run.
        tracing: Whether the framework's own tracing is scored.
        cassettes: Where the model's answers are recorded, or come from.
    """

    type: Literal["start"] = "start"
    backend: str
    library: str = Field(default_factory=library_state)
    suite: str
    digest: str
    model: ModelConfig
    handlings: tuple[Handling, ...]
    variant: Variant = "tool_calling"
    scratch: Path
    details: Path
    keep: Keep = "all"
    timeout: float
    tracing: Tracing | None = None
    cassettes: Cassettes = NO_CASSETTES

    @property
    def label(self) -> BackendLabel:
        """The backend's name, and the version that it has in this comparison."""
        return BackendLabel.parse(self.backend)

    def blank_cell(self, job: Job, suite: str, versions: dict[str, str]) -> Cell:
        """Return the record of a cell that failed before anything is known of it."""
        return Cell(
            **job.model_dump(exclude={"type"}),
            suite=suite,
            backend=self.backend,
            variant=self.variant,
            status="failed",
            passed=False,
            score=0.0,
            model=model_label(self.model, self.cassettes.replay),
            versions=versions,
        )


class Ready(FrozenModel):
    """The answer of a worker that has loaded everything, and warmed up what the backend supports.

    Attributes:
        versions: Versions of python, unified-agents and the distributions.
        handlings: The handlings that the backend has.
        variants: The loops that it has.
        abilities: What it offers whatever the task; None of an agent as it is.
    """

    type: Literal["ready"] = "ready"
    versions: dict[str, str]
    handlings: tuple[Handling, ...] = ("unified", "native")
    variants: tuple[Variant, ...] = ("tool_calling",)
    abilities: Abilities | None = None


class Refused(FrozenModel):
    """The answer of a worker that cannot do what it is asked.

    Attributes:
        message: Why, in one line.
        of_suite: Whether the suite is at fault, and not the backend.
    """

    type: Literal["refused"] = "refused"
    message: str
    of_suite: bool = False


class Done(FrozenModel):
    """The answer of a worker that has run a cell."""

    type: Literal["done"] = "done"
    cell: Cell


_BY_TYPE = Field(discriminator="type")
to_worker: TypeAdapter[Start | Job] = TypeAdapter(Annotated[Start | Job, _BY_TYPE])
from_worker: TypeAdapter[Ready | Refused | Done] = TypeAdapter(Annotated[Ready | Refused | Done, _BY_TYPE])


def write_line(message: Start | Job | Ready | Refused | Done) -> bytes:
    """Write a message as it goes over the pipe."""
    return message.model_dump_json().encode() + b"\n"

"""What a comparison and its workers say to each other: one JSON object per line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from unified_agents.config import Handling, ModelConfig, Variant
from unified_agents_comparisons.records import Cell, Keep, Perturbation, model_label

LINE_LIMIT = 64 * 1024 * 1024


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Job(_Message):
    """To a worker: run this cell. `perturb` is its negative control, `fault` its fault; mostly None."""

    type: Literal["job"] = "job"
    task: str
    handling: Handling
    repeat: int
    perturb: Perturbation | None = None
    fault: str | None = None


class Start(_Message):
    """To a worker, first: what it is for.

    Attributes:
        backend: The one backend that it runs.
        suite: What `load_suite` finds the suite by.
        digest: The suite's digest; a worker that reads another suite refuses.
        model: Which model answers.
        handlings: Those to warm up.
        variant: The loop within the backend.
        scratch: A folder of its own for the cells' scratch folders.
        details: Where the cells' exchanges and traces go.
        keep: Of which cells.
        timeout: Seconds of wall clock for one run.
    """

    type: Literal["start"] = "start"
    backend: str
    suite: str
    digest: str
    model: ModelConfig
    handlings: tuple[Handling, ...]
    variant: Variant = "tool_calling"
    scratch: Path
    details: Path
    keep: Keep = "all"
    timeout: float

    def blank_cell(self, job: Job, suite: str, versions: dict[str, str]) -> Cell:
        """The record of a cell that failed before anything could be told of it."""
        return Cell(
            suite=suite,
            task=job.task,
            backend=self.backend,
            variant=self.variant,
            handling=job.handling,
            repeat=job.repeat,
            perturb=job.perturb,
            fault=job.fault,
            status="failed",
            passed=False,
            score=0.0,
            model=model_label(self.model),
            versions=versions,
        )


class Ready(_Message):
    """From a worker: everything is loaded, and warm as far as the backend can do what is asked.

    Attributes:
        versions: Of python, unified-agents and the distributions.
        handlings: Those that the backend has.
        variants: Its loops.
    """

    type: Literal["ready"] = "ready"
    versions: dict[str, str]
    handlings: tuple[Handling, ...] = ("unified", "native")
    variants: tuple[Variant, ...] = ("tool_calling",)


class Refused(_Message):
    """From a worker: it cannot do this.

    Attributes:
        message: Why, in one line.
        of_suite: Whether the suite is at fault, and not the backend.
    """

    type: Literal["refused"] = "refused"
    message: str
    of_suite: bool = False


class Done(_Message):
    """From a worker: the cell has run."""

    type: Literal["done"] = "done"
    cell: Cell


ToWorker: TypeAlias = Annotated[Start | Job, Field(discriminator="type")]
FromWorker: TypeAlias = Annotated[Ready | Refused | Done, Field(discriminator="type")]

to_worker: TypeAdapter[Start | Job] = TypeAdapter(ToWorker)
from_worker: TypeAdapter[Ready | Refused | Done] = TypeAdapter(FromWorker)


def line(message: Start | Job | Ready | Refused | Done) -> bytes:
    """A message as it goes over the pipe."""
    return message.model_dump_json().encode() + b"\n"

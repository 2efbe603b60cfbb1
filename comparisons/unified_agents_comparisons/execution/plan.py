"""The plan of a comparison: what is compared, and which cells that makes, in the order in which they run."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from unified_agents.config import Handling, ModelConfig, ModelPrice, Variant
from unified_agents.config.providers import PROVIDERS
from unified_agents.errors import ConfigError
from unified_agents.scripted.model import Script
from unified_agents.wire.cassette import read_cassette
from unified_agents_comparisons.cassettes import NO_CASSETTES, Cassettes
from unified_agents_comparisons.execution.worker_process import GRACE_SECONDS
from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.negative_controls import applicable_controls
from unified_agents_comparisons.records import CELLS, CellKey, Keep, Perturbation, Tracing
from unified_agents_comparisons.suite.model import LoadedSuite

MANY_CELLS = 1000
"""Beyond it only the details of failed cells are kept, when nothing else is said."""

Named = Literal["backends", "handlings"]
"""What was asked for by name, and so cannot be left out."""


class ComparisonPlan(FrozenModel):
    """The plan of a comparison.

    Attributes:
        suite: The suite.
        backends: The backends, each in a worker process of its own.
        handlings: The handlings.
        variant: The loop within the backends.
        named: What of these was asked for by name: what a backend lacks of it is an error, and not left out.
        model: Which model answers; the provider `oracle` takes each task's own script.
        tasks: A shell pattern of task ids.
        repeats: How often each cell is run.
        seed: Decides the order of the cells within each repeat.
        out: The folder of the records; an existing one is gone on with.
        pythons: The interpreter of a backend's worker, where it is not this one.
        timeout: Seconds of wall clock for one run; a worker that outlives it by `grace` is ended.
        grace: Seconds.
        perturb: The negative controls, each in a cell of its own where it applies; none for an ordinary comparison.
        tracing: Whether the frameworks' own tracing is scored too; then each task is run twice.
        price: What the model's tokens cost; None where nobody said.
        currency: The unit of that price; None where it has none.
        details: Which cells leave a file of details; None takes all, and of more than 1,000 cells the failed ones.
        cassettes: Where the model's answers are recorded, or come from.
    """

    suite: LoadedSuite
    backends: tuple[str, ...] = Field(min_length=1)
    handlings: tuple[Handling, ...] = Field(default=("unified", "native"), min_length=1)
    variant: Variant = "tool_calling"
    named: frozenset[Named] = frozenset()
    model: ModelConfig = ModelConfig(provider="oracle", name="oracle")
    tasks: str = "*"
    repeats: int = Field(default=1, ge=1)
    seed: int = 0
    out: Path
    pythons: dict[str, str] = Field(default_factory=dict)
    timeout: float = Field(default=60.0, gt=0)
    grace: float = Field(default=GRACE_SECONDS, gt=0)
    perturb: tuple[Perturbation, ...] = ()
    tracing: Tracing | None = None
    price: ModelPrice | None = None
    currency: str | None = None
    details: Keep | None = None
    cassettes: Cassettes = NO_CASSETTES

    @property
    def run_handlings(self) -> tuple[Handling, ...]:
        """Return the handlings to run: what suites say of `native` holds for tool calling alone."""
        if self.variant == "tool_calling" or "handlings" in self.named or "unified" not in self.handlings:
            return self.handlings
        return ("unified",)

    def kept_details(self, cells: int) -> Keep:
        """Return which of so many cells leave a file of details."""
        return self.details or ("all" if cells <= MANY_CELLS and self.suite.suite.faults is None else "failed")

    def cells(self) -> list[CellKey]:
        """Return the cells in the order in which they run: shuffled within each repeat, by the seed.

        Raises:
            ConfigError: no task matches, a negative control fits none, or the model cannot answer.
        """
        controls = self._controls()
        self._check_cassettes()
        self._check_model([task for task, applied in controls.items() if applied])
        return [key for repeat in range(self.repeats) for key in self._shuffled(repeat, controls)]

    def _shuffled(self, repeat: int, controls: Mapping[str, tuple[Perturbation | None, ...]]) -> Iterator[CellKey]:
        keys = [
            CellKey(task, backend, handling, repeat, control, variant=self.variant)
            for task, applied in controls.items()
            for control in applied
            for backend in self.backends
            for handling in self.run_handlings
        ]
        random.Random(f"{self.seed}:{repeat}").shuffle(keys)  # noqa: S311  # an order, not a secret
        for key in keys:
            yield from self._with_faults(key)

    def _with_faults(self, key: CellKey) -> Iterator[CellKey]:
        settings = self.suite.suite.faults
        if settings is None or key.perturb is not None or self.model.provider != "oracle":
            yield key
            return
        for case in settings.cases(self.suite.task(key.task).needed_oracle(), key.handling):
            yield key._replace(fault=str(case))

    def _controls(self) -> dict[str, tuple[Perturbation | None, ...]]:
        """Return each task's id with the negative controls that it is run under; None stands for an ordinary run."""
        tasks = self.suite.select(self.tasks)
        if not self.perturb:
            return {task.id: (None,) for task in tasks}
        if self.model.provider != "oracle":
            raise ConfigError("--perturb changes the oracle: leave --model out")
        possible = {task.id: applicable_controls(task) for task in tasks}
        known = dict.fromkeys(control for applicable in possible.values() for control in applicable)
        for wanted in self.perturb:
            if wanted not in known:
                raise ConfigError(
                    f"no task that matches {self.tasks!r} takes the control {wanted}; it has {', '.join(known)}"
                )
        return {task: tuple(one for one in self.perturb if one in found) for task, found in possible.items()}

    def _check_cassettes(self) -> None:
        record, replay = self.cassettes.record, self.cassettes.replay
        if (record or replay) and (self.perturb or self.suite.suite.faults is not None):
            raise ConfigError("--record and --replay go without faults and negative controls: leave them out")
        if record is not None and record.exists() and not (self.out / CELLS).exists():
            raise ConfigError(f"--record {record}: the file is there; delete it, name another, or --replay it")
        if record is not None and not record.parent.is_dir():
            raise ConfigError(f"--record {record}: its folder does not exist; make it, or name another file")
        if replay is not None:
            read_cassette(replay)

    def _check_model(self, tasks: list[str]) -> None:
        if self.cassettes.replay is not None:
            return  # it is not asked
        if self.model.provider in PROVIDERS:
            self.model.api_key()
        if self.model.provider == "script":
            Script.load(self.model.name)
        if self.model.provider == "oracle":
            for task in tasks:
                self.suite.task(task).needed_oracle()

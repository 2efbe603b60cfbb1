"""The key `faults` of a suite's file, and the cases that it stands for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Literal, NamedTuple, Self, get_args

from pydantic import Field, field_validator

from unified_agents.config import FaultShare, Handling, ModelPolicy
from unified_agents.errors import ConfigError
from unified_agents.messages import JsonObject
from unified_agents.scripted.faults import FAULTS
from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.suite.fault_kinds import KINDS, FaultKind

Place = Literal["first", "middle", "last"]
PLACES: tuple[Place, ...] = get_args(Place)
_STREAMED = ".streamed"


class FaultSettings(FrozenModel):
    """The key `faults` of a suite's file.

    Attributes:
        kinds: Names of faults; empty takes all that there are.
        at: Before which model calls of a task they come; a place that a fault cannot take is left out.
        streamed: Whether the model's answers are streamed: no, yes, or each in turn.
        native_at: `at` under `native`.
        native_streamed: `streamed` under `native`, where "no" leaves it to the framework.
        policy: What is done about a model that fails; under `unified`.
        model_timeout: Seconds for one request to the model, and between two pieces of its answer, in the cases where
            one does not come; elsewhere there is time enough for a busy machine.
        max_steps: Model calls of a run at most; under `unified`.
        timeout: Seconds of a run under `unified`; one that needs them all counts as hung.
        native_timeout: The same under `native`.
        hang_timeout: The same under `native` for faults of which most frameworks never get rid.
        share: In front of a real model, the share of its answers that is spoilt by those of `kinds` that are faults
            of an answer, in place of all this.
        seed: Decides which.
    """

    kinds: tuple[str, ...] = ()
    at: tuple[Place, ...] = Field(default=PLACES, min_length=1)
    streamed: tuple[bool, ...] = Field(default=(False, True), min_length=1)
    native_at: tuple[Place, ...] = Field(default=("first",), min_length=1)
    native_streamed: tuple[bool, ...] = Field(default=(False,), min_length=1)
    policy: ModelPolicy = ModelPolicy(wait_initial=0.01, wait_max=0.04, jitter=0.005, breaker_failures=1000)
    model_timeout: float = Field(default=0.5, gt=0)
    max_steps: int = Field(default=8, ge=1)
    timeout: float = Field(default=20.0, gt=0)
    native_timeout: float = Field(default=6.0, gt=0)
    hang_timeout: float = Field(default=1.5, gt=0)
    share: float = Field(default=0.2, ge=0, le=1)
    seed: int = 0

    @field_validator("kinds")
    @classmethod
    def _are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in KINDS:
                raise ValueError(f"there is no fault {name!r}; there are {', '.join(KINDS)}")
        return value

    def cases(self, oracle: JsonObject, handling: Handling) -> Iterator[FaultCase]:
        """Yield every case of a task under a handling."""
        answers = oracle["answers"]
        places, modes = (self.at, self.streamed) if handling == "unified" else (self.native_at, self.native_streamed)
        for name, at, streamed in product(self.kinds or KINDS, places, modes):
            place, kind = place_of(at, len(answers)), KINDS[name]
            can_show = streamed or not kind.streamed_only or handling == "native"
            if can_show and place is not None and kind.fits(answers[place]):
                yield FaultCase(name, at, streamed)

    def in_front_of_a_model(self) -> FaultShare | None:
        """Return the share of a real model's answers that is spoilt; None where `kinds` names no fault of an answer."""
        kinds = tuple(name for name in FAULTS if name in self.kinds)
        return FaultShare(share=self.share, seed=self.seed, kinds=kinds) if kinds or not self.kinds else None

    def run_seconds(self, kind: FaultKind, handling: Handling) -> float:
        """Return the seconds of wall clock that a run with a fault gets."""
        if handling == "unified":
            return self.timeout
        return self.hang_timeout if kind.endless else self.native_timeout


class FaultCase(NamedTuple):
    """A fault at its place; `str` gives the text that records name it by, such as `html@first.streamed`."""

    kind: str
    at: Place
    streamed: bool

    def __str__(self) -> str:
        return f"{self.kind}@{self.at}{_STREAMED if self.streamed else ''}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a case from its text.

        Raises:
            ConfigError: it is none.
        """
        name, _, rest = text.removesuffix(_STREAMED).partition("@")
        at = next((place for place in PLACES if place == rest), None)
        if name not in KINDS or at is None:
            raise ConfigError(f"{text!r} is no fault: write KIND@first, @middle or @last, perhaps with {_STREAMED}")
        return cls(name, at, text.endswith(_STREAMED))


def place_of(at: Place, answers: int) -> int | None:
    """Return which answer of an oracle a place means; None where the oracle has too few for it."""
    if at == "first":
        return 0
    if at == "last":
        return answers - 1 if answers > 1 else None
    return answers // 2 if answers > 2 else None

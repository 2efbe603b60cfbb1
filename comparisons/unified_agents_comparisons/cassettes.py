"""The cassettes of a comparison: what its model answers is recorded there, or answered from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import field_validator, model_validator

from unified_agents.scripted.replay import CassetteModel
from unified_agents_comparisons.frozen_model import FrozenModel


class Cassettes(FrozenModel):
    """The cassettes of a comparison.

    Attributes:
        record: The file that the exchanges of all cells are added to; None for none.
        replay: The file that answers in place of the model; None for none.
    """

    record: Path | None = None
    replay: Path | None = None

    @field_validator("record", "replay")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return None if path is None else path.absolute()  # a worker may run elsewhere

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.record is not None and self.replay is not None:
            raise ValueError("--record writes what the model answers, and --replay answers without it: give one")
        return self

    def options(self) -> dict[str, Any]:
        """Return the options of `create_agent` for the agents of one worker, which share a replayed cassette.

        Raises:
            ConfigError: the cassette cannot be read.
        """
        return {"record": self.record, "replay": None if self.replay is None else CassetteModel.load(self.replay)}


NO_CASSETTES = Cassettes()

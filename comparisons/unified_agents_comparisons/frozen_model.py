"""The base of all models of the laboratory."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """A pydantic model that cannot be changed and takes no field but its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

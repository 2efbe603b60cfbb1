"""What all settings have in common: they are frozen, and what does not fit is told in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from unified_agents.config.validation_errors import complaints
from unified_agents.errors import ConfigError

if TYPE_CHECKING:

    class _Model(BaseModel):
        """For type checkers, which know what `BaseModel` makes of fields, and nothing of metaclasses."""

else:

    class _OneLine(type(BaseModel)):
        """Lets `Limits(…)` and the like raise what `parse_config` raises. Values within one stay pydantic's own."""

        def __call__(self, *args: Any, **values: Any) -> Any:
            try:
                return super().__call__(*args, **values)
            except ValidationError as error:
                raise ConfigError(f"{self.__name__}: {_said(self, error)}") from error

    class _Model(BaseModel, metaclass=_OneLine):
        pass


class Settings(_Model):
    """Settings. What does not fit is a `ConfigError` with a line that says what, and names the closest known key."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, hide_input_in_errors=True)


AGENT_KEYS: set[str] = set()
"""The keys of an agent's file, which users put into other files by mistake; `config.agent` fills it."""

ConfigT = TypeVar("ConfigT", bound=BaseModel)


def parse_config(model: type[ConfigT], values: object, where: str) -> ConfigT:
    """Values as a config model, with every fault on one line.

    Args:
        model: The pydantic model to make.
        values: What was read.
        where: The file or argument, for the message.

    Raises:
        ConfigError: something does not fit.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: must be a mapping of keys, not {type(values).__name__}")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_said(model, error)}") from error


def _said(model: type[BaseModel], error: ValidationError) -> str:
    return complaints(model, error, AGENT_KEYS - model.model_fields.keys())

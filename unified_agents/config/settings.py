"""The base class of all settings: frozen models, whose errors are one line."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unified_agents.config.validation_errors import describe_errors
from unified_agents.errors import ConfigError

if TYPE_CHECKING:

    class _Model(BaseModel):
        """The base class as type checkers see it: they know what `BaseModel` makes of fields, but no metaclasses."""

else:

    class _ConfigErrors(type(BaseModel)):
        """Makes `Limits(…)` and the like raise the `ConfigError` of `parse_config` in place of pydantic's error."""

        def __call__(self, *args: Any, **values: Any) -> Any:
            try:
                return super().__call__(*args, **values)
            except ValidationError as error:
                raise ConfigError(f"{self.__name__}: {describe_errors(self, error)}") from error

    class _Model(BaseModel, metaclass=_ConfigErrors):
        pass


class Settings(_Model):
    """Frozen settings. What does not fit raises a `ConfigError` of one line, which names the closest known key."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, hide_input_in_errors=True)


class RetryWaits(Settings):
    """The waits between the attempts of a policy.

    Attributes:
        wait_initial: Seconds before the second attempt; doubles with each further one.
        wait_max: The longest such wait, in seconds.
        jitter: Seconds up to which a random wait is added.
        retry_after_max: A longer wait that the other side asks for, in seconds, ends the attempts.
    """

    wait_initial: float = Field(default=0.25, ge=0)
    wait_max: float = Field(default=4.0, ge=0)
    jitter: float = Field(default=0.25, ge=0)
    retry_after_max: float = Field(default=60.0, ge=0)


ConfigT = TypeVar("ConfigT", bound=BaseModel)


def parse_settings(
    model: type[ConfigT], values: object, where: str, *, agent_file_keys: Set[str] = frozenset()
) -> ConfigT:
    """Make a model of values, with every error on one line.

    Args:
        model: The pydantic model to make.
        values: What was read.
        where: The file or argument, for the message.
        agent_file_keys: The keys of an agent's file: the message says where one belongs that is not the model's own.

    Raises:
        ConfigError: something does not fit.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: must be a mapping of keys, not {type(values).__name__}")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        message = describe_errors(model, error, agent_file_keys - model.model_fields.keys())
        raise ConfigError(f"{where}: {message}") from error

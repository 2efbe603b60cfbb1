"""Prices of models in a file that users keep."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import Field

from unified_agents.config.agent import parse_config
from unified_agents.config.files import read_yaml
from unified_agents.config.model import ModelConfig
from unified_agents.config.model_price import ModelPrice
from unified_agents.config.settings import Settings


class Prices(Settings):
    """What models cost; the content of a file of prices.

    Attributes:
        currency: The unit of all prices, such as `USD`; for the reader alone.
        models: For each model what a million of its tokens cost. A key is the model's name, with its provider or
            without, such as `openai:gpt-5-mini` or `gpt-5-mini`; it may be a shell pattern, such as `gpt-5-*`.
    """

    currency: str | None = None
    models: dict[str, ModelPrice] = Field(default_factory=dict)

    def price_of(self, model: ModelConfig) -> ModelPrice | None:
        """Return a model's price: that of its own name, else of the first pattern that fits; None where none does."""
        names = (f"{model.provider}:{model.name}", model.name)
        for name in names:
            if name in self.models:
                return self.models[name]
        fitting = (price for pattern, price in self.models.items() if any(fnmatchcase(one, pattern) for one in names))
        return next(fitting, None)


def load_prices(path: Path) -> Prices:
    """Read a file of prices.

    Raises:
        ConfigError: it cannot be read, or holds something else.
    """
    return parse_config(Prices, read_yaml(path), str(path))

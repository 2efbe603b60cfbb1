"""A file of prices, and what tokens cost by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from unified_agents import ConfigError, ModelConfig, ModelPrice, Usage
from unified_agents.config.prices import load_prices

FILE = """
currency: USD
models:
  gpt-5-*: {input: 1, output: 8}
  openai:gpt-5-mini: {input: 0.25, cached_input: 0.025, cache_write: 0.3, output: 2, reasoning: 4}
  google:*: {input: 3, output: 9}
"""


@pytest.mark.parametrize(
    ("model", "price"),
    [("openai:gpt-5-mini", 0.25), ("openai:gpt-5-nano", 1.0), ("google:gemini", 3.0), ("openai:o9", None)],
)
def test_a_model_is_found_by_its_name_and_then_by_a_pattern(tmp_path: Path, model: str, price: float | None) -> None:
    (tmp_path / "prices.yaml").write_text(FILE)
    prices = load_prices(tmp_path / "prices.yaml")
    found = prices.price_of(ModelConfig.parse(model))
    assert (found and found.input, prices.currency) == (price, "USD")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models: {m: {input: 1}}", "models.m.output"),
        ("models: {m: {input: -1, output: 1}}", "models.m.input"),
        ("model: {}", "did you mean 'models'"),
        ("[]", "prices.yaml"),
    ],
)
def test_a_wrong_file_is_told_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "prices.yaml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_prices(tmp_path / "prices.yaml")


def test_each_kind_of_token_has_its_price() -> None:
    price = ModelPrice(input=1, cached_input=0.1, cache_write=2, output=10, reasoning=20)
    usage = Usage(
        input_tokens=1000, cached_input_tokens=600, cache_write_tokens=100, output_tokens=50, reasoning_tokens=20
    )
    assert price.cost(usage) == pytest.approx((300 * 1 + 600 * 0.1 + 100 * 2 + 30 * 10 + 20 * 20) / 1e6)
    plain = ModelPrice(input=1, output=10)
    assert plain.cost(usage) == pytest.approx((1000 * 1 + 50 * 10) / 1e6)


def test_what_nobody_counted_has_no_cost() -> None:
    assert ModelPrice(input=1, output=1).cost(Usage()) is None
    assert ModelPrice(input=1, output=1).cost(Usage(input_tokens=0, output_tokens=0)) == 0

"""The API key of a model, as the environment holds it."""

from __future__ import annotations

import pytest

from unified_agents.config import ModelConfig
from unified_agents.errors import ConfigError

MODEL = ModelConfig(name="m", base_url="http://127.0.0.1/v1", api_key_env="THE_KEY")


@pytest.mark.parametrize("value", ["abc\n", " abc", "abc\r\n"])
def test_space_around_a_key_is_left_out(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", value)
    assert MODEL.api_key() == "abc"


@pytest.mark.parametrize("value", ["a\nbc", "a\tbc", "abc…", "a\x7fbc", " \n"])
def test_what_can_be_no_key_is_refused_by_the_name_of_its_variable(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", value)
    with pytest.raises(ConfigError, match="THE_KEY"):
        MODEL.api_key()


def test_a_user_in_the_url_beside_a_key_is_refused() -> None:
    with pytest.raises(ValueError, match="base_url must not hold a user or a password beside api_key_env"):
        ModelConfig(name="m", base_url="http://user:word@127.0.0.1/v1", api_key_env="THE_KEY")
    assert ModelConfig(name="m", base_url="http://user:word@127.0.0.1/v1").api_key() is None

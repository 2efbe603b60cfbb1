"""The options of `run`, and the ways to start the command line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from unified_agents import ConfigError, ModelConfig
from unified_agents.cli.agent_options import AgentOptions

FILE = ModelConfig.model_validate(
    {
        "name": "small",
        "base_url": "http://127.0.0.1:9/v1",
        "api_key_env": "LOCAL_KEY",
        "timeout": 7,
        "price": {"input": 1, "output": 2},
        "fallback": ["openai:other"],
    }
)


def test_another_model_keeps_the_server_of_the_file() -> None:
    asked = AgentOptions(model="openai:large").asked_model(FILE)
    assert (asked.name, asked.base_url, asked.key_variable, asked.timeout) == (
        "large",
        "http://127.0.0.1:9/v1",
        "LOCAL_KEY",
        7,
    )


def test_another_server_gets_no_key_of_the_file() -> None:
    asked = AgentOptions(base_url="http://127.0.0.1:8/v1").asked_model(FILE)
    assert (asked.name, asked.base_url, asked.key_variable, asked.price) == (
        "small",
        "http://127.0.0.1:8/v1",
        None,
        None,
    )
    assert asked.fallback == FILE.fallback
    named = AgentOptions(base_url="http://127.0.0.1:8/v1", api_key_env="OTHER_KEY").asked_model(FILE)
    assert named.key_variable == "OTHER_KEY"
    assert AgentOptions(base_url=FILE.base_url).asked_model(FILE) == FILE


@pytest.mark.parametrize(
    ("name", "base_url", "message"),
    [
        (None, "localhost:8", "model openai:small: base_url: must be an http or https URL"),
        (
            "script:x.yaml",
            "http://127.0.0.1:8/v1",
            "--base-url and --api-key-env go with a model",
        ),
    ],
)
def test_a_server_that_does_not_fit_is_told(name: str | None, base_url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AgentOptions(model=name, base_url=base_url).asked_model(FILE)


def test_the_package_is_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "unified_agents", "--version"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("unified-agents ")


def test_the_contract_suite_says_what_it_needs() -> None:
    program = "import sys; sys.modules['pytest_asyncio'] = None; import unified_agents.testing"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: unified_agents.testing needs pytest_asyncio; run: pip install pytest pytest-asyncio"
    )

"""Fixtures for tests of tools and prompts: an agent on every installed backend, and a model that answers by a script.

In a project's `conftest.py`:

    pytest_plugins = ["unified_agents.pytest_plugin"]

A test:

    def test_the_tool_is_called(agent, scripted_model):
        model = scripted_model({"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}, {"text": "3"})
        result = agent(model=model, tools=[add]).run_sync("What is 1 + 2?")
        assert result.tool_calls[0].ok

It runs once for each backend that is installed, or for those of `--backends`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, TypeAlias

import pytest

from unified_agents.agent import Agent, create_agent
from unified_agents.registry import backend_info, backend_names
from unified_agents.scripted.model import Script, ScriptedModel

MakeAgent: TypeAlias = Callable[..., Agent]
MakeModel: TypeAlias = Callable[..., ScriptedModel]

OPTION = "--backends"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names backends."""
    help_ = "The backends of the fixture `agent`, with commas between. Default: all that are installed."
    parser.getgroup("unified-agents").addoption(OPTION, default=None, help=help_)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for an agent once for each backend."""
    if "agent_backend" in metafunc.fixturenames:
        metafunc.parametrize("agent_backend", _backends(metafunc.config.getoption(OPTION)))


@pytest.fixture
def agent(agent_backend: str) -> Iterator[MakeAgent]:
    """Return a function that makes an agent on this test's backend, with the options of `create_agent`.

    The agents are closed when the test ends.
    """
    with ExitStack() as opened:

        def make(**options: Any) -> Agent:
            made = create_agent(backend=agent_backend, **options)
            opened.callback(made.close)
            return made

        yield make


@pytest.fixture
def scripted_model() -> MakeModel:
    """Return a function that makes a model of its answers, in the format of scripts; it asks no network."""

    def make(*answers: Mapping[str, Any]) -> ScriptedModel:
        return ScriptedModel(Script.model_validate({"answers": list(answers)}))

    return make


def _backends(option: str | None) -> list[str]:
    """Return the backends to test.

    Raises:
        UsageError: one is unknown, or not installed.
    """
    known = backend_names()
    if option is None:
        return [name for name in known if backend_info(name).installed]
    names = [name.strip() for name in option.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise pytest.UsageError(f"{OPTION} {name}: no such backend; there are {', '.join(known)}")
        if not backend_info(name).installed:
            raise pytest.UsageError(f"{OPTION} {name}: not installed; run: {backend_info(name).remedy}")
    return names

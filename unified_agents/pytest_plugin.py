"""Fixtures for tests of tools and prompts: an agent on every installed backend, and a model that answers by a script.

In a project's `conftest.py`:

    pytest_plugins = ["unified_agents.pytest_plugin"]

A test:

    def test_the_tool_is_called(agent, scripted_model):
        model = scripted_model({"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}, {"text": "3"})
        result = agent(model=model, tools=[add]).run_sync("What is 1 + 2?")
        assert result.tool_calls[0].ok

It runs once for each backend that is installed, or for those of `--backends`.

With a real model, the fixture `cassette` records what it answers, and replays it afterwards:

    def test_the_tool_is_called(agent, cassette):
        result = agent(model="openai:gpt-5-mini", tools=[add], **cassette).run_sync("What is 1 + 2?")

`pytest --cassettes=record` asks the model once a test, on the first backend; without the option, and on the other
backends, the recording answers. It is `cassettes/<module>.<test>.jsonl` beside the test's file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from unified_agents.agent import Agent, create_agent
from unified_agents.registry import backend_info, backend_names
from unified_agents.scripted.model import Script, ScriptedModel

MakeAgent: TypeAlias = Callable[..., Agent]
MakeModel: TypeAlias = Callable[..., ScriptedModel]

OPTION = "--backends"
CASSETTES = "--cassettes"
FOLDER = "cassettes"
MAX_NAME_CHARS = 150

_recorded = pytest.StashKey[set[Path]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names backends."""
    help_ = "The backends of the fixture `agent`, with commas between. Default: all that are installed."
    group = parser.getgroup("unified-agents")
    group.addoption(OPTION, default=None, help=help_)
    help_ = "What the fixture `cassette` does: `replay` (default), or `record`, which asks the model."
    group.addoption(CASSETTES, choices=("record", "replay"), default="replay", help=help_)


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


@pytest.fixture
def cassette(request: pytest.FixtureRequest) -> dict[str, Path]:
    """Return the option of `create_agent` that records this test's exchanges with the model, or replays them."""
    path = _cassette_of(request)
    recorded = request.config.stash.setdefault(_recorded, set())
    if request.config.getoption(CASSETTES) == "record" and path not in recorded:
        recorded.add(path)
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        return {"record": path}
    if not path.exists():
        pytest.fail(f"there is no cassette {path}: record it with pytest {CASSETTES}=record", pytrace=False)
    return {"replay": path}


def _cassette_of(request: pytest.FixtureRequest) -> Path:
    """Return the file of a test's cassette: the same on all backends, and another one for each other parameter."""
    node, parts = request.node, [request.path.stem]
    parts += [request.cls.__name__] if request.cls is not None else []
    parts.append(node.originalname)
    call: Any = getattr(node, "callspec", None)  # of a test without parameters there is none
    params: dict[str, Any] = {} if call is None else call.params
    for name, value in sorted(params.items()):
        if name != "agent_backend":
            parts.append(f"{name}={value if isinstance(value, str | int | float) else call.indices[name]}")
    return request.path.parent / FOLDER / (re.sub(r"[^\w.=-]+", "_", ".".join(parts))[:MAX_NAME_CHARS] + ".jsonl")


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

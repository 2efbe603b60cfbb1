"""`__all__` lists exactly what the package offers."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import get_args

import pytest

import unified_agents
from support import run_code
from unified_agents import events

SOURCE = Path(unified_agents.__file__).read_text()


def names_for_type_checkers() -> set[str]:
    block = next(node for node in ast.parse(SOURCE).body if isinstance(node, ast.If))
    return {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_all_names_what_is_there() -> None:
    assert len(set(unified_agents.__all__)) == len(unified_agents.__all__)
    for name in unified_agents.__all__:
        assert getattr(unified_agents, name) is not None


def test_type_checkers_see_the_same_names() -> None:
    assert names_for_type_checkers() == set(unified_agents.__all__)
    assert set(dir(unified_agents)) == set(unified_agents.__all__)


def test_every_public_name_has_a_docstring_of_its_own() -> None:
    undocumented = [
        name for name in unified_agents.__all__ if not (getattr(unified_agents, name).__doc__ or "").strip()
    ]
    assert undocumented == []


def test_every_error_is_public() -> None:
    from unified_agents import errors

    tree = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.UnifiedAgentsError)
    }
    assert tree <= set(unified_agents.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'create_agents'"):
        unified_agents.create_agents  # noqa: B018


LOADED = """
import sys
import unified_agents
for name in unified_agents.__all__:
    getattr(unified_agents, name)
script = unified_agents.Script.model_validate({"answers": [{"text": "hi"}]})
unified_agents.create_agent(model=unified_agents.ScriptedModel(script))
print(",".join(sorted({module.partition(".")[0] for module in sys.modules})))
"""


def test_importing_loads_no_framework_and_no_server() -> None:
    out = run_code(LOADED, check=True).stdout
    loaded = set(out.strip().split(","))
    heavy = {
        "langchain",
        "langchain_core",
        "langgraph",
        "llama_index",
        "openai",
        "httpx",
        "typer",
        "rich",
        "griffe",
        "yaml",
    }
    assert loaded & heavy == set()
    assert "aiohttp" not in loaded  # a scripted model needs no HTTP
    assert "pydantic" in loaded  # the check sees what is loaded
    slim = run_code("import sys, unified_agents; print(len(sys.modules), 'pydantic' in sys.modules)", check=True).stdout
    assert slim.split()[1] == "False"


def test_a_stream_can_give_every_event() -> None:
    classes = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event)]
    kinds = {kind for kind in classes if "type" in vars(kind)} - {events.Event}
    assert kinds == set(get_args(events.AnyEvent))

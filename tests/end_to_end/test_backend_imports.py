"""The start of one backend hardly grows by another's being installed: it loads its framework, and collects nothing."""

from __future__ import annotations

import pytest

from support import EVERY_BACKEND, run_code

TOP_LEVEL = {
    "agent_framework": "agent_framework",
    "agno": "agno",
    "google_adk": "google.adk",
    "langchain": "langchain",
    "llamaindex": "llama_index",
    "openai_agents": "agents",
    "pydantic_ai": "pydantic_ai",
    "semantic_kernel": "semantic_kernel",
    "smolagents": "smolagents",
}
"""The package that each framework is imported by."""

CODE = """
import sys
from unified_agents.registry import load_backend
load_backend({name!r})
print(*(one for one in {modules!r} if one in sys.modules))
"""

FULL_COLLECTIONS = """
import gc
from unified_agents import Script, ScriptedModel, create_agent
full = []
gc.callbacks.append(lambda phase, info: full.append(phase) if info["generation"] == 2 and phase == "start" else None)
model = ScriptedModel(Script.model_validate({{"answers": [{{"text": "Done."}}]}}))
agent = create_agent(backend={name!r}, model=model)
print(len(full), gc.isenabled(), gc.get_freeze_count())
"""

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", EVERY_BACKEND)
def test_a_backend_loads_its_own_framework_alone(name: str) -> None:
    done = run_code(CODE.format(name=name, modules=sorted(TOP_LEVEL.values())))
    assert done.returncode == 0, done.stderr
    own = TOP_LEVEL.get(name)
    assert done.stdout.split() == ([own] if own is not None else [])


@pytest.mark.parametrize("name", EVERY_BACKEND)
def test_no_full_collection_goes_over_what_is_being_imported(name: str) -> None:
    """Where one more package is installed, the last step of a start may be a collection that costs more than it."""
    done = run_code(FULL_COLLECTIONS.format(name=name))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "True", "0"]

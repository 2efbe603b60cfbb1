"""The start of one backend does not grow by another's being installed: it loads no framework but its own."""

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

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", EVERY_BACKEND)
def test_a_backend_loads_its_own_framework_alone(name: str) -> None:
    done = run_code(CODE.format(name=name, modules=sorted(TOP_LEVEL.values())))
    assert done.returncode == 0, done.stderr
    own = TOP_LEVEL.get(name)
    assert done.stdout.split() == ([own] if own is not None else [])

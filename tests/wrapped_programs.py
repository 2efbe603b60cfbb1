"""Programs whose agents are wrapped, as the documentation of four frameworks shows them, and where their model is."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any

import pytest

from support import ROOT
from unified_agents.registry import backend_info
from unified_agents.scripted.model import Script
from unified_agents.scripted.server import ScriptServer
from unified_agents.testing.harness import answer, call, calls

PROGRAMS = ROOT / "tests" / "end_to_end" / "programs"
NAMES = {
    "langgraph_agent": "langchain",
    "llamaindex_agent": "llamaindex",
    "pydantic_ai_agent": "pydantic_ai",
    "openai_agents_agent": "openai_agents",
}
EACH = pytest.mark.parametrize("name", NAMES)
ADDS = (calls(call("add", {"a": 2, "b": 3})), answer("It is {0}.", (0, 0)))
SAID = ("It is 5.", "It is 5.0.")
KEY = "sk-of-the-agent-itself"


class Place:
    """Where the programs' own model is."""

    def __init__(self, server: ScriptServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = server
        self._monkeypatch = monkeypatch
        self.url = ""

    def load(self, name: str, *answers: Any) -> ModuleType:
        if not backend_info(NAMES[name]).installed:
            pytest.skip(f"{NAMES[name]} is not installed")
        self.url = self.server.add(Script.model_validate({"answers": answers or ADDS}), api_key=KEY)
        for variable, value in (("OPENAI_BASE_URL", self.url), ("OPENAI_API_BASE", self.url), ("OPENAI_API_KEY", KEY)):
            self._monkeypatch.setenv(variable, value)
        self._monkeypatch.setenv("OPENAI_AGENTS_DISABLE_TRACING", "1")
        spec = importlib.util.spec_from_file_location(f"wrapped_{name}", PROGRAMS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        self._monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return module

    @property
    def bodies(self) -> list[Any]:
        return [request.body for request in self.server.requests(self.url)]

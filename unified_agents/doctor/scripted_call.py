"""One scripted run through both seams: `python -m unified_agents.doctor.scripted_call NAME`."""

from __future__ import annotations

import sys
import time
from typing import get_args

from pydantic import BaseModel, ConfigDict

from unified_agents.agent import create_agent
from unified_agents.backend import Capability
from unified_agents.config import Handling
from unified_agents.environments.other_process import answer_in_process
from unified_agents.environments.probe import versions_here
from unified_agents.errors import BackendError
from unified_agents.registry import load_backend
from unified_agents.scripted.model import Script, ScriptedModel
from unified_agents.tools.decorator import tool

_SCRIPT = Script.model_validate(
    {"answers": [{"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}, {"text": "It is 3."}]}
)


class CallReport(BaseModel):
    """What a scripted run has shown.

    Attributes:
        handlings: The handlings under which it went through.
        import_seconds: CPU seconds until the backend was imported.
        run_seconds: CPU seconds of the first run.
        versions: What it ran with: Python, this library, and the backend's packages.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    handlings: tuple[Handling, ...]
    import_seconds: float
    run_seconds: float
    versions: dict[str, str]


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def main(name: str) -> None:
    """Print the report of a backend's run as one JSON object."""
    answer_in_process(lambda: call_report(name).model_dump_json())


def call_report(name: str) -> CallReport:
    """Run a task under each handling that the backend has: a model call, a tool call, and the answer.

    Raises:
        ConfigError: the backend cannot be used.
        RunError: a run failed.
    """
    started = time.process_time()
    backend = load_backend(name)
    imported = time.process_time()
    is_native = Capability.NATIVE in backend.capabilities
    handlings: tuple[Handling, ...] = get_args(Handling) if is_native else ("unified",)
    tools = [add] if Capability.TOOLS in backend.capabilities else []
    script = _SCRIPT if tools else Script.model_validate({"answers": [{"text": "It is 3."}]})
    seconds = 0.0
    for handling in handlings:
        with create_agent(backend=name, model=ScriptedModel(script), tools=tools, handling=handling) as agent:
            result = agent.run_sync("What is 1 + 2?")
        seconds = seconds or time.process_time() - imported
        called = [call.content for call in result.tool_calls]
        if result.output != "It is 3." or called != ["3"] * len(tools):
            raise BackendError(f"under {handling} the scripted run gave {result.output!r}, and its tool {called}")
    return CallReport(
        handlings=handlings,
        import_seconds=imported - started,
        run_seconds=seconds,
        versions=versions_here(name),
    )


if __name__ == "__main__":
    main(sys.argv[1])

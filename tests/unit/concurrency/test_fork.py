"""Synchronous runs in a process that was forked after the parent had run an agent, as servers with a preload do."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, sys, time, warnings
warnings.simplefilter("ignore")
from unified_agents import ModelConfig, Limits, Script, ScriptedModel, create_agent, tool

@tool
def add(a: int, b: int) -> int:
    "Add."
    return a + b

call = {"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}
script = Script.model_validate({"answers": [call, {"text": "3"}]})
agent = create_agent(model=ScriptedModel(script), tools=[add], limits=Limits(timeout=5))
assert agent.run_sync("q").output == "3"
child = os.fork()
began = time.monotonic()
result = agent.run_sync("q")
assert result.output == "3" and result.tool_calls[0].error is None, result
os.write(1, b"child\\n" if child == 0 else b"parent\\n")  # one write: the lines of two processes must not mix
if child:
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert time.monotonic() - began < 4
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_threads_and_loops_are_made_anew_in_a_child() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == ["child", "parent"]
    assert "Traceback" not in done.stderr

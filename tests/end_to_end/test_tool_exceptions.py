"""Exceptions of tools that are out of the ordinary: each is told to the model, and the run goes on."""

from __future__ import annotations

import pytest

from support import run_code, scripted_model
from unified_agents import create_agent, tool

CALL_AND_ANSWER = {"tool_calls": [{"name": "broken", "arguments": {}}]}, {"text": "fine"}


class SlipError(Exception):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise AttributeError("code")


class OwnBaseError(BaseException):
    """None of the usual."""


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("error", [SlipError, OwnBaseError, GeneratorExit])
async def test_an_exception_out_of_the_ordinary_is_told(backend: str, kind: str, error: type[BaseException]) -> None:
    @tool(name="broken")
    def broken_sync() -> int:
        """Break."""
        raise error

    @tool(name="broken")
    async def broken_async() -> int:
        """Break."""
        raise error

    model = scripted_model(*CALL_AND_ANSWER)
    tools = [broken_sync if kind == "sync" else broken_async]
    async with create_agent(backend=backend, model=model, tools=tools) as agent:
        result = await agent.run("q")
    assert (result.status, result.output) == ("completed", "fine")
    assert not result.tool_calls[0].ok
    assert error.__name__ in str(result.tool_calls[0].content)


RUN = """
import asyncio
from unified_agents import Script, ScriptedModel, create_agent, tool

answers = [{"tool_calls": [{"name": "broken", "arguments": {}}]}, {"text": "fine"}]
model = ScriptedModel(Script.model_validate({"answers": answers}))

@tool
async def broken() -> int:
    "Break."
    BREAK

agent = create_agent(model=model, tools=[broken])
"""


def test_an_interrupt_that_a_tool_raises_is_told_and_the_loop_goes_on() -> None:
    code = RUN.replace("BREAK", "raise KeyboardInterrupt")
    done = run_code(code + "for _ in range(2): print(agent.run_sync('q').output)", timeout=60)
    assert (done.stdout, done.stderr) == ("fine\nfine\n", "")


def test_a_run_whose_loop_a_tool_stops_fails_and_the_next_has_a_new_loop() -> None:
    code = RUN.replace("BREAK", "asyncio.get_running_loop().stop()\n    await asyncio.sleep(60)")
    code += """
from unified_agents import BackendError
try:
    agent.run_sync("q")
except BackendError as error:
    print(error)
print(create_agent(model=ScriptedModel(Script.model_validate({"answers": answers[1:]}))).run_sync("q").output)
"""
    done = run_code(code, timeout=60)
    assert done.stdout == "the event loop behind run_sync was stopped, perhaps by a tool\nfine\n"

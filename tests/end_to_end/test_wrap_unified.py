"""`wrap` under `unified`: an agent of ours that is made of the parts of another."""

from __future__ import annotations

from typing import Any

import pytest

from unified_agents import wrap
from unified_agents.errors import UnsupportedCapabilityError
from unified_agents.testing.harness import answer, call, calls, fault
from wrapped_programs import ADDS, EACH, KEY, NAMES, Place


@EACH
async def test_under_unified_its_parts_make_an_agent_of_ours(name: str, place: Place) -> None:
    module = place.load(name, fault(status=500), calls(call("add", {"a": 2, "b": "x"})), *ADDS[:1], answer("Done."))
    async with wrap(module.agent, handling="unified", limits={"max_tool_calls": 5}) as agent:
        result = await agent.run("What is 2 + 3?")
    assert (result.output, result.handling, agent.backend) == ("Done.", "unified", NAMES[name])
    assert [(made.name, made.ok) for made in result.tool_calls] == [("add", False), ("add", True)]
    assert result.tool_calls[0].error is not None
    assert result.tool_calls[0].error.kind == "invalid_input"
    assert result.tool_calls[1].content in ("5", "5.0")
    assert result.retries == 1
    (system, *_) = place.bodies[0]["messages"]
    assert system["content"] == "You add numbers."
    (offered,) = place.bodies[0]["tools"]
    assert "Add two numbers." in offered["function"]["description"]
    assert KEY not in result.model_dump_json()


async def test_parts_that_an_agent_of_ours_cannot_have_are_refused(place: Place) -> None:
    place.load("openai_agents_agent")
    from agents import Agent as OpenAIAgent, WebSearchTool
    from langchain.agents import create_agent
    from langchain.agents.middleware import ModelCallLimitMiddleware
    from langchain_openai import ChatOpenAI
    from llama_index.core.agent.workflow import FunctionAgent, ReActAgent
    from llama_index.llms.openai import OpenAI
    from pydantic import BaseModel
    from pydantic_ai import Agent as PydanticAgent, RunContext

    class Answer(BaseModel):
        total: int

    def needs(context: Any, n: int) -> int:
        return n

    needs.__annotations__["context"] = RunContext[str]  # which this function's own names do not reach
    needs.__annotations__["n"] = int
    native = {
        "ModelCallLimitMiddleware": create_agent(
            ChatOpenAI(model="gpt-5-mini"), middleware=[ModelCallLimitMiddleware(run_limit=3)]
        ),
        "the loop of ReActAgent": ReActAgent(llm=OpenAI(model="gpt-4o-mini")),
        "output_cls": FunctionAgent(llm=OpenAI(model="gpt-4o-mini"), output_cls=Answer),
        "handoffs": OpenAIAgent(name="a", model="gpt-5-mini", handoffs=[OpenAIAgent(name="b", model="gpt-5-mini")]),
        "web_search": OpenAIAgent(name="a", model="gpt-5-mini", tools=[WebSearchTool()]),
        "an output type": PydanticAgent("openai-chat:gpt-5-mini", output_type=Answer),
        "tool 'needs' with a context": PydanticAgent("openai-chat:gpt-5-mini", tools=[needs]),
    }
    for what, agent in native.items():
        with pytest.raises(UnsupportedCapabilityError, match=f"the agent has .*{what}.*wrap it under `native`"):
            wrap(agent, handling="unified")
        await wrap(agent).aclose()

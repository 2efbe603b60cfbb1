"""The frameworks alone: their own clients, their own tools, as their documentation writes them.

Each is imported by the process that measures it. Where a framework adds something of its own that goes to another host,
or that writes to the terminal, it is switched off, as our adapter switches it off.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from benchmarks.contenders import INSTRUCTIONS, TASK
from benchmarks.measure import Work
from benchmarks.model_server import Json

_KEY = "none"
_MANY = 1000
"""A limit on model calls that no scenario comes to, for frameworks whose own would end a run."""


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def agent_framework_alone(url: str, stream: bool) -> Work:
    """Make Agent Framework's `Agent` over `OpenAIChatCompletionClient`."""
    from agent_framework import Agent
    from agent_framework.openai import OpenAIChatCompletionClient

    client = OpenAIChatCompletionClient(model="m", base_url=url, api_key=_KEY)
    agent: Any = Agent(client=client, instructions=INSTRUCTIONS, tools=[add])

    async def run() -> str | None:
        if not stream:
            return str(await agent.run(TASK))
        running = agent.run(TASK, stream=True)
        async for _ in running:
            pass
        return str(await running.get_final_response())

    return run


def agno_alone(url: str, stream: bool) -> Work:
    """Make Agno's `Agent` over `OpenAILike`."""
    from agno.agent import Agent
    from agno.models.openai.like import OpenAILike

    model = OpenAILike(id="m", base_url=url, api_key=_KEY)
    agent: Any = Agent(model=model, instructions=INSTRUCTIONS, tools=[add], telemetry=False)

    async def run() -> str | None:
        if not stream:
            return str((await agent.arun(TASK)).content)
        parts = [str(event.content) async for event in agent.arun(TASK, stream=True) if event.event == "RunContent"]
        return "".join(parts)

    return run


def google_adk_alone(url: str, stream: bool) -> Work:
    """Make ADK's `Runner` over `LlmAgent` and `OpenAILlm`."""
    from google.adk.agents import LlmAgent
    from google.adk.agents.run_config import RunConfig, StreamingMode  # type: ignore[attr-defined]
    from google.adk.integrations.openai import OpenAILlm
    from google.adk.runners import Runner
    from google.adk.sessions import InMemorySessionService
    from google.genai import types

    model = OpenAILlm(model="m", base_url=url, api_key=_KEY)
    agent = LlmAgent(name="agent", model=model, instruction=INSTRUCTIONS, tools=[add])
    sessions = InMemorySessionService()
    runner = Runner(app_name="app", agent=agent, session_service=sessions)
    config = RunConfig(streaming_mode=StreamingMode.SSE if stream else StreamingMode.NONE)

    async def run() -> str | None:
        session = await sessions.create_session(app_name="app", user_id="user")
        message = types.Content(role="user", parts=[types.Part(text=TASK)])
        answer = None
        async for event in runner.run_async(
            user_id="user", session_id=session.id, new_message=message, run_config=config
        ):
            if event.is_final_response() and event.content and event.content.parts:
                answer = event.content.parts[0].text
        return answer

    return run


def langchain_alone(url: str, stream: bool) -> Work:
    """Make LangChain's agent over `ChatOpenAI`."""
    from langchain.agents import create_agent
    from langchain.tools import tool
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="m", base_url=url, api_key=SecretStr(_KEY), stream_usage=True)
    agent: Any = create_agent(model, [tool(add)], system_prompt=INSTRUCTIONS)

    async def run() -> str | None:
        state: Any = {"messages": [{"role": "user", "content": TASK}]}
        if not stream:
            state = await agent.ainvoke(state)
        else:
            async for mode, part in agent.astream(state, stream_mode=["messages", "values"]):
                if mode == "values":
                    state = part
        return str(state["messages"][-1].text)

    return run


def llamaindex_alone(url: str, stream: bool) -> Work:
    """Make LlamaIndex's `FunctionAgent` over `OpenAILike`."""
    from llama_index.core.agent.workflow import FunctionAgent
    from llama_index.core.tools import FunctionTool
    from llama_index.llms.openai_like import OpenAILike  # type: ignore[import-untyped]

    llm = OpenAILike(
        model="m",
        api_base=url,
        api_key=_KEY,
        is_chat_model=True,
        is_function_calling_model=True,
        context_window=1_000_000,
        additional_kwargs={"stream_options": {"include_usage": True}} if stream else {},
    )
    agent = FunctionAgent(
        tools=[FunctionTool.from_defaults(async_fn=add)], llm=llm, system_prompt=INSTRUCTIONS, streaming=stream
    )

    async def run() -> str | None:
        return str(await agent.run(user_msg=TASK))

    return run


def openai_agents_alone(url: str, stream: bool) -> Work:
    """Make the OpenAI Agents SDK's `Agent` over `OpenAIChatCompletionsModel`."""
    from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, RunConfig, Runner, function_tool
    from openai import AsyncOpenAI

    agent: Any = Agent(
        name="agent",
        instructions=INSTRUCTIONS,
        model=OpenAIChatCompletionsModel(model="m", openai_client=AsyncOpenAI(base_url=url, api_key=_KEY)),
        model_settings=ModelSettings(include_usage=True),
        tools=[function_tool(add)],
    )
    options: Any = {"max_turns": _MANY, "run_config": RunConfig(tracing_disabled=True)}

    async def run() -> str | None:
        if not stream:
            return str((await Runner.run(agent, TASK, **options)).final_output)
        streamed = Runner.run_streamed(agent, TASK, **options)
        async for _ in streamed.stream_events():
            pass
        return str(streamed.final_output)

    return run


def pydantic_ai_alone(url: str, stream: bool) -> Work:
    """Make Pydantic AI's `Agent` over `OpenAIChatModel`."""
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIChatModel("m", provider=OpenAIProvider(base_url=url, api_key=_KEY))
    agent = Agent(model, instructions=INSTRUCTIONS, tools=[add])

    async def run() -> str | None:
        if not stream:
            return (await agent.run(TASK)).output
        async with agent.run_stream(TASK) as streamed:
            return await streamed.get_output()

    return run


def semantic_kernel_alone(url: str, stream: bool) -> Work:
    """Make Semantic Kernel's `ChatCompletionAgent` over `OpenAIChatCompletion`."""
    from openai import AsyncOpenAI
    from semantic_kernel.agents import ChatCompletionAgent
    from semantic_kernel.connectors.ai import FunctionChoiceBehavior
    from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion
    from semantic_kernel.functions import kernel_function

    client = AsyncOpenAI(base_url=url, api_key=_KEY)
    agent: Any = ChatCompletionAgent(
        service=OpenAIChatCompletion(ai_model_id="m", async_client=client),
        instructions=INSTRUCTIONS,
        plugins=[type("Tools", (), {"add": staticmethod(kernel_function(add))})()],
        function_choice_behavior=FunctionChoiceBehavior.Auto(maximum_auto_invoke_attempts=_MANY),
    )

    async def run() -> str | None:
        if not stream:
            return str(await agent.get_response(messages=TASK))
        return "".join([str(part.content) async for part in agent.invoke_stream(messages=TASK)])

    return run


def smolagents_alone(url: str, stream: bool) -> Work:
    """Make smolagents' `ToolCallingAgent` over `OpenAIModel`; it is synchronous, so it runs in a thread."""
    from rich.console import Console
    from smolagents import LogLevel, OpenAIModel, ToolCallingAgent, tool
    from smolagents.monitoring import AgentLogger

    @tool  # type: ignore[untyped-decorator]
    def add(a: int, b: int) -> int:
        """Add two numbers.

        Args:
            a: The one.
            b: The other.
        """
        return a + b

    # Results would go out as the user's messages, in which the scripted server sees no steps of a run.
    roles = {"tool-call": "assistant", "tool-response": "tool"}
    agent = ToolCallingAgent(
        tools=[add],
        model=OpenAIModel("m", api_base=url, api_key=_KEY, custom_role_conversions=roles),
        instructions=INSTRUCTIONS,
        max_steps=_MANY,
        stream_outputs=stream,
        logger=AgentLogger(level=LogLevel.OFF, console=Console(file=io.StringIO())),
    )

    async def run() -> str | None:
        return str(await asyncio.to_thread(agent.run, TASK))

    return run


ALONE: dict[str, Callable[[str, bool], Work]] = {
    "agent_framework": agent_framework_alone,
    "agno": agno_alone,
    "google_adk": google_adk_alone,
    "langchain": langchain_alone,
    "llamaindex": llamaindex_alone,
    "openai_agents": openai_agents_alone,
    "pydantic_ai": pydantic_ai_alone,
    "semantic_kernel": semantic_kernel_alone,
    "smolagents": smolagents_alone,
}
"""By the name of the backend that stands over it."""

LAST_ANSWERS: dict[str, Json] = {
    "smolagents": {"tool_calls": [{"name": "final_answer", "arguments": {"answer": "done"}}]}
}
"""The answer that ends a run of a framework alone, where it is not the text that ends all others."""

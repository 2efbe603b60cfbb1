"""The frameworks alone: their own clients, their own tools, as their documentation writes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from benchmarks.contenders import INSTRUCTIONS, TASK
from benchmarks.measure import Work


def langchain_alone(url: str, stream: bool) -> Work:
    """Make LangChain's agent over `ChatOpenAI`."""
    from langchain.agents import create_agent  # noqa: PLC0415  # only the process that measures it loads it
    from langchain.tools import tool  # noqa: PLC0415
    from langchain_openai import ChatOpenAI  # noqa: PLC0415

    @tool
    async def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    model = ChatOpenAI(model="m", base_url=url, api_key=SecretStr("none"), stream_usage=True)
    agent: Any = create_agent(model, [add], system_prompt=INSTRUCTIONS)

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
    from llama_index.core.agent.workflow import FunctionAgent  # noqa: PLC0415
    from llama_index.core.tools import FunctionTool  # noqa: PLC0415
    from llama_index.llms.openai_like import OpenAILike  # type: ignore[import-untyped]  # noqa: PLC0415

    async def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    llm = OpenAILike(
        model="m",
        api_base=url,
        api_key="none",
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


ALONE: dict[str, Callable[[str, bool], Work]] = {"langchain": langchain_alone, "llamaindex": llamaindex_alone}
"""By the name of the backend that stands over it."""

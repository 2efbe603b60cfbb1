"""The least program that lets Agent Framework answer a question with a tool, as its documentation writes it.

The report of a comparison counts its lines.
"""

import asyncio

from agent_framework import Agent
from agent_framework.openai import OpenAIChatCompletionClient


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def main() -> None:
    agent = Agent(OpenAIChatCompletionClient(model="gpt-5-mini"), tools=[add])
    print(await agent.run("What is 1 + 2?"))


if __name__ == "__main__":
    asyncio.run(main())

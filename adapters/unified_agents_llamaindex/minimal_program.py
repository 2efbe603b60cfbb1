"""The least program that lets LlamaIndex answer a question with a tool, as its documentation writes it.

The report of a comparison counts its lines.
"""

import asyncio

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai import OpenAI


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def main() -> None:
    agent = FunctionAgent(tools=[add], llm=OpenAI(model="gpt-5-mini"))
    print(await agent.run("What is 1 + 2?"))


if __name__ == "__main__":
    asyncio.run(main())

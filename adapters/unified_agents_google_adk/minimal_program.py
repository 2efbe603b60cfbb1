"""The least program that lets ADK answer a question with a tool, as its documentation writes it.

The report of a comparison counts its lines.
"""

import asyncio

from google.adk.agents import LlmAgent
from google.adk.integrations.openai import OpenAILlm
from google.adk.runners import InMemoryRunner


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def main() -> None:
    agent = LlmAgent(name="calculator", model=OpenAILlm(model="gpt-5-mini"), tools=[add])
    events = await InMemoryRunner(agent=agent).run_debug("What is 1 + 2?", quiet=True)
    print(events[-1].content.parts[-1].text)  # type: ignore[union-attr,index]


if __name__ == "__main__":
    asyncio.run(main())

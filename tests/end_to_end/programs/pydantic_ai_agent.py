"""An agent as Pydantic AI's documentation shows it."""

import asyncio

from pydantic_ai import Agent

agent = Agent("openai-chat:gpt-5-mini", instructions="You add numbers.")


@agent.tool_plain
def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b


async def main(question: str = "What is 2 + 3?") -> str:
    return (await agent.run(question)).output


if __name__ == "__main__":
    print(asyncio.run(main()))

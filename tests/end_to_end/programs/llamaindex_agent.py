"""An agent as LlamaIndex's documentation shows it."""

import asyncio

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai import OpenAI


def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b


agent = FunctionAgent(tools=[add], llm=OpenAI(model="gpt-4o-mini"), system_prompt="You add numbers.")


async def main(question: str = "What is 2 + 3?") -> str:
    return str(await agent.run(question))


if __name__ == "__main__":
    print(asyncio.run(main()))

"""An agent as the documentation of the OpenAI Agents SDK shows it, with a model on Chat Completions."""

import asyncio

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool
from openai import AsyncOpenAI


@function_tool
def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b


model = OpenAIChatCompletionsModel(model="gpt-5-mini", openai_client=AsyncOpenAI())
agent = Agent(name="Calculator", instructions="You add numbers.", model=model, tools=[add])


async def main(question: str = "What is 2 + 3?") -> str:
    return (await Runner.run(agent, question)).final_output


if __name__ == "__main__":
    print(asyncio.run(main()))

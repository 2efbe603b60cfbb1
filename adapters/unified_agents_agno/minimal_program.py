"""The least program that lets Agno answer a question with a tool, as its documentation writes it.

The report of a comparison counts its lines.
"""

from agno.agent import Agent
from agno.models.openai import OpenAIChat


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


if __name__ == "__main__":
    agent = Agent(model=OpenAIChat(id="gpt-5-mini"), tools=[add])
    print(agent.run("What is 1 + 2?").content)

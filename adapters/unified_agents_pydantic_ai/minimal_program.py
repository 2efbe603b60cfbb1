"""The least program that lets Pydantic AI answer a question with a tool, as its documentation writes it.

The report of a comparison counts its lines.
"""

from pydantic_ai import Agent


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


if __name__ == "__main__":
    agent = Agent("openai:gpt-5-mini", tools=[add])
    print(agent.run_sync("What is 1 + 2?").output)

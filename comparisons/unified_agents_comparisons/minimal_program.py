"""The least program that lets an agent of this library answer a question with a tool. Any backend takes a `backend=`.

The report of a comparison counts its lines.
"""

from unified_agents import create_agent, tool


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


if __name__ == "__main__":
    agent = create_agent(model="openai:gpt-5-mini", tools=[add])
    print(agent.run_sync("What is 1 + 2?").output)

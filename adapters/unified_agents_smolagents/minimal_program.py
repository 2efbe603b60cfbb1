"""The least program that lets smolagents answer a question with a tool, as its documentation writes it.

The report of a comparison counts its lines.
"""

from smolagents import OpenAIModel, ToolCallingAgent, tool


@tool  # type: ignore[untyped-decorator]
def add(a: int, b: int) -> int:
    """Add two numbers.

    Args:
        a: The one.
        b: The other.
    """
    return a + b


if __name__ == "__main__":
    agent = ToolCallingAgent(tools=[add], model=OpenAIModel("gpt-5-mini"))
    print(agent.run("What is 1 + 2?"))

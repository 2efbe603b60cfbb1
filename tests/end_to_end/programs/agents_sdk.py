"""A program on the OpenAI Agents SDK, as its documentation shows it."""

from agents import Agent, Runner, function_tool


@function_tool
def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b


print(Runner.run_sync(Agent(name="Calculator", tools=[add]), "What is 2 + 3?").final_output)

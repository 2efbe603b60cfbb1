"""An agent as LangChain's documentation shows it; its graph is compiled by LangGraph."""

import asyncio

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI


def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b


agent = create_agent(ChatOpenAI(model="gpt-5-mini"), tools=[add], system_prompt="You add numbers.")


async def main(question: str = "What is 2 + 3?") -> str:
    state = await agent.ainvoke({"messages": [{"role": "user", "content": question}]})
    return state["messages"][-1].text


if __name__ == "__main__":
    print(asyncio.run(main()))

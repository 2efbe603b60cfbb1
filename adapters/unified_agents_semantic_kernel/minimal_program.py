"""The least program that lets Semantic Kernel answer a question with a tool, as its documentation writes it.

The report of a comparison counts its lines.
"""

import asyncio

from semantic_kernel.agents import ChatCompletionAgent
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion
from semantic_kernel.functions import kernel_function


class Tools:
    @kernel_function
    def add(self, a: int, b: int) -> int:
        """Add two numbers."""
        return a + b


async def main() -> None:
    agent = ChatCompletionAgent(service=OpenAIChatCompletion("gpt-5-mini"), plugins=[Tools()])
    print(await agent.get_response("What is 1 + 2?"))


if __name__ == "__main__":
    asyncio.run(main())

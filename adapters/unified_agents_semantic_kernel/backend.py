"""Runs Semantic Kernel's agent: `semantic_kernel.agents.ChatCompletionAgent`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from semantic_kernel import Kernel
from semantic_kernel.agents import ChatCompletionAgent, ChatHistoryAgentThread
from semantic_kernel.contents import AuthorRole, ChatHistory, ChatMessageContent, TextContent
from semantic_kernel.functions import KernelArguments

from unified_agents.backend import AgentSpec, BoundTool, Capability, NativeAgent
from unified_agents.errors import RunError
from unified_agents.messages import Message
from unified_agents_semantic_kernel.errors import translate
from unified_agents_semantic_kernel.model import chat_service, execution_settings, function_choice, kernel_message
from unified_agents_semantic_kernel.tools import PLUGIN, add_tools, native_construction


class SemanticKernelBackend:
    """The backend that runs Semantic Kernel's agent.

    The kernel restricts the names of tools and parameters and checks arguments itself, so it is given calls by id.
    """

    name = "semantic_kernel"
    capabilities = frozenset(Capability)
    calls_by_id = True

    def build(self, spec: AgentSpec) -> NativeAgent:
        """Make Semantic Kernel's agent.

        Raises:
            UnsupportedCapabilityError: under `native`, the kernel does not take one of the tools or parameters.
        """
        return SemanticKernelAgent(spec)

    def native_name(self, name: str) -> str:
        """Return the name under which the kernel offers a tool under `native`."""
        return f"{PLUGIN}-{name}"

    def native_construction(self, tool: BoundTool) -> str:
        """Return the Python call by which a tool is made under `native`."""
        return native_construction(tool)


class SemanticKernelAgent:
    """Semantic Kernel's agent, ready to run. Each run has a thread of its own, so it serves many runs at once.

    Args:
        spec: What it is made of.
    """

    def __init__(self, spec: AgentSpec) -> None:
        kernel = Kernel()
        kernel.add_service(chat_service(spec))
        add_tools(kernel, spec)
        # As the agent's own, instructions would go out with its name beside them.
        is_unified = spec.handling == "unified"
        self._first_message = spec.instructions if is_unified else None
        self._agent = ChatCompletionAgent(
            kernel=kernel,
            name=re.sub(r"[^0-9A-Za-z_-]", "_", spec.name),
            instructions=None if is_unified else spec.instructions,
            function_choice_behavior=function_choice(spec),
            arguments=KernelArguments(settings=execution_settings(spec)),
        )

    @property
    def native(self) -> object:
        """Semantic Kernel's `ChatCompletionAgent`."""
        return self._agent

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        """Run the agent to its end, and return the text of its last turn."""
        given = [kernel_message(message) for message in messages]
        if self._first_message is not None:
            system = TextContent(text=self._first_message)
            given.insert(0, ChatMessageContent(role=AuthorRole.SYSTEM, items=[system]))
        thread = ChatHistoryAgentThread(ChatHistory(messages=given[:-1]))
        if not stream:
            response = await self._agent.get_response(messages=given[-1], thread=thread)
            return str(response.content)
        said: list[str] = []

        async def forget(_message: ChatMessageContent) -> None:
            said.clear()  # what was said beside calls is not the answer

        parts: Any = self._agent.invoke_stream(messages=given[-1], thread=thread, on_intermediate_message=forget)
        async with aclosing(parts):
            async for part in parts:
                said.append(part.content.content or "")
        return "".join(said) or None

    def translate(self, error: Exception) -> RunError | None:
        """Return the error of ours that a foreign one stands for."""
        return translate(error)

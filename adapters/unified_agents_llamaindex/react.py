"""Adapts LlamaIndex's `ReActAgent` to the wire, which speaks the text protocol with the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.agent.react.formatter import ReActChatFormatter
from llama_index.core.agent.react.types import BaseReasoningStep, ObservationReasoningStep
from llama_index.core.agent.workflow import AgentOutput, ReActAgent
from llama_index.core.base.llms.types import ChatMessage, MessageRole, ToolCallBlock
from llama_index.core.memory import BaseMemory
from llama_index.core.tools import AsyncBaseTool, BaseTool
from pydantic import Field

from unified_agents_llamaindex.tools import CallIdWorkflow

_REPLACED_MESSAGE = ChatMessage(role=MessageRole.SYSTEM, content="")
"""The agent takes off the first system message, in favour of its own prompt. This one stands in for the user's."""


class PlainFormatter(ReActChatFormatter):
    """A formatter that writes the conversation and the steps without a prompt, which the wire adds."""

    def format(
        self,
        tools: Sequence[BaseTool],
        chat_history: list[ChatMessage],
        current_reasoning: list[BaseReasoningStep] | None = None,
    ) -> list[ChatMessage]:
        """Return the messages of a request."""
        return [*chat_history, *map(_message, current_reasoning or ())]


class UnifiedReActAgent(CallIdWorkflow, ReActAgent):
    """A `ReActAgent` whose calls have the ids that the wire gave them."""

    formatter: ReActChatFormatter = Field(default_factory=PlainFormatter)

    async def take_step(
        self, ctx: Any, llm_input: list[ChatMessage], tools: Sequence[AsyncBaseTool], memory: BaseMemory
    ) -> AgentOutput:
        """Take a step as LlamaIndex does, and give its calls the ids that stand in the answer beside the text."""
        output: AgentOutput = await super().take_step(ctx, [_REPLACED_MESSAGE, *llm_input], tools, memory)
        blocks = (block for block in output.response.blocks if isinstance(block, ToolCallBlock))
        for call, block in zip(output.tool_calls, blocks, strict=False):
            call.tool_id = block.tool_call_id or call.tool_id
        return output


def _message(step: BaseReasoningStep) -> ChatMessage:
    role = MessageRole.USER if isinstance(step, ObservationReasoningStep) else MessageRole.ASSISTANT
    return ChatMessage(role=role, content=step.get_content())

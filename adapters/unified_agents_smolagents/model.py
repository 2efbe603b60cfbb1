"""Makes smolagents' own model, with requests that go over the wire."""

from __future__ import annotations

from typing import Any

from smolagents import OpenAIModel
from smolagents.models import ChatMessage, ChatMessageToolCall, ChatMessageToolCallFunction

from unified_agents.backend import AgentSpec

FINAL_CALL = "unified-agents-final-answer"
"""The id of the call that stands for a plain answer."""


class UnifiedOpenAIModel(OpenAIModel):  # type: ignore[misc]  # untyped
    """`OpenAIModel` that adds nothing to requests, and takes a plain text for the final answer.

    smolagents itself takes nothing but a call of its tool `final_answer` for an answer, and asks again otherwise.
    """

    def parse_tool_calls(self, message: ChatMessage) -> ChatMessage:
        """Make the call of `final_answer` that smolagents waits for of a text without calls."""
        answer = ChatMessageToolCallFunction(name="final_answer", arguments={"answer": message.content or ""})
        message.tool_calls = [ChatMessageToolCall(id=FINAL_CALL, type="function", function=answer)]
        return message

    def _prepare_completion_kwargs(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        prepared: dict[str, Any] = super()._prepare_completion_kwargs(*args, **kwargs)
        return {name: value for name, value in prepared.items() if name not in ("tools", "tool_choice", "stop")}


def chat_model(spec: AgentSpec) -> UnifiedOpenAIModel:
    """Make smolagents' model, with requests that go over the wire: synchronous ones, from the threads of its loop."""
    return UnifiedOpenAIModel(spec.model.name, client=spec.model.openai_bridge_client(), retry=False)

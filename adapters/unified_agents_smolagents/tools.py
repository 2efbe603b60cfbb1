"""Gives smolagents the reserved tool, by which it carries out every call."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, ClassVar

from smolagents import Tool, ToolCallingAgent
from smolagents.models import ChatMessage

from unified_agents.backend import INVALID_CALL_TOOL, BoundTool
from unified_agents.errors import BackendError
from unified_agents_smolagents.model import FINAL_CALL


class ReservedTool(Tool):  # type: ignore[misc]  # untyped
    """The one tool that smolagents knows; `CallsByIdAgent` carries out its calls."""

    name = INVALID_CALL_TOOL
    description = "Carries out a call by its id."
    inputs: ClassVar[dict[str, Any]] = {}
    output_type = "any"
    skip_forward_signature_validation = True

    def forward(self) -> None:
        """Refuse: the agent does not come here."""
        raise BackendError("smolagents went past its agent's own `execute_tool_call`")


class CallsByIdAgent(ToolCallingAgent):  # type: ignore[misc]  # untyped
    """`ToolCallingAgent` that carries out each call by its id, from one of its threads.

    Args:
        reserved: The tool that carries out calls.
        options: What `ToolCallingAgent` takes.
    """

    def __init__(self, reserved: BoundTool, **options: Any) -> None:
        super().__init__(tools=[ReservedTool()], **options)
        self._reserved = reserved

    def process_tool_calls(self, chat_message: ChatMessage, memory_step: Any) -> Generator[Any]:
        """Put the id of each call in the place of its arguments, which is all that `execute_tool_call` is given."""
        for call in chat_message.tool_calls or ():
            if call.id != FINAL_CALL:
                call.function.arguments = {"id": call.id}
        yield from super().process_tool_calls(chat_message, memory_step)

    def execute_tool_call(self, tool_name: str, arguments: Any) -> Any:
        """Carry out a call."""
        if tool_name != INVALID_CALL_TOOL:
            return super().execute_tool_call(tool_name, arguments)
        return self._reserved.run_in_thread(arguments["id"]).content

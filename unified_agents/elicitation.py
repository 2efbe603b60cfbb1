"""Elicitation: what an MCP server asks the user in the middle of a tool call, and what the user answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeGuard, get_args

from pydantic import BaseModel, ConfigDict

ElicitationAction: TypeAlias = Literal["accept", "decline", "cancel"]
"""What the user did, in MCP's terms: filled the form in, refused to, or left the question without a choice."""


def is_elicitation_action(value: str) -> TypeGuard[ElicitationAction]:
    """Tell whether a word is one of MCP's three answers."""
    return value in get_args(ElicitationAction)


class Elicitation(BaseModel):
    """A form that an MCP server wants filled in before it carries a tool call out.

    Attributes:
        server: The server's name in the config. Message and form are the server's own words.
        message: What it asks.
        requested_schema: JSON Schema of the form: an object of texts, numbers, booleans and choices.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    server: str
    message: str
    requested_schema: dict[str, Any]

    def is_same_as(self, other: Elicitation) -> bool:
        """Tell whether an answer to the other one answers this one: it asks the same, in the same words."""
        return (self.message, self.requested_schema) == (other.message, other.requested_schema)


@dataclass(slots=True, frozen=True)
class ElicitationAnswer:
    """What the user answered.

    Attributes:
        elicitation: What was asked.
        action: What the user did.
        content: The filled form, where the user accepted; it is not shown.
    """

    elicitation: Elicitation
    action: ElicitationAction
    content: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"<ElicitationAnswer {self.action}>"

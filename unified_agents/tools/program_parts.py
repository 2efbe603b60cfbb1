"""What somebody else's agent is made of, where it can be read: an agent of ours can be made of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from unified_agents.errors import UnsupportedCapabilityError
from unified_agents.tools.definition import Tool


@dataclass(slots=True, frozen=True)
class ProgramParts:
    """The parts of somebody else's agent besides its model.

    Attributes:
        instructions: Its system text; None for none.
        tools: Its tools, converted.
    """

    instructions: str | None
    tools: tuple[Tool, ...]


def refuse_other_parts(parts: Iterable[str]) -> None:
    """Refuse an agent that has parts which an agent of ours cannot have.

    Args:
        parts: What they are; none where there are none.

    Raises:
        UnsupportedCapabilityError: there are some.
    """
    if found := ", ".join(parts):
        raise UnsupportedCapabilityError(
            f"the agent has {found}, which an agent under `unified` cannot have: wrap it under `native`"
        )

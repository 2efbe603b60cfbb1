"""What of a session's conversation a further turn is given."""

from __future__ import annotations

from collections.abc import Sequence

from unified_agents.config import MemoryConfig
from unified_agents.messages import Message

CHARS_PER_TOKEN = 4
"""How many characters count as a token: no model's own count is known here."""


def remembered(turns: Sequence[Sequence[Message]], memory: MemoryConfig) -> list[Message]:
    """Return the messages of the turns that a further turn is given, oldest first; see `first_remembered`."""
    return [message for turn in turns[first_remembered(turns, memory) :] for message in turn]


def first_remembered(turns: Sequence[Sequence[Message]], memory: MemoryConfig) -> int:
    """Return the number of the first turn that a further turn is given; all after it are given too.

    A turn is kept or dropped as a whole, so a call is never parted from its result. The newest turns stay.

    Args:
        turns: The messages of each turn, oldest first.
        memory: The bounds.
    """
    earliest = 0 if memory.turns is None else max(0, len(turns) - memory.turns)
    if memory.tokens is None:
        return earliest
    room, first = memory.tokens * CHARS_PER_TOKEN, len(turns)
    while first > earliest and (room := room - sum(map(_chars, turns[first - 1]))) >= 0:
        first -= 1
    return first


def _chars(message: Message) -> int:
    content = message.content if isinstance(message.content, str) else "".join(map(str, message.content or ()))
    return len(content) + sum(len(call.name) + len(call.arguments) for call in message.tool_calls)

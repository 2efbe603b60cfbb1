"""What of a session's conversation a further turn is given."""

from __future__ import annotations

from collections.abc import Sequence

from unified_agents.config import MemoryConfig
from unified_agents.messages import Message

CHARS_PER_TOKEN = 4
"""How many characters count as a token: no model's own count is known here."""


def remembered(turns: Sequence[Sequence[Message]], memory: MemoryConfig) -> list[Message]:
    """Return the messages of the turns that a further turn is given, oldest first.

    A turn is kept or dropped as a whole, so a call is never parted from its result. The newest turns stay.

    Args:
        turns: The messages of each turn, oldest first.
        memory: The bounds.
    """
    kept = list(turns)
    if memory.turns is not None:
        kept = kept[len(kept) - memory.turns :] if memory.turns < len(kept) else kept
    if memory.tokens is not None:
        room, first = memory.tokens * CHARS_PER_TOKEN, len(kept)
        while first and (room := room - sum(map(_chars, kept[first - 1]))) >= 0:
            first -= 1
        kept = kept[first:]
    return [message for turn in kept for message in turn]


def _chars(message: Message) -> int:
    content = message.content if isinstance(message.content, str) else "".join(map(str, message.content or ()))
    return len(content) + sum(len(call.name) + len(call.arguments) for call in message.tool_calls)

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


def summarised_turns(turns: Sequence[Sequence[Message]], memory: MemoryConfig, known: int) -> int:
    """Return how many of the oldest turns a further turn is given the summary of, in their place.

    Args:
        turns: The messages of each turn, oldest first.
        memory: The bounds.
        known: How many turns there is a summary of. With more the model is asked for another one, and half of the room
            is left free: else it would be asked in each turn.
    """
    if first_remembered(turns, memory) <= known:
        return known
    half = memory.model_copy(
        update={name: bound // 2 for name in ("turns", "tokens") if (bound := getattr(memory, name)) is not None}
    )
    return first_remembered(turns, half)


def _chars(message: Message) -> int:
    content = message.content if isinstance(message.content, str) else "".join(map(str, message.content or ()))
    return len(content) + sum(len(call.name) + len(call.arguments) for call in message.tool_calls)

"""Leaves out of a turn the calls that a server repeated, which the run has once each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from unified_agents.tools.json_values import to_json

Call: TypeAlias = tuple[Any, Any, Any]
"""The id, the name and the arguments of a call."""
Piece = TypeVar("Piece")


def without_repeats(pieces: list[Piece], calls_of: Callable[[Piece], list[Call]], number: int) -> list[Piece]:
    """Return the pieces of a turn without calls that repeat one under its id, with the same name and arguments.

    Args:
        pieces: The blocks or parts of the turn, as the provider wrote them.
        calls_of: Returns the call in a piece; nothing where it holds none.
        number: How many calls the run has of the turn. Where it has them all, the pieces are returned as they are.
    """
    if len(pieces) < 2 or sum(len(calls_of(piece)) for piece in pieces) <= number:
        return pieces
    seen: set[bytes] = set()
    kept: list[Piece] = []
    for piece in pieces:
        keys = [to_json(call) for call in calls_of(piece) if call[0]]
        if not any(key in seen for key in keys):
            kept.append(piece)
        seen.update(keys)
    return kept

"""What a scripted model of OpenAI Responses keeps of its answers, so that later requests can name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

MOST_RESPONSES = 1000
"""So many are kept; the oldest goes first."""


class StoredResponses:
    """The conversations up to each answer that was to be stored."""

    def __init__(self) -> None:
        self._input: dict[str, list[Any]] = {}

    def whole(self, body: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return a request with the conversation that it names before its own input; None where that is not known."""
        id_ = body.get("previous_response_id")
        if id_ is None:
            return body
        before = self._input.get(str(id_))
        return None if before is None else {**body, "input": before + _items(body.get("input"))}

    def keep(self, body: Mapping[str, Any], chunks: Sequence[bytes]) -> None:
        """Keep an answer that is to be stored.

        Args:
            body: The request, with its whole conversation.
            chunks: The answer, whole or as events, of which the last has all of it.
        """
        if body.get("store") is False:
            return
        answer = orjson.loads(chunks[-1].partition(b"data: ")[2] or chunks[-1])
        answer = answer.get("response", answer)
        self._input[answer["id"]] = _items(body.get("input")) + answer["output"]
        if len(self._input) > MOST_RESPONSES:
            del self._input[next(iter(self._input))]


def not_found(body: Mapping[str, Any]) -> str:
    """Return the words with which the API refuses a name that it does not know."""
    return f"Previous response with id '{body.get('previous_response_id')}' not found."


def _items(value: Any) -> list[Any]:
    return [{"role": "user", "content": value}] if isinstance(value, str) else list(value or ())

"""Which of the documents that a task needs reached the model in full."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import orjson

from unified_agents.result import RunResult


def reached(result: RunResult, documents: Collection[str]) -> int:
    """Count the documents whose whole text stands in a request to the model.

    A framework may put a tool's result into JSON of its own, so a text within a text of JSON counts too.

    Args:
        result: The run, with its exchanges.
        documents: Their texts.
    """
    texts = [text for exchange in result.exchanges for text in _texts(_parsed(exchange.sent))]
    texts += [inner for text in texts if text[:1] in ("{", "[", '"') for inner in _texts(_parsed(text))]
    return sum(any(document in text for text in texts) for document in documents)


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)

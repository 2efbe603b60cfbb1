"""What a tool's description says in words, where a server does not take the keyword that says it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

MAX_TOLD_CHARS = 300


def keywords_in_words(keywords: Mapping[str, Any]) -> str:
    """Return JSON Schema keywords as a text for a description; one that is too long is left out."""
    told = (f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in keywords.items())
    return "; ".join(text for text in told if len(text) <= MAX_TOLD_CHARS)

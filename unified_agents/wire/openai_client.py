"""The OpenAI SDK's client for frameworks that take one: its requests go over the wire."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import openai.resources.chat  # the SDK puts it off to the first request, where it would hold up the event loop


def async_openai_client(
    http_client: httpx.AsyncClient, *, base_url: str, api_key: str, timeout: float, own_retries: bool
) -> openai.AsyncOpenAI:
    """Return the SDK's client over an httpx client.

    Args:
        http_client: Where its requests go.
        base_url: What they begin with.
        api_key: The key that they bear.
        timeout: Seconds for one request.
        own_retries: Whether the SDK tries again by itself, as often as it does by default.
    """
    options: dict[str, Any] = {} if own_retries else {"max_retries": 0}
    return openai.AsyncOpenAI(base_url=base_url, api_key=api_key, http_client=http_client, timeout=timeout, **options)

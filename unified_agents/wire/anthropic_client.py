"""Anthropic's SDK client for frameworks that hold one: its requests go over the wire."""

from __future__ import annotations

import anthropic
import httpx


def async_anthropic_client(
    http_client: httpx.AsyncClient, *, base_url: str, api_key: str, timeout: float, max_retries: int
) -> anthropic.AsyncAnthropic:
    """Return the SDK's client over an httpx client.

    Args:
        http_client: Where its requests go.
        base_url: What they begin with, without the version.
        api_key: The key that they bear.
        timeout: Seconds for one request.
        max_retries: How often the SDK tries again by itself.
    """
    return anthropic.AsyncAnthropic(
        base_url=base_url, api_key=api_key, http_client=http_client, timeout=timeout, max_retries=max_retries
    )

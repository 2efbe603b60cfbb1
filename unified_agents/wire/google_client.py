"""Google's SDK client for frameworks that hold one: its requests go over the wire."""

from __future__ import annotations

import httpx
from google import genai
from google.genai.types import HttpOptions


def google_client(
    http_client: httpx.AsyncClient,
    refusing: httpx.Client,
    *,
    base_url: str,
    api_version: str,
    api_key: str,
    timeout: float,
) -> genai.Client:
    """Return the SDK's client over httpx clients. It tries nothing again, as by default.

    Args:
        http_client: Where its requests go.
        refusing: Where its synchronous requests go.
        base_url: What they begin with, without the version.
        api_version: The version; empty for none.
        api_key: The key that they bear.
        timeout: Seconds for one request.
    """
    options = HttpOptions(
        base_url=base_url,
        api_version=api_version,
        timeout=round(timeout * 1000),
        httpx_async_client=http_client,
        httpx_client=refusing,
    )
    return genai.Client(api_key=api_key, vertexai=False, http_options=options)

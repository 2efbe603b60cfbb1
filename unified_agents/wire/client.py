"""The model client that an adapter is given: each of its requests goes over the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import orjson

from unified_agents.concurrency.uncollected_import import importing_uncollected
from unified_agents.config import ModelParameters
from unified_agents.config.providers import ProtocolName
from unified_agents.errors import BackendError, ModelTimeoutError
from unified_agents.messages import JsonObject
from unified_agents.run.calls import Step
from unified_agents.run.context import current_run
from unified_agents.wire.framework_answer import framework_answer
from unified_agents.wire.native import relay
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.chat_completions import StreamReader
from unified_agents.wire.server_url import shown_to_frameworks, split_version
from unified_agents.wire.unified import Wire
from unified_agents.wire.upstream import CHAT_PATH

if TYPE_CHECKING:
    import aiohttp
    import httpx
    import httpx2
    from anthropic import AsyncAnthropic
    from google.genai import Client as GoogleClient
    from openai import AsyncOpenAI, OpenAI

    from unified_agents.wire.routed_clients import ClientRoutes

PLACEHOLDER_KEY = "unified-agents"
_OPENAI_CLIENT = "unified_agents.wire.openai_client"
"""Imports the OpenAI SDK, which is large, unless the adapter has done so."""


class ModelClient:
    """The way of a backend to the model, which is always the wire.

    Args:
        wire: The agent's wire.

    Attributes:
        name: The model's name.
        protocol: What its server speaks, and under `native` the framework's client too.
        base_url: Where a client would find it. Requests to it go over the wire, whatever it says.
        api_key: A placeholder: the real key is put in on the wire and never reaches a framework.
        timeout: Seconds for one request.
        parameters: What the user asks of the model. Under `unified` the wire sends them itself; under `native` the
            adapter hands them to the framework.
        extra_body: Further fields of each request, likewise.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.name = wire.model.provider if wire.model.provider in ("script", "oracle") else wire.model.name
        self.protocol: ProtocolName = wire.model.spoken_protocol
        self.base_url = shown_to_frameworks(wire.model.url)
        self.api_key = PLACEHOLDER_KEY
        self.timeout = wire.model.timeout
        self.parameters: ModelParameters = wire.model.parameters
        self.extra_body: JsonObject = dict(wire.model.extra_body)
        bound, renamed = self.parameters.max_tokens, wire.model.max_tokens_field
        if bound is not None and renamed is not None:
            # A framework chooses the name of its own parameter itself.
            self.parameters = self.parameters.model_copy(update={"max_tokens": None})
            self.extra_body = {renamed: bound, **self.extra_body}
        self._async_client: httpx.AsyncClient | None = None
        self._httpx2_client: httpx2.AsyncClient | None = None
        self._routes: list[ClientRoutes] = []
        self._sync_clients: list[httpx.Client] = []

    def httpx_async_client(self) -> httpx.AsyncClient:
        """Return the client to hand to a framework's model class; one for the agent, closed with it."""
        if self._async_client is None:
            from unified_agents.wire.httpx_transport import async_client  # noqa: PLC0415  # httpx comes with the adapters

            self._async_client = async_client(self._wire)
        return self._async_client

    def httpx_client(self) -> httpx.Client:
        """Return a synchronous client that refuses each request, for model classes that want one."""
        from unified_agents.wire.httpx_transport import refusing_client  # noqa: PLC0415

        return self._closed_with_the_agent(refusing_client())

    def httpx_bridge_client(self) -> httpx.Client:
        """Return a synchronous client whose requests go over the wire, for a loop that `run_synchronous_loop` runs."""
        from unified_agents.wire.httpx_bridge import bridge_client  # noqa: PLC0415

        return self._closed_with_the_agent(bridge_client(self.httpx_async_client()))

    def httpx2_async_client(self) -> httpx2.AsyncClient:
        """Return the client of httpx2 for a framework that is built on it; one for the agent, closed with it."""
        if self._httpx2_client is None:
            from unified_agents.wire.httpx2_transport import httpx2_client  # noqa: PLC0415  # as httpx

            self._httpx2_client = httpx2_client(self.httpx_async_client())
        return self._httpx2_client

    def aiohttp_session(self) -> AbstractAsyncContextManager[aiohttp.ClientSession]:
        """Return a session of aiohttp, to be opened within a run: its requests to `base_url` go over the wire.

        Raises:
            BackendError: on entering, outside of a run.
        """
        from unified_agents.wire.base_url_clients import session_of_run  # noqa: PLC0415  # as httpx

        return session_of_run(self.httpx_async_client(), self.base_url, self.timeout, self._entering_run)

    def loopback_url(self) -> AbstractAsyncContextManager[str]:
        """Return a base URL on loopback, to be opened within a run, for a framework that takes no client at all.

        What is sent to it until it is closed goes over the wire as a request of that run, also from other threads and
        processes. A model call that a tool makes there counts as one of the agent.

        Raises:
            BackendError: on entering, outside of a run.
        """
        from unified_agents.wire.base_url_clients import front_of_run  # noqa: PLC0415  # as httpx

        return front_of_run(self.httpx_async_client(), self.base_url, self._entering_run)

    def openai_async_client(self, *, own_retries: bool) -> AsyncOpenAI:
        """Return the OpenAI SDK's client with requests that go over the wire; it is closed with the agent.

        Args:
            own_retries: Whether the SDK tries again by itself. Under `unified` the wire alone does.
        """
        with importing_uncollected(_OPENAI_CLIENT):
            from unified_agents.wire.openai_client import async_openai_client  # noqa: PLC0415  # the adapters bring it

        return async_openai_client(
            self.httpx_async_client(),
            base_url=self.base_url,
            api_key=self.api_key,
            timeout=self.timeout,
            own_retries=own_retries,
        )

    def openai_bridge_client(self) -> OpenAI:
        """Return the OpenAI SDK's synchronous client over `httpx_bridge_client`, for `unified`."""
        with importing_uncollected(_OPENAI_CLIENT):
            from unified_agents.wire.openai_client import openai_client  # noqa: PLC0415  # as above

        return openai_client(self.httpx_bridge_client(), base_url=self.base_url, api_key=self.api_key)

    def anthropic_async_client(self, *, max_retries: int) -> AsyncAnthropic:
        """Return the client of Anthropic's SDK, for `native`: with requests that go over the wire.

        Args:
            max_retries: How often the SDK tries again by itself; the framework's default.
        """
        from unified_agents.wire.anthropic_client import async_anthropic_client  # noqa: PLC0415

        base_url, _ = split_version(self.base_url)
        return async_anthropic_client(
            self.httpx_async_client(),
            base_url=base_url,
            api_key=self.api_key,
            timeout=self.timeout,
            max_retries=max_retries,
        )

    def google_client(self) -> GoogleClient:
        """Return the client of Google's SDK, for `native`: with requests that go over the wire."""
        from unified_agents.wire.google_client import google_client  # noqa: PLC0415

        base_url, version = split_version(self.base_url)
        return google_client(
            self.httpx_async_client(),
            self.httpx_client(),
            base_url=base_url,
            api_version=version,
            api_key=self.api_key,
            timeout=self.timeout,
        )

    def routes(self, roots: Iterable[object]) -> ClientRoutes:
        """Put the wire into the clients that somebody else's agent is made of; it is taken out with the agent.

        Args:
            roots: What the clients are reached from.
        """
        from unified_agents.wire.routed_clients import ClientRoutes, sdk_clients  # noqa: PLC0415  # as httpx

        routes = ClientRoutes(self._wire, sdk_clients(roots))
        self._routes.append(routes)
        return routes

    def _entering_run(self) -> Callable[[], None]:
        from unified_agents.wire.base_url_clients import entering_current_run  # noqa: PLC0415  # as httpx

        return entering_current_run()

    def _closed_with_the_agent(self, client: httpx.Client) -> httpx.Client:
        self._sync_clients.append(client)
        return client

    async def ask(self) -> tuple[Answer, Step]:
        """Make one model call under `unified`, for a loop of one's own: the run holds the conversation.

        Raises:
            BackendError: there is no run.
            asyncio.CancelledError: the run has ended.
        """
        run = current_run.get()
        if run is None:
            raise BackendError("a model call outside of a run: use `agent.run(…)`")
        return await self._wire.ask(run)

    async def answer(self, path: str, body: bytes) -> tuple[JsonObject, bytes]:
        """Answer one request of a framework that runs in another process, under `unified`.

        Args:
            path: Below the base URL.
            body: The framework's own bytes.

        Returns:
            `status` and `content_type`, and the body that the framework gets.

        Raises:
            BackendError: there is no run.
            ModelError: a request that is no model call could not be sent.
            asyncio.CancelledError: the run has ended.
        """
        run = current_run.get()
        if run is None:
            raise BackendError("a model call outside of a run: use `agent.run(…)`")
        if path == CHAT_PATH:
            content_type, content = await framework_answer(self._wire, run, body)
            return {"status": 200, "content_type": content_type}, content
        relayed = await relay(self._wire, run, path, body, {})
        status, headers = relayed.head.result()
        try:
            content = b"".join([chunk async for chunk in relayed.chunks(self.timeout)])
        finally:
            await relayed.aclose()
        return {"status": status, "content_type": headers.get("Content-Type", "application/json")}, content

    async def relay(self, request: JsonObject, *, stream: bool) -> Answer:
        """Make one model call under `native`, for a loop that speaks Chat Completions itself: it is sent as it is.

        Args:
            request: The Chat Completions body.
            stream: Whether to ask for a streamed answer.

        Raises:
            ModelError: the request could not be sent, was refused, or its answer is none.
        """
        body = orjson.dumps(
            request | {"stream": True, "stream_options": {"include_usage": True}} if stream else request
        )
        reader = StreamReader()
        try:
            async with asyncio.timeout(self.timeout):
                relayed = await relay(self._wire, current_run.get(), CHAT_PATH, body, {})
                status, headers = relayed.head.result()
                try:
                    async for chunk in relayed.chunks(None):
                        reader.feed(chunk)
                finally:
                    await relayed.aclose()
        except TimeoutError as error:
            raise ModelTimeoutError(f"the model did not answer within {self.timeout:g} seconds") from error
        if status >= 300:
            raise self._wire.endpoint.failure(status, headers, reader.raw)
        return reader.answer()

    async def aclose(self) -> None:
        """Close the clients."""
        for routes in self._routes:
            routes.close()
        if self._httpx2_client is not None:
            await self._httpx2_client.aclose()
        if self._async_client is not None:
            await self._async_client.aclose()
        for client in self._sync_clients:
            client.close()

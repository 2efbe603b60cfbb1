"""The clients for frameworks on httpx2, on aiohttp, or with a base URL alone: each request goes over the wire."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import httpx2
import openai
import pytest

from support import agent_at
from unified_agents.backend import AgentSpec, Capability, NativeAgent, translate_error
from unified_agents.config import Handling
from unified_agents.errors import BackendError, RunError
from unified_agents.messages import Message
from unified_agents.scripted.model import Script
from unified_agents.scripted.server import ScriptServer
from unified_agents.testing.harness import ServerThread, answer, call, calls, fault
from unified_agents.wire.loopback_front import FrontAnswer, FrontRequest, LoopbackFront

Post = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


@pytest.fixture
def server() -> Iterator[ScriptServer]:
    with ServerThread() as served:
        yield served


@asynccontextmanager
async def over_httpx2(spec: AgentSpec) -> AsyncIterator[Post]:
    client = spec.model.httpx2_async_client()

    async def post(body: dict[str, Any]) -> dict[str, Any]:
        response = await client.post(f"{spec.model.base_url}/chat/completions", json=body)
        response.raise_for_status()
        found: dict[str, Any] = response.json()
        return found

    yield post


@asynccontextmanager
async def over_aiohttp(spec: AgentSpec) -> AsyncIterator[Post]:
    async with spec.model.aiohttp_session() as session:

        async def post(body: dict[str, Any]) -> dict[str, Any]:
            async with session.post(f"{spec.model.base_url}/chat/completions?a=b", json=body) as response:
                response.raise_for_status()
                found: dict[str, Any] = await response.json()
                return found

        yield post


@asynccontextmanager
async def over_a_base_url(spec: AgentSpec) -> AsyncIterator[Post]:
    async with (
        spec.model.loopback_url() as url,
        openai.AsyncOpenAI(base_url=url, api_key=spec.model.api_key, max_retries=0) as client,
    ):

        async def post(body: dict[str, Any]) -> dict[str, Any]:
            found: dict[str, Any] = (await client.chat.completions.create(**body)).model_dump(exclude_none=True)
            return found

        yield post


@asynccontextmanager
async def over_a_base_url_in_a_thread(spec: AgentSpec) -> AsyncIterator[Post]:
    async with spec.model.loopback_url() as url:

        def ask(body: dict[str, Any]) -> dict[str, Any]:
            data, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
            request = urllib.request.Request(f"{url}/chat/completions", data, headers)
            with urllib.request.urlopen(request, timeout=20) as response:
                found: dict[str, Any] = json.load(response)
                return found

        yield lambda body: asyncio.to_thread(ask, body)


CLIENTS = [over_httpx2, over_aiohttp, over_a_base_url, over_a_base_url_in_a_thread]


class _Asking:
    """A backend whose loop asks over one client until an answer has no call."""

    name = "asking"
    capabilities = frozenset(Capability)
    client: Any = None
    spec: AgentSpec

    def build(self, spec: AgentSpec) -> NativeAgent:
        self.spec = spec
        return _AskingAgent(spec, self.client)


class _AskingAgent:
    native = None

    def __init__(self, spec: AgentSpec, client: Any) -> None:
        self._spec = spec
        self._client = client

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        given: list[Any] = [message.to_chat() for message in messages]
        async with self._client(self._spec) as post:
            while True:
                turn = (await post({"model": "m", "messages": given}))["choices"][0]["message"]
                if not turn.get("tool_calls"):
                    text: str = turn["content"]
                    return text
                given.append(turn)
                for made in turn["tool_calls"]:
                    given.append(await self._tool(made))

    async def _tool(self, made: dict[str, Any]) -> dict[str, Any]:
        if self._spec.handling == "unified":
            content = (await self._spec.tools[0].run(made["id"])).content
        else:
            content = str(self._spec.tools[0].function()(**json.loads(made["function"]["arguments"])))
        return {"role": "tool", "tool_call_id": made["id"], "content": content}

    def translate(self, error: Exception) -> RunError | None:
        return translate_error(error)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> _Asking:
    made = _Asking()
    monkeypatch.setattr("unified_agents.agent.backend_agent.load_backend", lambda name: made)
    return made


@pytest.mark.parametrize("handling", ["unified", "native"])
@pytest.mark.parametrize("client", CLIENTS)
async def test_each_request_is_a_step_of_the_run(
    backend: _Asking, server: ScriptServer, client: Any, handling: Handling
) -> None:
    backend.client = client
    made, url = agent_at(server, calls(call("add", {"a": 2, "b": 3})), answer("It is {0}.", (0, 0)), handling=handling)
    async with made:
        result = await made.run("Add.")
    assert result.output == "It is 5."
    assert result.requests == len(server.requests(url)) == 2
    assert [(record.name, record.ok) for record in result.tool_calls] == [("add", True)]
    assert result.usage.input_tokens


@pytest.mark.parametrize("client", CLIENTS)
async def test_retries_and_repair_are_the_wires(backend: _Asking, server: ScriptServer, client: Any) -> None:
    backend.client = client
    made, url = agent_at(server, fault(status=500, times=1), answer("Hi."))
    async with made:
        result = await made.run("Say hi.")
    assert (result.output, result.retries, len(server.requests(url))) == ("Hi.", 1, 2)


@pytest.mark.parametrize("client", CLIENTS)
async def test_runs_at_once_do_not_mix(backend: _Asking, server: ScriptServer, client: Any) -> None:
    backend.client = client
    made, _ = agent_at(server, calls(call("add", {"a": 2, "b": 3})), answer("It is {0}.", (0, 0)))
    async with made:
        results = await asyncio.gather(*(made.run(f"Add {number}.") for number in range(5)))
    assert [result.messages[0].content for result in results] == [f"Add {number}." for number in range(5)]
    assert [(result.output, result.requests) for result in results] == [("It is 5.", 2)] * 5


@pytest.mark.parametrize(
    ("client", "kind"),
    [(over_httpx2, httpx2.TransportError), (over_aiohttp, aiohttp.ClientError), (over_a_base_url, openai.APIError)],
)
async def test_what_breaks_on_the_network_breaks_for_the_client_too(
    backend: _Asking, server: ScriptServer, client: Any, kind: type[Exception]
) -> None:
    backend.client = client
    made, _ = agent_at(server, fault(disconnect=True), handling="native")
    async with made:
        with pytest.raises(RunError) as caught:
            await made.run("Say hi.")
    assert caught.value.kind == "network"
    assert isinstance(caught.value.__cause__, kind)


async def test_a_session_sends_what_is_not_for_the_model_as_it_is(backend: _Asking, server: ScriptServer) -> None:
    elsewhere = server.add(Script.model_validate({"answers": [{"text": "from elsewhere"}]}))

    @asynccontextmanager
    async def client(spec: AgentSpec) -> AsyncIterator[Post]:
        async with spec.model.aiohttp_session() as session:

            async def post(body: dict[str, Any]) -> dict[str, Any]:
                async with session.post(f"{elsewhere}/chat/completions", json=body) as response:
                    found: dict[str, Any] = await response.json()
                    return found

            yield post

    backend.client = client
    made, url = agent_at(server, answer("Hi."))
    async with made:
        result = await made.run("Say hi.")
    assert (result.output, result.requests, server.requests(url)) == ("from elsewhere", 0, [])


async def test_outside_of_a_run_there_is_no_front(backend: _Asking, server: ScriptServer) -> None:
    backend.client = over_a_base_url
    made, _ = agent_at(server, answer("Hi."))
    async with made:
        for opened in (backend.spec.model.loopback_url(), backend.spec.model.aiohttp_session()):
            with pytest.raises(BackendError, match="outside of a run"):
                async with opened:
                    pass


async def test_nothing_is_answered_without_the_secret_of_the_url_nor_after_the_end() -> None:
    asked: list[FrontRequest] = []

    async def pieces() -> AsyncIterator[bytes]:
        yield b"he"
        yield b"re"

    @asynccontextmanager
    async def reply(request: FrontRequest) -> AsyncIterator[FrontAnswer]:
        asked.append(request)
        yield FrontAnswer(201, {"X-Own": "1"}, pieces())

    async with aiohttp.ClientSession() as session:
        async with LoopbackFront(reply) as front:
            url = front.url
            root, _, secret = url.rpartition("/")
            for wrong in (f"{root}/v1/models", f"{root}/{secret[:-1]}x/v1/models", root):
                assert (await session.get(wrong)).status == 404
            assert asked == []
            response = await session.get(f"{url}/v1/models?a=b", headers={"Authorization": "Bearer sk-1"})
            assert (response.status, response.headers["X-Own"], await response.text()) == (201, "1", "here")
            assert [(one.method, one.path, one.query) for one in asked] == [("GET", "v1/models", "a=b")]
            assert "sk-1" not in repr(asked[0])
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(url)


async def test_an_answer_that_breaks_off_is_seen_to_be_cut(caplog: pytest.LogCaptureFixture) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"he"
        raise BackendError("gone")

    @asynccontextmanager
    async def reply(request: FrontRequest) -> AsyncIterator[FrontAnswer]:
        if request.path == "fails":
            raise ValueError("sk-1 is the key")
        yield FrontAnswer(200, {}, pieces())

    async with LoopbackFront(reply) as front, aiohttp.ClientSession() as session:
        response = await session.get(f"{front.url}/v1")
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
        failed = await session.get(f"{front.url}/fails")
        assert (failed.status, "sk-1" in await failed.text()) == (500, False)
    assert "the front of the wire failed at <FrontRequest GET fails, 0 bytes>" in caplog.text

"""The clients that a framework is given in the place of its own: their requests go over the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import openai
import pytest

from support import agent_at
from unified_agents.backend import AgentSpec, Capability, NativeAgent, run_synchronous_loop
from unified_agents.errors import BackendError, RateLimitError, RunError, UnsupportedCapabilityError
from unified_agents.messages import Message
from unified_agents.scripted.server import ScriptServer
from unified_agents.testing.harness import ServerThread, answer, call, calls, fault
from unified_agents.wire.openai_client import async_openai_client


@pytest.fixture
def server() -> Iterator[ScriptServer]:
    with ServerThread() as served:
        yield served


WHOLE = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi."}}],
}
_PART = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
STREAMED = "".join(
    f"data: {json.dumps({**_PART, 'choices': [{'index': 0, 'delta': {'content': text}}]})}\n\n" for text in ("H", "i.")
)


class _Asking:
    """A backend whose whole loop is two requests of the OpenAI SDK, with the calls between carried out."""

    name = "asking"
    capabilities = frozenset(Capability)
    calls_by_id = False
    is_sync = False
    fails_vaguely = False

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def native_name(self, name: str) -> str:
        return f"plugin-{name}"

    def build(self, spec: AgentSpec) -> NativeAgent:
        self.spec = spec
        return _AskingAgent(self, spec)


class _AskingAgent:
    def __init__(self, backend: _Asking, spec: AgentSpec) -> None:
        self._backend = backend
        self._spec = spec
        self.client = spec.model.openai_async_client(own_retries=spec.handling == "native")
        self.sync_client = spec.model.openai_bridge_client()

    @property
    def native(self) -> object:
        return self.client

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        given: Any = [message.to_chat() for message in messages]
        if self._backend.is_sync:
            return await run_synchronous_loop(lambda: self._loop(given), interrupt=lambda: None)
        if self._backend.fails_vaguely:
            try:
                await self.client.chat.completions.create(model="m", messages=given)
            except openai.OpenAIError:
                raise BackendError("the framework's run ended with status error") from None
        first = await self.client.chat.completions.create(model="m", messages=given)
        self._backend.seen.append(first.choices[0].message.tool_calls)
        return first.choices[0].message.content

    def _loop(self, given: Any) -> str | None:
        while True:
            turn = self.sync_client.chat.completions.create(model="m", messages=given).choices[0].message
            if not turn.tool_calls:
                return turn.content
            given.append(turn.model_dump(exclude_none=True))
            for made in turn.tool_calls:
                outcome = self._spec.tools[0].run_in_thread(made.id)
                given.append({"role": "tool", "tool_call_id": made.id, "content": outcome.content})

    def translate(self, error: Exception) -> RunError | None:
        return None


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> _Asking:
    made = _Asking()
    monkeypatch.setattr("unified_agents.agent.backend_agent.load_backend", lambda name: made)
    return made


async def test_the_sdks_client_asks_over_the_wire_and_leaves_retries_to_it(
    backend: _Asking, server: ScriptServer
) -> None:
    made, url = agent_at(server, fault(status=500, times=1), answer("Hi."))
    async with made:
        result = await made.run("Say hi.")
    assert (result.output, result.retries, len(server.requests(url))) == ("Hi.", 1, 2)
    assert backend.spec.model.openai_async_client(own_retries=False).max_retries == 0
    assert backend.spec.model.openai_async_client(own_retries=True).max_retries == openai.DEFAULT_MAX_RETRIES


async def test_a_request_to_the_sdks_client_goes_out_as_it_was_written() -> None:
    written: dict[str, Any] = {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi.", "of_their_own": [1, None]}],
        "tools": [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}],
    }
    sent: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        if json.loads(request.content)["stream"]:
            return httpx.Response(200, content=STREAMED, headers={"Content-Type": "text/event-stream"})
        return httpx.Response(200, json=WHOLE)

    options: Any = {"seed": openai.omit, "user": openai.NOT_GIVEN, "temperature": None, "extra_body": {"top_k": 3}}
    options["extra_headers"] = {"X-Own": "1"}
    async with httpx.AsyncClient(transport=httpx.MockTransport(reply)) as http_client:
        client = async_openai_client(http_client, base_url="http://m/v1", api_key="k", timeout=5.0, own_retries=False)
        whole = await client.chat.completions.create(**written, **options, stream=False)
        raw = await client.chat.completions.with_raw_response.create(**written, **options, stream=False)
        parts: Any = await client.with_options(timeout=1.0).chat.completions.create(**written, **options, stream=True)
        texts = [part.choices[0].delta.content async for part in parts]
    assert whole.choices[0].message.content == raw.parse().choices[0].message.content == "".join(texts) == "Hi."
    assert [json.loads(request.content) for request in sent] == [
        {**written, "temperature": None, "top_k": 3, "stream": is_streamed} for is_streamed in (False, False, True)
    ]
    assert {(str(request.url), request.headers["X-Own"]) for request in sent} == {("http://m/v1/chat/completions", "1")}


async def test_a_synchronous_loop_reaches_model_and_tools(backend: _Asking, server: ScriptServer) -> None:
    backend.is_sync = True
    made, _ = agent_at(server, calls(call("add", {"a": 2, "b": 3})), answer("It is {0}.", (0, 0)))
    async with made:
        result = await made.run("Add.")
    assert result.output == "It is 5."
    assert [(record.name, record.ok, record.reached) for record in result.tool_calls] == [("add", True, True)]


async def test_the_bridge_refuses_a_call_outside_of_a_loop(backend: _Asking, server: ScriptServer) -> None:
    made, url = agent_at(server, answer("Hi."))
    async with made:
        with pytest.raises(UnsupportedCapabilityError, match="go past unified-agents"):
            backend.spec.model.httpx_bridge_client().post(f"{url}/chat/completions", json={})
        with pytest.raises(UnsupportedCapabilityError, match="go past unified-agents"):
            backend.spec.tools[0].run_in_thread("call_1")


async def test_a_backend_that_claims_by_id_knows_the_reserved_tool_alone(
    backend: _Asking, server: ScriptServer
) -> None:
    backend.calls_by_id = backend.is_sync = True
    made, _ = agent_at(server, calls(call("add", {"a": 2, "b": 3})), answer("It is {0}.", (0, 0)))
    async with made:
        result = await made.run("Add.", record_exchanges=True)
    assert [bound.name for bound in backend.spec.tools] == ["invalid_tool_call"]
    assert result.output == "It is 5."
    given = result.exchanges[0].returned
    assert given is not None
    assert '"name":"invalid_tool_call","arguments":"{}"' in given
    made, _ = agent_at(server, answer("Hi."), handling="native")
    async with made:
        assert [bound.name for bound in backend.spec.tools] == ["add"]


async def test_a_call_under_the_frameworks_own_name_is_of_our_tool(backend: _Asking, server: ScriptServer) -> None:
    asked = calls(call("plugin-add", {"a": 2, "b": 3}), call("other-add", {"a": 2, "b": 3}), text="Well.")
    made, _ = agent_at(server, asked, handling="native")
    async with made:
        result = await made.run("Add.")
    assert [record.name for record in result.tool_calls] == ["add", "other-add"]


async def test_a_framework_that_says_only_that_it_failed_has_failed_by_the_models_last_error(
    backend: _Asking, server: ScriptServer
) -> None:
    backend.fails_vaguely = True
    made, _ = agent_at(server, fault(status=429, message="slow down", times=99), answer("Hi."), handling="native")
    async with made:
        with pytest.raises(RateLimitError, match="slow down"):
            await made.run("Say hi.")

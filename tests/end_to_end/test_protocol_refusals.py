"""What servers of each protocol refuse: what is learnt of it, what is left out for once, and what users are told."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.support import add, asks_for, make_script, written_request
from unified_agents import (
    AuthenticationError,
    BadRequestError,
    ConfigError,
    Message,
    ModelConfig,
    RateLimitError,
    RunResult,
    ScriptedModel,
    create_agent,
    tool,
)
from unified_agents.scripted.provider_forms import ProviderModel
from unified_agents.scripted.server import ScriptServer
from unified_agents.wire.local_upstream import Reply
from unified_agents.wire.protocols.generate_content import GenerateContentProtocol
from unified_agents.wire.protocols.generate_content_request import UNSIGNED

ADDS = ({**asks_for("add", a=1, b=2), "reasoning": "A sum."}, {"text": "It is 3.", "reasoning": "Done."})


class Picky(ProviderModel):
    """A scripted model that refuses some requests, with these words.

    Attributes:
        bodies: All that came.
    """

    def __init__(self, refuses: Callable[[Mapping[str, Any]], str | None], *answers: Any) -> None:
        super().__init__(ScriptedModel(make_script(*answers)))
        self._refuses = refuses
        self.bodies: list[Mapping[str, Any]] = []

    def reply_at(self, path: str, body: Mapping[str, Any], key: str = "") -> Reply:
        self.bodies.append(body)
        if (words := self._refuses(body)) is not None:
            return Reply(400, "application/json", chunks=(b'{"error": {"message": "%s"}}' % words.encode(),))
        return super().reply_at(path, body, key)


async def run(model: Any, protocol: Any, *tasks: Any, **settings: Any) -> list[RunResult]:
    """Run one agent on some tasks."""
    async with ScriptServer() as server:
        config = ModelConfig(**{"name": "m", "base_url": server.add(model), "protocol": protocol, **settings})
        async with create_agent(model=config, tools=[add]) as agent:
            return [await agent.run(task) for task in tasks or ("Go.",)]


THINKING = {"messages": {"parameters": {"reasoning": {"budget": 2048}}}}
OPAQUE = ("signature", "encrypted_content", "thoughtSignature")


def has_originals(body: Any) -> bool:
    """Tell whether something opaque stands in a request, beside the signature of calls that no Gemini model wrote."""
    if isinstance(body, dict):
        return any((name in OPAQUE and value != UNSIGNED) or has_originals(value) for name, value in body.items())
    return isinstance(body, list) and any(map(has_originals, body))


@pytest.mark.parametrize("protocol", ["responses", "messages", "generate_content"])
@pytest.mark.parametrize(
    ("words", "lasts"),
    [("the conversation is not well-formed", False), ("signature: Extra inputs are not permitted", True)],
)
async def test_turns_are_left_out_for_good_only_where_a_field_is_unknown(
    protocol: str, words: str, lasts: bool
) -> None:
    refused: list[int] = []

    def once(body: Mapping[str, Any]) -> str | None:
        if not has_originals(body) or (refused and not lasts):
            return None
        refused.append(1)
        return words

    model = Picky(once, *ADDS)
    results = await run(model, protocol, "one", "two", name="gemini-3-pro", **THINKING.get(protocol, {}))
    assert [result.output for result in results] == ["It is 3."] * 2
    assert [has_originals(body) for body in model.bodies] == [False, True, False, False, not lasts]


@pytest.mark.parametrize("protocol", ["responses", "messages", "generate_content"])
async def test_a_server_that_refuses_turns_with_any_words_is_asked_twice_in_one_step_alone(protocol: str) -> None:
    model = Picky(
        lambda body: "the conversation is not well-formed" if has_originals(body) else None, ADDS[0], ADDS[0], *ADDS
    )
    (result,) = await run(model, protocol, name="gemini-3-pro", **THINKING.get(protocol, {}))
    assert result.output == "It is 3."
    assert [has_originals(body) for body in model.bodies] == [False, True, False, False, False]


async def test_encrypted_reasoning_is_not_asked_of_a_model_that_refuses_it() -> None:
    def refuses(body: Mapping[str, Any]) -> str | None:
        return "Encrypted content is not supported with this model." if "include" in body else None

    model = Picky(refuses, *ADDS)
    results = await run(model, "responses", "one", "two")
    assert [result.output for result in results] == ["It is 3."] * 2
    assert ["include" in body for body in model.bodies] == [True, False, False, False, False]


def adaptive(body: Mapping[str, Any]) -> str | None:
    if body.get("thinking", {}).get("type") == "adaptive":
        return "adaptive thinking is not supported on this model"
    return "This model does not support the effort parameter." if "output_config" in body else None


def budgets(body: Mapping[str, Any]) -> str | None:
    is_old = body["thinking"]["type"] == "enabled"
    words = "thinking.type.enabled is not supported for this model. Use thinking.type.adaptive and output_config.effort"
    return words if is_old else None


def highest(body: Mapping[str, Any]) -> str | None:
    is_too_high = body["output_config"]["effort"] == "max"
    return "effort level max is not supported by this model" if is_too_high else None


def levels(body: Mapping[str, Any]) -> str | None:
    has_level = "thinkingLevel" in body["generationConfig"]["thinkingConfig"]
    return "Thinking level is not supported for this model." if has_level else None


@pytest.mark.parametrize(
    ("protocol", "reasoning", "refuses", "sent"),
    [
        ("messages", {"effort": "low"}, adaptive, {"type": "enabled", "budget_tokens": 2048}),
        ("messages", {"budget": 4096}, budgets, {"type": "adaptive", "display": "summarized"}),
        ("messages", {"effort": "max"}, highest, {"type": "adaptive"}),
        ("generate_content", {"effort": "low"}, levels, {"thinkingBudget": 1024}),
    ],
)
async def test_reasoning_is_asked_for_as_the_model_takes_it(
    protocol: str, reasoning: dict[str, Any], refuses: Any, sent: dict[str, Any]
) -> None:
    model = Picky(refuses, {"text": "ok"})
    results = await run(model, protocol, "one", "two", parameters={"reasoning": reasoning})
    assert [result.output for result in results] == ["ok", "ok"]
    for body in model.bodies[-2:]:
        assert sent in (body.get("thinking"), body.get("generationConfig", {}).get("thinkingConfig"))
    assert len(model.bodies) <= 4


async def test_a_model_that_refuses_every_reasoning_fails_with_its_words() -> None:
    model = Picky(lambda _: "effort is not for you", {"text": "ok"})
    with pytest.raises(BadRequestError, match="effort is not for you"):
        await run(model, "messages")
    assert len(model.bodies) == 1  # nothing could be left out


@pytest.mark.parametrize(
    ("name", "sent"), [("gemini-2.5-pro", {"thinkingBudget": 24576}), ("gemini-3-pro", {"thinkingLevel": "HIGH"})]
)
async def test_gemini_gets_what_its_version_knows(name: str, sent: dict[str, Any]) -> None:
    model = Picky(lambda _: None, {"text": "ok"})
    await run(model, "generate_content", name=name, parameters={"reasoning": {"effort": "max"}})
    assert model.bodies[0]["generationConfig"]["thinkingConfig"] == sent


@pytest.mark.parametrize("reasoning", [{"effort": "low"}, {"budget": 1024}, {"summary": "auto"}])
@pytest.mark.parametrize("beside", [{"temperature": 0.2}, {"tool_choice": "required"}, {"top_p": 0.5}])
def test_what_anthropic_refuses_beside_thinking_is_refused_when_the_agent_is_made(
    reasoning: dict[str, Any], beside: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=f"refuse {next(iter(beside))} beside reasoning"):
        ModelConfig(provider="anthropic", name="m", parameters={"reasoning": reasoning, **beside})
    others = [{"reasoning": {"effort": "none"}, **beside}, beside, {"reasoning": reasoning, "temperature": 1}]
    for parameters in others:
        ModelConfig(provider="anthropic", name="m", parameters=parameters)


@pytest.mark.parametrize("protocol", ["responses", "messages"])
async def test_a_call_that_is_repeated_under_one_id_goes_back_once(protocol: str) -> None:
    call = asks_for("add", a=1, b=2)["tool_calls"][0] | {"id": "call_1"}
    answers = ({"tool_calls": [call, call], "reasoning": "Twice."}, {"text": "It is 3."})
    model = Picky(lambda _: None, *answers)
    model.strict = True
    (result,) = await run(model, protocol, name="gemini-3-pro", **THINKING.get(protocol, {}))
    assert result.output == "It is 3."
    assert len(result.tool_calls) == 1
    assert [call.status for call in result.model_calls] == [200, 200]


@pytest.mark.parametrize(
    ("protocol", "path"),
    [
        ("chat_completions", "chat/completions"),
        ("responses", "responses"),
        ("messages", "messages"),
        ("generate_content", "models/m:generateContent"),
    ],
)
async def test_a_place_that_is_not_there_is_named_as_it_was_asked(
    server: ScriptServer, protocol: Any, path: str
) -> None:
    url = server.add(make_script({"text": "ok"})).replace("/s", "/other")
    async with create_agent(model=ModelConfig(name="m", base_url=url, protocol=protocol)) as agent:
        with pytest.raises(BadRequestError, match=f"requested URL: {url}/{path}, for the model 'm'"):
            await agent.run("Go.")


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"auth": lambda: "token-0123456789"}, "check the token that the function `auth` returns"),
        ({"auth": "none"}, "no key was sent, because `auth` is none"),
        ({}, "set `api_key_env` to the variable"),
    ],
)
async def test_a_refused_key_is_told_by_where_it_comes_from(
    server: ScriptServer, settings: dict[str, Any], hint: str
) -> None:
    url = server.add(make_script({"text": "ok"}), api_key="another-0123456789")
    async with create_agent(model=ModelConfig(name="m", base_url=url, **settings)) as agent:
        with pytest.raises(AuthenticationError) as refused:
            await agent.run("Go.")
    assert hint in str(refused.value)
    assert "api_key_env" in str(refused.value) or settings


async def test_data_urls_without_base64_reach_every_protocol() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/svg+xml;charset=utf-8,%3Csvg%2F%3E"}}
    for protocol in ("messages", "generate_content"):
        model = Picky(lambda _: None, {"text": "ok"})
        await run(model, protocol, [Message(role="user", content=[image])])
        assert "PHN2Zy8+" in repr(model.bodies[0])  # <svg/> in base64
        assert "image/svg+xml" in repr(model.bodies[0])


def test_gemini_gets_a_repeated_call_once() -> None:
    call = {"functionCall": {"id": "c", "name": "f", "args": {"x": 1}}, "thoughtSignature": "c2ln"}
    parts = [{"text": "Hm.", "thought": True}, call, {"functionCall": call["functionCall"]}]
    chat_call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
    turn = {"role": "assistant", "tool_calls": [chat_call], "original": {"role": "model", "parts": parts}}
    messages = [{"role": "user", "content": "?"}, turn, {"role": "tool", "tool_call_id": "c", "content": "1"}]
    body = written_request(GenerateContentProtocol(), "gemini-3-pro", messages)
    assert body["contents"][1]["parts"] == parts[:2]
    twice = turn | {"tool_calls": [chat_call, chat_call | {"id": "d"}]}  # the run took them for two
    body = written_request(GenerateContentProtocol(), "gemini-3-pro", [messages[0], twice])
    assert body["contents"][1]["parts"] == parts


@pytest.mark.parametrize("kind", ["details", "words"])
def test_an_error_within_a_gemini_stream_says_how_long_to_wait(kind: str) -> None:
    error: dict[str, Any] = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota exceeded."}
    if kind == "details":
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}]
    else:
        error["message"] += " Please retry in 7s."
    reader = GenerateContentProtocol().reader()
    with pytest.raises(RateLimitError) as raised:
        reader.feed(f"data: {json.dumps({'error': error})}\n\n".encode())
    assert raised.value.retry_after == 7.0


class WithAside(ProviderModel):
    """A scripted model that answers a request with these words in it from another script."""

    def __init__(self, words: str, aside: Any, *answers: Any) -> None:
        super().__init__(ScriptedModel(make_script(*answers)), strict=True)
        self._words = words
        self._aside = ProviderModel(ScriptedModel(make_script(aside)), strict=True)

    def reply_at(self, path: str, body: Mapping[str, Any], key: str = "") -> Reply:
        return self._aside.reply_at(path, body) if self._words in str(body) else super().reply_at(path, body, key)

    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        return self._aside.reply(request) if self._words in str(request) else super().reply(request, key)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("protocol", ["chat_completions", "responses", "messages", "generate_content"])
async def test_a_model_call_that_a_tool_makes_goes_out_in_the_models_protocol(
    server: ScriptServer, protocol: Any, stream: bool
) -> None:
    from llama_index.core.base.llms.types import ChatMessage

    @tool
    async def ask(question: str) -> str:
        """Ask the model something."""
        llm = agent.native.llm
        asked = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content=question)]
        if not stream:
            return str((await llm.achat(asked, temperature=0.5)).message.content)
        return "".join([piece.delta or "" async for piece in await llm.astream_chat(asked, temperature=0.5)])

    answers = (asks_for("ask", question="Why?"), {"text": "So it is."})
    url = server.add(WithAside("Be brief.", {"text": "Because."}, *answers))
    config = ModelConfig(name="gemini-3-pro", base_url=url, protocol=protocol)
    async with create_agent(backend="llamaindex", model=config, tools=[ask]) as agent:
        result = await agent.run("Go.")
    assert (result.output, result.tool_calls[0].content) == ("So it is.", "Because.")
    assert [call.step for call in result.model_calls] == [0, None, 1]
    asked = server.requests(url)[1].body
    assert asked.get("temperature", asked.get("generationConfig", {}).get("temperature")) == 0.5
    usage = result.model_calls[1].usage
    assert usage is not None or (stream and protocol == "chat_completions")


@pytest.mark.parametrize("protocol", ["responses", "messages", "generate_content"])
async def test_a_refusal_of_a_model_call_that_a_tool_makes_reaches_the_tool(
    server: ScriptServer, protocol: Any
) -> None:
    from llama_index.core.base.llms.types import ChatMessage

    @tool
    async def ask(question: str) -> str:
        """Ask the model something."""
        try:
            await agent.native.llm.achat([ChatMessage(role="user", content=f"Be brief. {question}")])
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return "no error"

    aside = {"fault": {"status": 429, "message": "slower, please"}, "times": 9}
    url = server.add(WithAside("Be brief.", aside, asks_for("ask", question="Why?"), {"text": "So it is."}))
    config = ModelConfig(name="gemini-3-pro", base_url=url, protocol=protocol)
    async with create_agent(backend="llamaindex", model=config, tools=[ask]) as agent:
        result = await agent.run("Go.")
    content = str(result.tool_calls[0].content)
    assert content.startswith("RateLimitError")
    assert "slower, please" in content

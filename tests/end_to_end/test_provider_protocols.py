"""Any backend on any protocol: the same runs over Chat Completions, Responses, Messages and generateContent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import BACKENDS
from unified_agents import (
    Limits,
    Message,
    ModelConfig,
    ModelParameters,
    RunError,
    RunResult,
    Script,
    TextDelta,
    create_agent,
    tool,
)
from unified_agents.config.providers import PROVIDERS, WITHOUT_FIELD
from unified_agents.errors import ConfigError
from unified_agents.scripted.server import ScriptServer
from unified_agents.wire import conversation

PROTOCOLS = tuple(WITHOUT_FIELD)
OTHERS = PROTOCOLS[1:]
KEY = "key-0123456789abcdef0123456789"


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def add_call(a: Any, b: Any) -> dict[str, Any]:
    return {"name": "add", "arguments": {"a": a, "b": b}}


def result(step: int, index: int) -> dict[str, Any]:
    return {"$result": {"step": step, "index": index}}


ANSWERS = [
    {"text": "Two sums.", "tool_calls": [add_call(1, 2), add_call(3, 4)], "reasoning": "Both at once."},
    {"tool_calls": [add_call(result(0, 0), result(0, 1))], "reasoning": "Now their sum."},
    {"text": {"$template": "It is {0}.", "values": [result(1, 0)]}, "reasoning": "That is all."},
]


@pytest.fixture
async def server() -> Any:
    async with ScriptServer() as server:
        yield server


def model(url: str, protocol: str, **settings: Any) -> ModelConfig:
    return ModelConfig(**{"name": "gemini-3-pro", "base_url": url, "protocol": protocol, **settings})


async def run(
    backend: str, config: ModelConfig, task: Any = "go", *, stream: bool = False, **options: Any
) -> RunResult:
    async with create_agent(backend=backend, model=config, tools=[add], **options) as agent:
        if not stream:
            return await agent.run(task)
        texts: list[str] = []
        async with agent.stream(task) as events:
            async for event in events:
                texts += [event.text] if isinstance(event, TextDelta) else []
        assert events.result is not None
        assert events.result.output in "".join(texts)
        return events.result


def thinking(protocol: str) -> dict[str, Any]:
    """Let Anthropic's model think: only then does its API demand thinking back."""
    return {"parameters": {"reasoning": {"budget": 2048}}} if protocol == "messages" else {}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("backend", BACKENDS)
async def test_the_same_run(server: ScriptServer, backend: str, protocol: str, stream: bool) -> None:
    url = server.add(Script.model_validate({"answers": ANSWERS}), strict=True)
    found = await run(backend, model(url, protocol, **thinking(protocol)), stream=stream)
    assert found.output == "It is 10."
    assert [(call.name, call.content) for call in found.tool_calls] == [("add", "3"), ("add", "7"), ("add", "10")]
    assert len({call.id for call in found.tool_calls}) == 3
    assert found.requests == 3
    assert found.usage.total_tokens
    again = [*found.messages, Message(role="user", content="And again?")]
    assert (await run(backend, model(url, protocol, **thinking(protocol)), again)).output == "It is 10."


@pytest.mark.parametrize("protocol", OTHERS)
@pytest.mark.parametrize("backend", BACKENDS)
async def test_requests_are_equal_on_every_backend(server: ScriptServer, backend: str, protocol: str) -> None:
    bodies = []
    for name in ("custom", backend):
        url = server.add(Script.model_validate({"answers": ANSWERS}), strict=True)
        await run(name, model(url, protocol, **thinking(protocol)), instructions="Be brief.")
        bodies.append([request.body for request in server.requests(url)])
    assert bodies[0] == bodies[1]


SIGNED = ("signature", "encrypted_content", "thoughtSignature")


def altered(body: Any) -> Any:
    if isinstance(body, dict):
        return {name: "YWx0ZXJlZA==" if name in SIGNED else altered(value) for name, value in body.items()}
    return list(map(altered, body)) if isinstance(body, list) else body


@pytest.mark.parametrize("protocol", OTHERS)
async def test_a_turn_that_comes_back_altered_is_refused(
    server: ScriptServer, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of the strict server that the other tests pass."""

    body_for = conversation.body_for
    monkeypatch.setattr(conversation, "body_for", lambda *arguments: altered(body_for(*arguments)))
    url = server.add(Script.model_validate({"answers": ANSWERS}), strict=True)
    async with create_agent(model=model(url, protocol, **thinking(protocol)), tools=[add]) as agent:
        try:
            found: RunResult | None = await agent.run("go")
        except RunError as error:
            found = error.result
    assert found is not None
    assert [call.status for call in found.model_calls][:2] == [200, 400]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_the_key_goes_where_the_protocol_has_it(
    server: ScriptServer, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_KEY", KEY)
    url = server.add(Script.model_validate({"answers": [{"text": KEY}]}), api_key=KEY)
    found = await run("custom", model(url, protocol, api_key_env="MODEL_KEY"))
    assert KEY not in str(found.output)
    wrong = server.add(Script.model_validate({"answers": [{"text": "no"}]}), api_key="another")
    with pytest.raises(RunError, match="MODEL_KEY") as refused:
        await run("custom", model(wrong, protocol, api_key_env="MODEL_KEY"))
    assert refused.value.kind == "auth"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "bad_request"), (401, "auth"), (403, "auth"), (429, "rate_limit"), (500, "server"), (503, "server")],
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_errors_are_of_the_same_kinds(server: ScriptServer, protocol: str, status: int, kind: str) -> None:
    answers = [{"fault": {"status": status, "message": "because of a test"}, "times": 9}, {"text": "late"}]
    url = server.add(Script.model_validate({"answers": answers}))
    config = model(url, protocol, policy={"wait_initial": 0.01, "jitter": 0})
    with pytest.raises(RunError, match="because of a test") as failed:
        await run("custom", config)
    assert failed.value.kind == kind


@pytest.mark.parametrize(
    "fault", [{"truncate": True}, {"disconnect": True}, {"empty_answer": True}, {"html": True}, {"empty_choices": True}]
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("protocol", OTHERS)
async def test_a_broken_answer_is_asked_for_again(
    server: ScriptServer, protocol: str, stream: bool, fault: dict[str, Any]
) -> None:
    answers = [{"fault": fault}, ANSWERS[0], *ANSWERS[1:]]
    url = server.add(Script.model_validate({"answers": answers}), strict=True)
    config = model(url, protocol, policy={"wait_initial": 0.01, "jitter": 0}, **thinking(protocol))
    found = await run("custom", config, stream=stream)
    assert (found.output, found.requests, found.retries) == ("It is 10.", 4, 1)


@pytest.mark.parametrize("first", PROTOCOLS)
@pytest.mark.parametrize("second", PROTOCOLS)
async def test_a_run_falls_back_to_another_protocol(server: ScriptServer, first: str, second: str) -> None:
    down = {"fault": {"status": 500}, "times": 99}
    breaks = [ANSWERS[0], down, ANSWERS[1], down, ANSWERS[2]]
    url = server.add(Script.model_validate({"answers": breaks}), strict=True)
    stand_in = server.add(Script.model_validate({"answers": ANSWERS}), strict=True)
    fallback = [{"name": "other", "base_url": stand_in, "protocol": second}]
    policy = {"wait_initial": 0.01, "jitter": 0, "attempts": {"server": 1}}
    found = await run("custom", model(url, first, fallback=fallback, policy=policy))
    assert found.output == "It is 10."
    left = [name for span in found.trace.walk() for name, _, _ in span.events]
    assert "originals_left_behind" in left


@pytest.mark.parametrize("protocol", OTHERS)
async def test_a_form_is_asked_for_and_a_limit_gets_its_last_answer(server: ScriptServer, protocol: str) -> None:
    url = server.add(Script.model_validate({"answers": [*ANSWERS[:2], {"text": '{"value": 10}'}]}), strict=True)
    found = await run("custom", model(url, protocol), output_type=dict[str, int])
    assert found.value == {"value": 10}
    url = server.add(Script.model_validate({"answers": [ANSWERS[0], {"text": "So far 3 and 7."}]}), strict=True)
    limited = await run("custom", model(url, protocol), limits=Limits(max_steps=1, on_limit="answer"))
    assert (limited.status, limited.output) == ("limit", "So far 3 and 7.")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_parameter_without_a_field_is_refused(protocol: str) -> None:
    parameters = ModelParameters(seed=1, parallel_tool_calls=True).model_dump(exclude_none=True)
    parameters["reasoning"] = {"budget": 1, "summary": "auto"}
    with pytest.raises(ConfigError, match=r"has no field for .*(seed|reasoning|parallel)"):
        model("http://127.0.0.1:9/v1", protocol, parameters=parameters)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_has_its_own_host_key_and_protocol(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    config, defaults = ModelConfig.parse(f"{provider}:m"), PROVIDERS[provider]
    assert (config.url, config.key_variable, config.spoken_protocol) == (
        defaults.base_url,
        defaults.key_variable,
        "responses" if provider == "openai" else defaults.protocol,
    )


@pytest.mark.parametrize(
    ("settings", "handling", "protocol"),
    [
        ({}, "unified", "responses"),
        ({"parameters": {"reasoning": {"summary": "auto"}}}, "unified", "responses"),
        ({"base_url": "https://api.openai.com/v1/"}, "unified", "responses"),
        ({"protocol": "chat_completions"}, "unified", "chat_completions"),
        ({"base_url": "https://x.openai.azure.com/openai/v1"}, "unified", "chat_completions"),
        ({"base_url": "http://127.0.0.1:9/v1"}, "unified", "chat_completions"),
        ({"parameters": {"seed": 7}}, "unified", "chat_completions"),
        ({"parameters": {"stop": ["END"]}}, "unified", "chat_completions"),
        ({"max_tokens_field": "max_tokens"}, "unified", "chat_completions"),
        ({}, "native", "chat_completions"),
    ],
)
def test_openais_own_host_is_asked_in_responses(
    settings: dict[str, Any], handling: Any, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    config = ModelConfig(name="m", **settings)
    agent: Any = create_agent(model=config.model_copy(update={"fallback": (config,)}), handling=handling)
    (found, stand_in) = agent._settings.model, agent._settings.model.fallback[0]
    assert (found.spoken_protocol, stand_in.spoken_protocol) == (protocol, protocol)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    if "base_url" not in settings:
        assert config.spoken_protocol == "chat_completions"


@pytest.mark.parametrize(
    ("provider", "protocol"),
    [
        ("google", "chat_completions"),
        ("openai", "messages"),
        ("anthropic", "responses"),
        ("anthropic", "generate_content"),
    ],
)
def test_a_host_is_sent_only_what_it_speaks(provider: Any, protocol: Any) -> None:
    with pytest.raises(ConfigError, match="needs base_url"):
        ModelConfig(provider=provider, name="m", protocol=protocol)


def find(body: Any) -> str:
    """Return the signed text of an original."""
    if isinstance(body, dict):
        return next((str(body[name]) for name in SIGNED if name in body), "") or "".join(map(find, body.values()))
    return "".join(map(find, body)) if isinstance(body, list) else ""


@pytest.mark.parametrize("protocol", OTHERS)
@pytest.mark.parametrize("backend", BACKENDS)
async def test_turns_with_the_same_text_get_each_its_own_original(
    server: ScriptServer, backend: str, protocol: str
) -> None:
    answers = {"answers": [{"text": "Done.", "reasoning": "First."}]}
    first_url, url = server.add(Script.model_validate(answers)), server.add(Script.model_validate(answers))
    first = await run(backend, model(first_url, protocol), "one")
    moved = [
        message
        if message.original is None
        else message.model_copy(update={"original": message.original | {"endpoint": url}})
        for message in first.messages
    ]
    own = [Message(role="user", content="zero"), Message(role="assistant", content="Done.")]
    second = await run(backend, model(url, protocol), [*own, *moved, Message(role="user", content="two")])
    await run(backend, model(url, protocol), [*second.messages, Message(role="user", content="three")])
    originals = [message.original["body"] for message in second.messages if message.original]
    assert len(originals) == 2
    sent = str(server.requests(url)[-1].body)
    assert all(find(body) in sent for body in originals)
    turns = [find(turn) for turn in server.requests(url)[-1].body.get("messages", ())]
    if protocol == "messages":
        assert turns == ["", "", "", find(originals[0]), "", find(originals[1]), ""]


@pytest.mark.parametrize(
    ("protocol", "extra", "kept"),
    [
        ("generate_content", {"generationConfig": {"topK": 40}}, "maxOutputTokens"),
        ("responses", {"text": {"verbosity": "low"}}, "json_schema"),
        ("messages", {"output_config": {"effort": "low"}}, "json_schema"),
    ],
)
async def test_further_fields_are_merged_into_what_stands_there(
    server: ScriptServer, protocol: str, extra: dict[str, Any], kept: str
) -> None:
    url = server.add(Script.model_validate({"answers": [{"text": '{"value": 1}'}]}))
    config = model(url, protocol, extra_body=extra, parameters={"max_tokens": 99})
    await run("custom", config, output_type=dict[str, int])
    body = server.requests(url)[0].body
    ((name, fields),) = extra.items()
    assert body[name].items() >= fields.items()
    assert kept in str(body)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("protocol", OTHERS)
async def test_a_long_integer_reaches_the_tool_exactly(server: ScriptServer, protocol: str, stream: bool) -> None:
    answers = [{"tool_calls": [add_call(12345678901234567890123, 1)]}, {"text": "ok"}]
    url = server.add(Script.model_validate({"answers": answers}))
    async with create_agent(model=model(url, protocol), tools=[add]) as agent:
        if stream:
            async with agent.stream("go") as events:
                async for _ in events:
                    pass
            found = events.result
        else:
            found = await agent.run("go")
    assert found is not None
    assert found.tool_calls[0].content == "12345678901234567890124"


@pytest.mark.parametrize("protocol", OTHERS)
async def test_an_image_may_be_a_plain_text(server: ScriptServer, protocol: str) -> None:
    url = server.add(Script.model_validate({"answers": [{"text": "red"}]}))
    image = {"type": "image_url", "image_url": "data:image/png;base64,AAAA"}
    found = await run("custom", model(url, protocol), [{"role": "user", "content": [image]}])
    assert found.output == "red"
    assert "AAAA" in str(server.requests(url)[0].body)


@pytest.mark.parametrize(("bound", "sent"), [(2000, 6000), (5000, 5000)])
async def test_a_bound_that_is_below_the_budget_comes_on_top(server: ScriptServer, bound: int, sent: int) -> None:
    url = server.add(Script.model_validate({"answers": [{"text": "ok"}]}), strict=True)
    await run("custom", model(url, "messages", parameters={"max_tokens": bound, "reasoning": {"budget": 4000}}))
    assert server.requests(url)[0].body["max_tokens"] == sent

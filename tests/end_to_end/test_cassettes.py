"""Runs that are recorded once, and answered from the recording on every backend and in every protocol."""

from __future__ import annotations

import asyncio
import json
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web

from secret_forms import KEY, traces
from support import asks_for, http_server, make_script
from unified_agents import (
    AuthenticationError,
    BadRequestError,
    ConfigError,
    DivergenceError,
    JournalError,
    ModelConfig,
    NetworkError,
    Script,
    TextDelta,
    create_agent,
    tool,
)
from unified_agents.config.providers import ProtocolName
from unified_agents.journal.rows import read_row_of
from unified_agents.scripted.model import ScriptedModel
from unified_agents.scripted.replay import CassetteModel
from unified_agents.scripted.server import ScriptServer
from unified_agents.wire.cassette import read_cassette

PROTOCOLS: tuple[ProtocolName, ...] = ("chat_completions", "responses", "messages", "generate_content")
QUESTION = "What is 2 + 3, and 2 + 4?"
ANSWERS = (
    {
        "text": "Let me see.",
        "tool_calls": [*asks_for("add", a=2, b=3)["tool_calls"], *asks_for("add", a=2, b=4)["tool_calls"]],
    },
    {"text": "They are 5 and 6."},
)
calls: list[tuple[int, int]] = []


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    calls.append((a, b))
    return a + b


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def refuse(*_: Any) -> None:
        raise AssertionError("the network was asked")

    return lambda: monkeypatch.setattr(socket.socket, "connect", refuse)


def model_of(url: str, protocol: ProtocolName = "chat_completions", **options: Any) -> ModelConfig:
    return ModelConfig(provider="openai", name="m", base_url=url, protocol=protocol, **options)


async def record(
    path: Path, server: ScriptServer, script: Script, protocol: ProtocolName, *tasks: str
) -> list[str | None]:
    """Run tasks on the custom backend, each once, and return what came out."""
    model = model_of(server.add(script), protocol)
    async with create_agent(model=model, tools=[add], instructions="Add.", record=path) as agent:
        return [(await agent.run(task)).output for task in tasks]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_recording_in_one_protocol_answers_every_backend_in_every_protocol(
    tmp_path: Path, server: ScriptServer, backend: str, protocol: ProtocolName, no_network: Callable[[], None]
) -> None:
    path = tmp_path / "c.jsonl"
    await record(path, server, make_script(*ANSWERS), protocol, QUESTION)
    no_network()
    for asked in PROTOCOLS:
        calls.clear()
        model = ModelConfig(name="other", base_url="http://model.invalid/v1", protocol=asked, api_key_env="NOT_SET")
        async with create_agent(model=model, backend=backend, tools=[add], instructions="Add.", replay=path) as agent:
            result = await agent.run(QUESTION)
        assert result.output == "They are 5 and 6."
        assert sorted(calls) == [(2, 3), (2, 4)]
        assert [call.content for call in result.tool_calls] == ["5", "6"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_streamed_answer_is_replayed_as_a_stream_and_whole(
    tmp_path: Path, server: ScriptServer, protocol: ProtocolName
) -> None:
    path = tmp_path / "c.jsonl"
    script = make_script({"text": "One two three."})
    async with (
        create_agent(model=model_of(server.add(script), protocol), record=path) as agent,
        agent.stream("Count.") as events,
    ):
        recorded = [event.text async for event in events if isinstance(event, TextDelta)]
    assert "".join(recorded) == "One two three."
    for asked in PROTOCOLS:
        async with create_agent(model=model_of("http://127.0.0.1:9/v1", asked), replay=path) as agent:
            async with agent.stream("Count.") as events:
                pieces = [event.text async for event in events if isinstance(event, TextDelta)]
            assert len(pieces) > 1 or asked != "chat_completions"
            assert "".join(pieces) == "One two three."
            result = await agent.run("Count.")
            assert result.output == "One two three."
            assert result.usage == events.result.usage  # type: ignore[union-attr]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_what_a_streamed_answer_holds_beside_its_text_goes_back_in_a_replay_too(
    tmp_path: Path, server: ScriptServer, protocol: ProtocolName
) -> None:
    path = tmp_path / "c.jsonl"
    script = make_script(asks_for("add", a=2, b=3) | {"reasoning": "A sum."}, {"text": "5.", "reasoning": "So."})
    model = model_of(server.add(script, strict=True), protocol, parameters={"stream": True})
    async with create_agent(model=model, tools=[add], record=path) as agent:
        first = await agent.run("Add.", record_exchanges=True)
    stored = [row for row in map(json.loads, path.read_text().splitlines()) if row.get("original")]
    assert [row["format"] for row in stored] == [2, 2]
    for streams in (True, False):
        model = model_of(server.add(script), protocol, parameters={"stream": streams})
        async with create_agent(model=model, tools=[add], replay=path) as agent:
            again = await agent.run("Add.", record_exchanges=True)
        sent, then = (json.loads(result.exchanges[1].sent or "") for result in (again, first))
        assert {**sent, "stream": None, "stream_options": None} == {**then, "stream": None, "stream_options": None}


async def test_a_whole_answer_comes_back_byte_for_byte_in_its_protocol(tmp_path: Path, server: ScriptServer) -> None:
    path = tmp_path / "c.jsonl"
    thoughtful = make_script({"text": "Yes.", "reasoning": "It is so."})
    model = model_of(server.add(thoughtful), "messages")
    async with create_agent(model=model, record=path) as agent:
        first = await agent.run("Is it?", record_exchanges=True)
    async with create_agent(model=model_of("http://127.0.0.1:9/v1", "messages"), replay=path) as agent:
        again = await agent.run("Is it?", record_exchanges=True)
    assert json.loads(again.exchanges[0].answered) == json.loads(first.exchanges[0].answered)
    assert "signature" in again.exchanges[0].answered


async def test_what_repeats_is_answered_in_order_and_then_from_the_beginning(
    tmp_path: Path, server: ScriptServer
) -> None:
    path = tmp_path / "c.jsonl"
    for text in ("One.", "Two."):
        await record(path, server, make_script({"text": text}), "chat_completions", "Say a number.")
    async with create_agent(model="openai:m", tools=[add], instructions="Add.", replay=path) as agent:
        found = [(await agent.run("Say a number.")).output for _ in range(4)]
    assert found == ["One.", "Two.", "One.", "Two."]


async def test_refused_attempts_and_broken_connections_are_replayed_without_the_waiting(
    tmp_path: Path, server: ScriptServer
) -> None:
    path = tmp_path / "c.jsonl"
    faults: list[dict[str, Any]] = [{"status": 429, "retry_after": 0.7}, {"status": 503}, {"disconnect": True}]
    script = make_script(*({"fault": fault} for fault in faults), {"text": "At last."})
    model = model_of(server.add(script), policy={"wait_initial": 0.01, "jitter": 0.0})
    async with create_agent(model=model, record=path) as agent:
        first = await agent.run("Go.")
    assert first.retries == 3
    assert [exchange.row.status for exchange in read_cassette(path)] == [429, 503, 0, 200]
    async with create_agent(model=model, replay=path) as agent:
        again = await agent.run("Go.")
    assert (again.output, again.retries) == ("At last.", 3)
    assert again.seconds.total < 0.7 <= first.seconds.total


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 401}, AuthenticationError),
        ({"status": 400, "message": "no such thing"}, BadRequestError),
        ({"disconnect": True}, NetworkError),
    ],
)
@pytest.mark.parametrize("asked", PROTOCOLS)
async def test_a_run_that_failed_fails_again_with_the_same_words(
    tmp_path: Path, server: ScriptServer, fault: dict[str, Any], kind: type[Exception], asked: ProtocolName
) -> None:
    path = tmp_path / "c.jsonl"
    once = {"attempts": {"rate_limit": 1}}
    url = server.add(make_script({"fault": fault, "times": 9}, {"text": "Never."}))
    async with create_agent(model=model_of(url, policy=once), record=path) as agent:
        with pytest.raises(kind) as first:
            await agent.run("Go.")
    async with create_agent(model=model_of("http://127.0.0.1:9/v1", asked, policy=once), replay=path) as agent:
        with pytest.raises(kind) as again:
            await agent.run("Go.")
    if "message" in fault:
        assert "no such thing" in str(first.value)
        assert "no such thing" in str(again.value)


@pytest.mark.parametrize("fault", ["html", "not_json", "empty_choices"])
async def test_an_answer_that_cannot_be_read_is_replayed_as_it_was(
    tmp_path: Path, server: ScriptServer, fault: str
) -> None:
    path = tmp_path / "c.jsonl"
    script = make_script({"fault": {fault: True}}, {"text": "Right."})
    async with create_agent(model=model_of(server.add(script)), record=path) as agent:
        first = await agent.run("Go.")
    async with create_agent(model=model_of("http://127.0.0.1:9/v1"), replay=path) as agent:
        again = await agent.run("Go.")
    assert (first.output, first.retries) == (again.output, again.retries) == ("Right.", 1)


async def test_a_miss_names_the_nearest_recording_and_the_first_difference_on_every_backend(
    tmp_path: Path, server: ScriptServer, backend: str
) -> None:
    path = tmp_path / "c.jsonl"
    script = make_script(asks_for("add", a=2, b=3), {"text": "5"})
    await record(path, server, script, "chat_completions", "What is 2 + 3?", "Name a colour.")
    calls.clear()
    async with create_agent(model="openai:m", backend=backend, tools=[add], instructions="Add.", replay=path) as agent:
        with pytest.raises(DivergenceError) as missed:
            await agent.run("What is 2 + 9?")
    assert calls == []
    assert "exchange 1 of 4" in str(missed.value)
    assert "message 2 (user): it was 'What is 2 + 3?', and now is 'What is 2 + 9?'" in str(missed.value)


async def test_a_tool_that_answers_otherwise_is_the_first_difference(tmp_path: Path, server: ScriptServer) -> None:
    path = tmp_path / "c.jsonl"
    await record(path, server, make_script(*ANSWERS), "chat_completions", QUESTION)

    @tool(name="add")
    def wrong(a: int, b: int) -> int:
        """Add two numbers."""
        return a - b

    async with create_agent(model="openai:m", tools=[wrong], instructions="Add.", replay=path) as agent:
        with pytest.raises(DivergenceError, match=r"message 4 \(tool\): it was '5', and now is '-1'"):
            await agent.run(QUESTION)


async def test_a_run_that_asks_once_more_than_the_recorded_one_is_a_miss(tmp_path: Path, server: ScriptServer) -> None:
    path = tmp_path / "c.jsonl"
    script = make_script({"fault": {"not_json": True}, "times": 5})
    once = {"attempts": {"bad_response": 1}}
    async with create_agent(model=model_of(server.add(script), policy=once), record=path) as agent:
        with pytest.raises(Exception, match="JSON"):
            await agent.run("Go.")
    async with create_agent(model=model_of("http://127.0.0.1:9/v1"), replay=path) as agent:
        with pytest.raises(DivergenceError, match="once more than the recorded one, which asked it 1 times"):
            await agent.run("Go.")


async def test_a_request_that_is_given_up_is_not_recorded(tmp_path: Path, server: ScriptServer) -> None:
    path = tmp_path / "c.jsonl"
    script = make_script({"fault": {"stall": True}}, {"text": "There."})
    async with create_agent(model=model_of(server.add(script), timeout=0.3), record=path) as agent:
        assert (await agent.run("Go.")).retries == 1
    assert [exchange.row.status for exchange in read_cassette(path)] == [200]


async def test_agents_that_record_at_once_share_a_file(tmp_path: Path, server: ScriptServer) -> None:
    path = tmp_path / "c.jsonl"
    tasks = [f"Question {number}?" for number in range(20)]
    await asyncio.gather(*(record(path, server, make_script(*ANSWERS), "chat_completions", task) for task in tasks))
    assert len(read_cassette(path)) == 40
    async with create_agent(model="openai:m", tools=[add], instructions="Add.", replay=path) as agent:
        results = await asyncio.gather(*(agent.run(task) for task in tasks))
    assert {result.output for result in results} == {"They are 5 and 6."}


async def test_a_conversation_is_stored_once_however_long_it_grows(tmp_path: Path, server: ScriptServer) -> None:
    path = tmp_path / "c.jsonl"
    steps = 30
    script = make_script(*(asks_for("add", a=number, b=1) for number in range(steps)), {"text": "Done."})
    await record(path, server, script, "chat_completions", "x" * 5000)
    lines = path.read_text().splitlines()
    assert len(lines) == steps + 1
    assert sum("x" * 5000 in line for line in lines) == 1
    assert max(map(len, lines[1:])) < 1500


async def test_the_rows_of_a_run_are_a_cassette(tmp_path: Path, server: ScriptServer) -> None:
    from unified_agents import MemoryJournal
    from unified_agents.journal.rows import write_row

    journal = MemoryJournal()
    url = server.add(make_script(*ANSWERS))
    async with create_agent(model=model_of(url), tools=[add], instructions="Add.", journal=journal) as agent:
        await agent.run(QUESTION, run_id="r")
    path = tmp_path / "run.jsonl"
    path.write_bytes(b"".join(write_row(row) + b"\n" for row in await journal.read("r")))
    async with create_agent(model="anthropic:m", tools=[add], instructions="Add.", replay=path) as agent:
        assert (await agent.run(QUESTION)).output == "They are 5 and 6."


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("answers: []\n", "line 1"),
        ('{"row":"exchange","format":3}\n', "newer version"),
        (
            '{"row":"exchange","run":"r","model":"m","protocol":"messages","fingerprint":"f","begins":"g"}\n',
            "not before",
        ),
        ('{"row":"end","status":"completed","output":"x","error":null,"ended":1}\n', "not the first"),
    ],
)
def test_a_file_that_is_no_cassette_is_refused_also_to_record_into(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(text)
    for option in ("record", "replay"):
        with pytest.raises(ConfigError, match=words):
            create_agent(model="script:none", **{option: path})  # type: ignore[call-overload]
    assert path.read_text() == text


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="one of them"):
        create_agent(model="openai:m", record=tmp_path / "a", replay=tmp_path / "b")
    with pytest.raises(ConfigError, match="No such file"):
        create_agent(model="openai:m", replay=tmp_path / "none")
    with pytest.raises(ConfigError, match="folder does not exist"):
        create_agent(model="script:none", record=tmp_path / "no" / "c.jsonl")


async def test_a_recording_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    agent = create_agent(model=ScriptedModel(make_script({"text": "Hi."})), record=folder / "c.jsonl")
    folder.rmdir()
    await agent.run("Hello.")
    with pytest.raises(JournalError, match="cannot be written: No such file"):
        await agent.aclose()


async def test_a_server_answers_from_a_cassette_and_says_what_it_lacks(tmp_path: Path, server: ScriptServer) -> None:
    path = tmp_path / "c.jsonl"
    await record(path, server, make_script(*ANSWERS), "chat_completions", QUESTION)
    url = server.add(CassetteModel.load(path))
    for protocol in PROTOCOLS:
        async with create_agent(model=model_of(url, protocol), tools=[add], instructions="Add.") as agent:
            assert (await agent.run(QUESTION)).output == "They are 5 and 6."
            with pytest.raises(BadRequestError, match="differs at message 2"):
                await agent.run("Something else?")


# Secrets

FORMS = (KEY, quote(KEY, safe=""), KEY.encode().hex(), json.dumps({"k": KEY}), b64encode(b"x" + KEY.encode()).decode())


@tool
def leak(number: int) -> dict[str, str]:
    """Give the key away."""
    return {"text": FORMS[number]}


async def leaky_stream(request: web.Request) -> web.StreamResponse:
    """Answer with the key in two deltas, in a header, and in the thinking."""
    body = await request.json()
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    headers = {"Content-Type": "text/event-stream", "x-request-id": KEY, "x-secret": KEY, "Set-Cookie": f"a={KEY}"}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    deltas: list[dict[str, Any]] = [{"reasoning_content": KEY[:9]}, {"reasoning_content": KEY[9:]}]
    deltas += [{"content": f"The key is {KEY[:7]}"}, {"content": f"{KEY[7:]}, {KEY.encode().hex()[:20]}"}]
    deltas += [{"content": KEY.encode().hex()[20:]}, {"content": " and that is all"}]
    for place, delta in enumerate([*deltas, {}]):
        reason = "stop" if place == len(deltas) else None
        chunk = {"id": "1", "model": body["model"], "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    await response.write(b"data: [DONE]\n\n")
    return response


@pytest.fixture
async def leaky_server() -> AsyncIterator[str]:
    async with http_server(leaky_stream) as url:
        yield url


async def test_no_form_of_the_key_is_in_a_cassette_which_is_replayed_without_the_key(
    tmp_path: Path, server: ScriptServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", KEY)
    path = tmp_path / "c.jsonl"
    script = make_script(
        *(asks_for("leak", number=number) for number in range(len(FORMS))), {"text": f"Done with {KEY}."}
    )
    model = model_of(server.add(script), api_key_env="THE_KEY")
    async with create_agent(model=model, tools=[leak], record=path) as agent:
        await agent.run(f"My key is {KEY}.")
    assert traces(path.read_bytes()) == []
    assert b"***" in path.read_bytes()
    assert traces(json.dumps(FORMS).encode()) != []  # the search can find it
    async with create_agent(model=model, tools=[leak], replay=path) as agent:
        assert (await agent.run(f"My key is {KEY}.")).output == "Done with ***."


async def test_a_key_in_two_deltas_and_in_headers_is_not_in_a_cassette(
    tmp_path: Path, leaky_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", KEY)
    path = tmp_path / "c.jsonl"
    model = model_of(f"{leaky_server}/v1", api_key_env="THE_KEY")
    async with (
        create_agent(model=model, record=path) as agent,
        agent.stream("Tell me.") as events,
    ):
        _ = [event async for event in events]
    stored = path.read_bytes()
    assert b"and that is all" in stored
    halves = [KEY[:7], KEY[7:], KEY[:9], KEY[9:], KEY.encode().hex()[:20], KEY.encode().hex()[20:]]
    assert [half for half in halves if half.encode() in stored or json.dumps(half)[1:-1].encode() in stored] == []
    assert traces(stored) == []
    row = read_row_of(stored.splitlines()[0], "c", "1")
    assert row.headers == {"x-request-id": "***"}  # type: ignore[union-attr]

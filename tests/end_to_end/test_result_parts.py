"""Images and files that tools return, on every backend."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from support import BACKENDS, run_once, scripted_model
from unified_agents import (
    ConfigError,
    FilePart,
    ImagePart,
    Limits,
    ModelConfig,
    Script,
    TextPart,
    Tool,
    create_agent,
)
from unified_agents.backend import variants_of
from unified_agents.config import ResultParts, parse_config
from unified_agents.registry import load_backend
from unified_agents.result import RunResult
from unified_agents.scripted.server import ScriptServer

REACTING = [name for name in BACKENDS if "react" in variants_of(load_backend(name))]
PIXELS = b"\x89PNG" + bytes(12_000)
IMAGE = ImagePart.from_bytes(PIXELS)
FILE = FilePart.from_bytes(b"%PDF", "application/pdf", "bill.pdf")


async def run(
    backend: str, value: object, *, parts: ResultParts, **options: Any
) -> tuple[RunResult, list[dict[str, Any]]]:
    """One call of a tool that returns the value; and the tool messages of the next request."""
    picture = Tool(name="picture", parameters={}, handler=lambda: value, **options)
    answers = [{"tool_calls": [{"name": "picture", "arguments": {}}]}, {"text": "done"}]
    async with ScriptServer() as server:
        model = ModelConfig(
            name="m", base_url=server.add(Script.model_validate({"answers": answers})), tool_result_parts=parts
        )
        agent = create_agent(backend=backend, model=model, tools=[picture])
        result = await run_once(agent, "Show it.", record_exchanges=True)
    sent = json.loads(result.exchanges[1].sent)
    return result, [message for message in sent["messages"] if message["role"] == "tool"]


@pytest.mark.parametrize("backend", BACKENDS)
async def test_parts_reach_the_model_where_it_takes_them(backend: str) -> None:
    result, (message,) = await run(backend, ["Here:", IMAGE, {"n": 1}, FILE], parts="tool")
    url = "data:image/png;base64," + base64.b64encode(PIXELS).decode()
    assert message["content"] == [
        {"type": "text", "text": "Here:"},
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "text", "text": '{"n":1}'},
        {"type": "file", "file": {"filename": "bill.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
    ]
    assert result.tool_calls[0].content == (
        'Here:\n[image image/png, 12 kB]\n{"n":1}\n[file bill.pdf, application/pdf, 4 bytes]'
    )
    assert result.output == "done"


@pytest.mark.parametrize("backend", BACKENDS)
async def test_else_the_model_is_told_what_they_are(backend: str) -> None:
    result, (message,) = await run(backend, IMAGE, parts=False)
    assert message["content"] == "[image image/png, 12 kB]" == result.tool_calls[0].content
    assert "base64" not in result.exchanges[1].sent


CALL = {"tool_calls": [{"name": "picture", "arguments": {}}]}


async def conversation(value: object, *answers: object, **options: Any) -> tuple[RunResult, list[dict[str, Any]]]:
    """A run with a tool that returns the value; and the messages of the last request that reached the server."""
    config = {key: options.pop(key) for key in ("tool_result_parts", "fallback") if key in options}
    protocol = "react" if options.get("variant") == "react" else "tools"
    async with ScriptServer() as server:
        url = server.add(Script.model_validate({"answers": answers, "protocol": protocol}))
        model = ModelConfig.model_validate({"name": "m", "base_url": url} | config)
        picture = Tool(name="picture", parameters={}, handler=lambda: value)
        agent = create_agent(model=model, tools=[picture], **options)
        try:
            result = await agent.run("Show it.")
        finally:
            await agent.aclose()
        return result, server.requests(url)[-1].body["messages"]


@pytest.mark.parametrize("mime_type", ["image/png", "image/jpeg", "image/webp", "image/gif", "IMAGE/PNG"])
async def test_a_user_message_shows_the_images_that_it_takes(mime_type: str) -> None:
    image = ImagePart.from_bytes(PIXELS, mime_type)
    _, messages = await conversation(image, CALL, {"text": "done"}, tool_result_parts="user")
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "user"]
    assert messages[-1]["content"][1] == {"type": "image_url", "image_url": {"url": image.url}}


async def test_a_user_message_shows_a_pdf() -> None:
    _, messages = await conversation(FILE, CALL, {"text": "done"}, tool_result_parts="user")
    assert messages[-1]["content"][1] == FILE.to_chat()


@pytest.mark.parametrize(
    "value",
    [
        ImagePart.from_bytes(b"<svg/>", "image/svg+xml"),
        FilePart.from_bytes(b"PK", "application/zip", "a.zip"),
        "text",
        [TextPart(text="a"), "b"],
    ],
)
async def test_what_a_user_message_does_not_take_adds_none(value: object) -> None:
    result, messages = await conversation(value, CALL, {"text": "done"}, tool_result_parts="user")
    assert [message["role"] for message in messages] == ["user", "assistant", "tool"]
    assert messages[-1]["content"] == result.tool_calls[0].content


async def test_what_else_is_said_comes_after_the_images() -> None:
    cut = {"text": "It sh", "finish_reason": "length"}
    _, messages = await conversation(IMAGE, CALL, cut, {"text": "done"}, tool_result_parts="user")
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "user", "assistant", "user"]
    assert messages[3]["content"][1]["type"] == "image_url"


async def test_the_last_answer_at_a_limit_sees_the_images() -> None:
    limits = Limits(max_steps=1, on_limit="answer")
    result, messages = await conversation(IMAGE, CALL, {"text": "done"}, tool_result_parts="user", limits=limits)
    assert result.output == "done"
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "user", "user"]
    assert messages[3]["content"][1]["type"] == "image_url"


async def test_a_model_that_stands_in_is_sent_what_it_takes() -> None:
    async with ScriptServer() as server:
        blind = server.add(Script.model_validate({"answers": [CALL, {"text": "done"}]}))
        fallback = [{"name": "blind", "base_url": blind}]
        dead = [CALL, {"fault": {"status": 500}, "times": 9}]
        options = {"tool_result_parts": "user", "fallback": fallback}
        result, messages = await conversation(IMAGE, *dead, **options)
        (request,) = server.requests(blind)
    assert result.output == "done"
    assert messages[-1]["role"] == "user"
    assert [message["role"] for message in request.body["messages"]] == ["user", "assistant", "tool"]


@pytest.mark.parametrize("backend", REACTING)
@pytest.mark.parametrize("place", ["tool", "user", False])
async def test_an_observation_holds_them_itself(backend: str, place: ResultParts) -> None:
    value = ["Here:", IMAGE, FilePart.from_bytes(b"PK", "application/zip", "a.zip")]
    answers = [CALL, CALL, {"text": "done"}]
    options = {"backend": backend, "variant": "react", "tool_result_parts": place}
    result, messages = await conversation(value, *answers, **options)
    assert result.output == "done"
    assert [message["role"] for message in messages] == ["system", "user", *["assistant", "user"] * 2]
    for observation in (messages[3]["content"], messages[5]["content"]):
        if place is False:
            assert observation == "Observation: Here:\n[image image/png, 12 kB]\n[file a.zip, application/zip, 2 bytes]"
            continue
        kinds = [part["type"] for part in observation]
        assert kinds == ["text", "text", "image_url", "file" if place == "tool" else "text"]
        assert [part["text"] for part in observation[:2]] == ["Observation:", "Here:"]


@pytest.mark.parametrize(("given", "kept"), [(True, "tool"), ("tool", "tool"), ("user", "user"), (False, False)])
def test_the_places_that_a_config_may_name(given: object, kept: object) -> None:
    assert ModelConfig.model_validate({"name": "m", "tool_result_parts": given}).tool_result_parts == kept


def test_a_place_that_there_is_not() -> None:
    with pytest.raises(ConfigError, match=r"tool_result_parts: .*'tool', 'user' or False"):
        create_agent(model=parse_config(ModelConfig, {"name": "m", "tool_result_parts": "system"}, "the model"))


async def test_texts_alone_are_text() -> None:
    _, (message,) = await run("custom", [TextPart(text="a"), "b"], parts="tool")
    assert message["content"] == "a\nb"


async def test_texts_between_parts_are_cut_and_images_are_not() -> None:
    _, (message,) = await run("custom", ["x" * 50, IMAGE], parts="tool", max_result_chars=10)
    text, image = message["content"]
    assert text["text"] == "x" * 10 + "\n[cut: the result has 50 characters, and these were the first 10]"
    assert image["type"] == "image_url"


async def test_an_image_beyond_all_measure_is_told_as_text() -> None:
    huge = ImagePart.model_construct(data="A" * 28_000_000, mime_type="image/png")
    _, (message,) = await run("custom", huge, parts="tool")
    assert message["content"] == "[image image/png, 21.0 MB]"


async def test_a_part_within_other_values_is_told_as_text() -> None:
    _, (message,) = await run("custom", {"image": IMAGE}, parts="tool")
    assert message["content"] == '{"image":"[image image/png, 12 kB]"}'


@pytest.mark.parametrize("bad", [{"data": "not base64!", "mime_type": "image/png"}, {"data": "", "mime_type": "png"}])
def test_a_part_that_is_none_is_refused(bad: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"base64|mime_type"):
        ImagePart(**bad)


def test_a_scripted_model_in_this_process_takes_parts_too() -> None:
    answers = [{"tool_calls": [{"name": "p", "arguments": {}}]}, {"text": "done"}]
    model = scripted_model(*answers)
    agent = create_agent(model=model, tools=[Tool(name="p", parameters={}, handler=lambda: IMAGE)])
    assert agent.run_sync("Show it.").output == "done"

"""Images and files that tools return, on every backend."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from unified_agents import (
    FilePart,
    ImagePart,
    ModelConfig,
    Script,
    ScriptedModel,
    TextPart,
    Tool,
    backend_info,
    backend_names,
    create_agent,
)
from unified_agents.run.result import RunResult
from unified_agents.wire.server import ScriptServer

BACKENDS = [name for name in backend_names() if backend_info(name).installed]
PIXELS = b"\x89PNG" + bytes(12_000)
IMAGE = ImagePart.from_bytes(PIXELS)
FILE = FilePart.from_bytes(b"%PDF", "application/pdf", "bill.pdf")


async def run(backend: str, value: object, *, parts: bool, **options: Any) -> tuple[RunResult, list[dict[str, Any]]]:
    """One call of a tool that returns the value; and the tool messages of the next request."""
    picture = Tool(name="picture", parameters={}, handler=lambda: value, **options)
    answers = [{"tool_calls": [{"name": "picture", "arguments": {}}]}, {"text": "done"}]
    async with ScriptServer() as server:
        model = ModelConfig(
            name="m", base_url=server.add(Script.model_validate({"answers": answers})), tool_result_parts=parts
        )
        agent = create_agent(backend=backend, model=model, tools=[picture])
        try:
            result = await agent.run("Show it.", record_exchanges=True)
        finally:
            await agent.aclose()
    sent = json.loads(result.exchanges[1].sent)
    return result, [message for message in sent["messages"] if message["role"] == "tool"]


@pytest.mark.parametrize("backend", BACKENDS)
async def test_parts_reach_the_model_where_it_takes_them(backend: str) -> None:
    result, (message,) = await run(backend, ["Here:", IMAGE, {"n": 1}, FILE], parts=True)
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


async def test_texts_alone_are_text() -> None:
    _, (message,) = await run("custom", [TextPart(text="a"), "b"], parts=True)
    assert message["content"] == "a\nb"


async def test_texts_between_parts_are_cut_and_images_are_not() -> None:
    _, (message,) = await run("custom", ["x" * 50, IMAGE], parts=True, max_result_chars=10)
    text, image = message["content"]
    assert text["text"] == "x" * 10 + "\n[cut: the result has 50 characters, and these were the first 10]"
    assert image["type"] == "image_url"


async def test_an_image_beyond_all_measure_is_told_as_text() -> None:
    huge = ImagePart.model_construct(data="A" * 28_000_000, mime_type="image/png")
    _, (message,) = await run("custom", huge, parts=True)
    assert message["content"] == "[image image/png, 21.0 MB]"


async def test_a_part_within_other_values_is_told_as_text() -> None:
    _, (message,) = await run("custom", {"image": IMAGE}, parts=True)
    assert message["content"] == '{"image":"[image image/png, 12 kB]"}'


@pytest.mark.parametrize("bad", [{"data": "not base64!", "mime_type": "image/png"}, {"data": "", "mime_type": "png"}])
def test_a_part_that_is_none_is_refused(bad: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"base64|mime_type"):
        ImagePart(**bad)


def test_a_scripted_model_in_this_process_takes_parts_too() -> None:
    answers = [{"tool_calls": [{"name": "p", "arguments": {}}]}, {"text": "done"}]
    model = ScriptedModel(Script.model_validate({"answers": answers}))
    agent = create_agent(model=model, tools=[Tool(name="p", parameters={}, handler=lambda: IMAGE)])
    assert agent.run_sync("Show it.").output == "done"

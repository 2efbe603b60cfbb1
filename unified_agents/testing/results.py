"""The contract: what tools return and raise, and where they run."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from pydantic import BaseModel

from unified_agents.backend import Capability
from unified_agents.config import ModelConfig, ModelParameters, ResultParts
from unified_agents.messages import JsonObject
from unified_agents.scripted.model import Script
from unified_agents.testing.contract import Contract, either_way
from unified_agents.testing.harness import MODEL_NAME, Bench, Held, HeldThread, Stage, call, calls, say
from unified_agents.tools.decorator import tool
from unified_agents.tools.definition import Tool, ToolContext
from unified_agents.tools.parts import FilePart, ImagePart

tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


class Place(BaseModel):
    """A result as a pydantic model."""

    name: str
    when: date


@dataclass
class Point:
    """A result as a dataclass."""

    x: int
    y: float


RESULTS = [
    pytest.param("plain text", "plain text", id="text"),
    pytest.param("", "", id="empty text"),
    pytest.param("Grüße, 東京 🎉\n\t{x} %s \\", "Grüße, 東京 🎉\n\t{x} %s \\", id="other scripts"),
    pytest.param('{"a": 1}', '{"a": 1}', id="JSON text"),
    pytest.param(7, "7", id="integer"),
    pytest.param(0.5, "0.5", id="number"),
    pytest.param(True, "true", id="truth"),
    pytest.param(None, "null", id="nothing"),
    pytest.param([1, "zwei", None], '[1,"zwei",null]', id="list"),
    pytest.param([], "[]", id="empty list"),
    pytest.param({"ä": {"b": [1.0]}}, '{"ä":{"b":[1.0]}}', id="object"),
    pytest.param(Place(name="Köln", when=date(2026, 1, 2)), '{"name":"Köln","when":"2026-01-02"}', id="model"),
    pytest.param(Point(1, 2.0), '{"x":1,"y":2.0}', id="dataclass"),
    pytest.param([Point(1, 2.0)], '[{"x":1,"y":2.0}]', id="list of dataclasses"),
    pytest.param({"type": "text", "text": "no part"}, '{"type":"text","text":"no part"}', id="looks like a part"),
    pytest.param([{"type": "text", "text": "a"}], '[{"type":"text","text":"a"}]', id="looks like parts"),
    pytest.param(("content", "artifact"), '["content","artifact"]', id="pair"),
    pytest.param("é" * 500_000, "é" * 500_000, id="1 MB"),
]


class ToolResultContract(Contract, needs=(Capability.TOOLS,)):
    """From a tool's result, or its failure, to what the model reads."""

    @pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
    @pytest.mark.parametrize(("value", "text"), RESULTS)
    async def test_results(self, bench: Bench, value: object, text: str, is_async: bool) -> None:
        """Whatever a tool returns reaches the model as one text, which our library makes and no framework."""
        stage = bench.stage(calls(call("give")), say("Done."), tools=[_giving(value, is_async=is_async)])
        result = await stage.completes()
        assert stage.told() == [text]
        assert result.tool_calls[0].content == text

    async def test_a_result_that_is_too_long(self, bench: Bench) -> None:
        """It is cut to the tool's own bound, and a mark says so."""
        tools = [_giving("é" * 50, is_async=True, longest=10)]
        stage = bench.stage(calls(call("give")), say("Done."), tools=tools)
        await stage.completes()
        assert stage.told() == ["é" * 10 + "\n[cut: the result has 50 characters, and these were the first 10]"]

    async def test_a_result_that_cannot_be_shown(self, bench: Bench) -> None:
        """A result without a JSON form is a failure of the tool, told to the model."""
        stage = bench.stage(calls(call("give")), say("Done."), tools=[_giving(b"bytes", is_async=True)])
        result = await stage.completes()
        [told] = stage.told()
        assert told.startswith("Error in tool 'give': its result cannot be shown:")
        assert [error.kind for error in result.errors] == ["tool_error"]

    @pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
    async def test_a_number_that_json_cannot_say(self, bench: Bench, is_async: bool) -> None:
        """NaN and infinities are a failure of the tool, told with their place; never a silent `null`."""
        tools = [_giving({"rows": [{"price": float("nan"), "note": None}]}, is_async=is_async)]
        stage = bench.stage(calls(call("give")), say("Done."), tools=tools)
        result = await stage.completes()
        [told] = stage.told()
        assert "has no JSON form: NaN at /rows/0/price" in told
        assert [error.kind for error in result.errors] == ["tool_error"]

    @either_way
    async def test_images_in_a_user_message(self, bench: Bench, stream: bool) -> None:
        """They follow the tool messages of their step, in call order, in each request; none is in the conversation."""
        first = calls(call("map", {"of": "Oslo"}), call("size"), call("map", {"of": "Bonn"}))
        stage = _seeing(bench, "user", first, calls(call("map", {"of": "Rome"})), say("{0}", (0, 1)), stream=stream)
        result = await stage.completes()
        assert result.output == "7"
        oslo, size, bonn, rome = result.tool_calls
        assert oslo.content == "Oslo\n[image image/png, 4 bytes]\n[file Oslo.bin, application/x-map, 2 bytes]"
        once = ["user", "assistant", "tool", "tool", "tool", "user"]
        twice = [*once, "assistant", "tool", "user"]
        assert [[it["role"] for it in body["messages"]] for body in stage.sent] == [["user"], once, twice]
        assert stage.told(1) == [oslo.content, size.content, bonn.content]
        assert stage.told(2) == [oslo.content, size.content, bonn.content, rome.content]
        shown = [*_attached(oslo.id, "Oslo"), *_attached(bonn.id, "Bonn")]
        assert [body["messages"][5]["content"] for body in stage.sent[1:]] == [shown, shown]
        assert stage.sent[2]["messages"][8]["content"] == _attached(rome.id, "Rome")
        assert [message.role for message in result.messages].count("user") == 1
        assert "base64" not in str(result.messages)

    async def test_images_in_the_tool_message(self, bench: Bench) -> None:
        """For a server that takes parts there, all of them stand in the tool message, and no user message follows."""
        stage = _seeing(bench, "tool", calls(call("map", {"of": "Oslo"})), say("{0}", (0, 0)))
        await stage.completes()
        *_, message = stage.sent[1]["messages"]
        assert message["role"] == "tool"
        assert [part["type"] for part in message["content"]] == ["text", "image_url", "file"]

    async def test_images_as_text(self, bench: Bench) -> None:
        """For a model that does not see they are told as text, and nothing else goes out."""
        stage = _seeing(bench, False, calls(call("map", {"of": "Oslo"})), say("Done."))
        result = await stage.completes()
        *_, message = stage.sent[1]["messages"]
        assert (message["role"], message["content"]) == ("tool", result.tool_calls[0].content)

    @pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
    @pytest.mark.parametrize(
        ("error", "text"),
        [
            (ValueError("no such row: 7"), "ValueError: no such row: 7"),
            (KeyError("k"), "KeyError: 'k'"),
            (TimeoutError(), "TimeoutError."),
            (TypeError("unexpected keyword argument"), "TypeError: unexpected keyword argument"),
            (asyncio.CancelledError(), "CancelledError."),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
    )
    async def test_a_tool_that_raises(self, bench: Bench, error: BaseException, text: str, is_async: bool) -> None:
        """The model is told, and the run goes on: the framework must see an outcome, never the exception."""
        stage = bench.stage(calls(call("boom")), say("Well then."), tools=[_raising(error, is_async=is_async)])
        result = await stage.completes()
        assert result.output == "Well then."
        assert stage.told() == [f"Error in tool 'boom': {text}"]
        [record] = result.tool_calls
        assert (record.ok, record.reached, record.received) == (False, True, {})
        assert record.error is not None
        assert record.error.kind == "tool_error"
        assert [error.kind for error in result.errors] == ["tool_error"]

    async def test_an_async_tool_that_takes_too_long(self, bench: Bench) -> None:
        """Its own timeout stops it, and the model is told."""
        held = Held()
        slow = tool(held.tool.handler, name="hold", timeout=0.05)
        stage = bench.stage(calls(call("hold", {"n": 1})), say("Well then."), tools=[slow])
        result = await stage.completes()
        _timed_out(stage, "hold")
        assert (held.started, held.cancelled) == (1, 1)
        assert result.errors[0].kind == "timeout"

    async def test_a_sync_tool_that_takes_too_long(self, bench: Bench) -> None:
        """The model is told although its thread runs on; the result names the thread."""
        held = HeldThread()
        slow = tool(held.tool.handler, name="hang", timeout=0.05)
        stage = bench.stage(calls(call("hang", {"n": 1})), say("Well then."), tools=[slow])
        try:
            result = await stage.completes()
        finally:
            held.release.set()
        _timed_out(stage, "hang")
        assert result.tool_calls[0].error is not None
        assert result.tool_calls[0].error.kind == "timeout"
        assert any("abandoned" in error.message and "'hang'" in error.message for error in result.errors)

    @pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
    async def test_context_variables_of_the_caller(self, bench: Bench, is_async: bool) -> None:
        """A context variable that the caller has set is seen inside tools: no framework thread or task may lose it."""
        stage = bench.stage(
            calls(call("who"), call("who")), say("{0} {1}", (0, 0), (0, 1)), tools=[_who(is_async=is_async)]
        )
        outputs = await asyncio.gather(*(_as_tenant(stage, name) for name in ("ada", "bob")))
        assert outputs == ["ada ada", "bob bob"]

    @pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
    async def test_the_tool_context(self, bench: Bench, is_async: bool) -> None:
        """A parameter typed `ToolContext` is filled in, and hidden from the model."""
        seen: list[ToolContext] = []

        async def where_async(x: int, context: ToolContext) -> int:
            seen.append(context)
            return x

        def where_sync(x: int, context: ToolContext) -> int:
            seen.append(context)
            return x

        where = tool(where_async if is_async else where_sync, name="where")
        stage = bench.stage(calls(call("where", {"x": 1})), calls(call("where", {"x": 2})), say("Done."), tools=[where])
        result = await stage.completes(run_id="run-7")
        assert [(it.run_id, it.step, it.tool) for it in seen] == [("run-7", 0, "where"), ("run-7", 1, "where")]
        assert [it.call_id for it in seen] == [record.id for record in result.tool_calls]
        assert list(stage.sent[0]["tools"][0]["function"]["parameters"]["properties"]) == ["x"]


def _giving(value: object, *, is_async: bool, longest: int | None = None) -> Tool:
    def give_sync() -> Any:
        return value

    async def give_async() -> Any:
        return value

    return tool(give_async if is_async else give_sync, name="give", max_result_chars=longest)


@tool(name="map")
async def _map(of: str) -> list[str | ImagePart | FilePart]:
    await asyncio.sleep(0.02 if of == "Oslo" else 0)  # so that it ends after the calls that follow it
    data = of.encode()
    return [of, ImagePart.from_bytes(data), FilePart.from_bytes(data[:2], "application/x-map", f"{of}.bin")]


@tool(name="size")
async def _size() -> int:
    return 7


def _attached(call_id: str, city: str) -> list[JsonObject]:
    """What a user message shows of a call of `map`: the image, and not the file, which user messages do not take."""
    told = f"Images and files in the result of tool 'map' (call {call_id}), in their order:"
    return [
        {"type": "text", "text": told},
        {"type": "image_url", "image_url": {"url": ImagePart.from_bytes(city.encode()).url}},
    ]


def _seeing(bench: Bench, parts: ResultParts, *answers: JsonObject, stream: bool = False) -> Stage:
    """An agent with `map` and `size`, whose model's server takes images and files there."""
    url = bench.server.add(Script.model_validate({"answers": answers}))
    parameters = ModelParameters(stream=stream or None)
    model = ModelConfig(name=MODEL_NAME, base_url=url, parameters=parameters, tool_result_parts=parts)
    return Stage(bench.agent(model, [_map, _size]), url, bench.server)


def _raising(error: BaseException, *, is_async: bool) -> Tool:
    def boom_sync() -> str:
        raise error

    async def boom_async() -> str:
        raise error

    return tool(boom_async if is_async else boom_sync, name="boom")


def _who(*, is_async: bool) -> Tool:
    def who_sync() -> str:
        return tenant.get()

    async def who_async() -> str:
        return tenant.get()

    return tool(who_async if is_async else who_sync, name="who")


async def _as_tenant(stage: Stage, name: str) -> str | None:
    tenant.set(name)  # in the task of this call alone
    return (await stage.completes()).output


def _timed_out(stage: Stage, name: str) -> None:
    assert stage.told() == [f"Error in tool {name!r}: it did not finish within 0.05 seconds and was stopped."]

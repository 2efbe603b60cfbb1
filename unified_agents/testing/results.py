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
from unified_agents.config import ResultParts
from unified_agents.messages import JsonObject
from unified_agents.result import RunResult
from unified_agents.testing.contract import Contract, async_and_sync, spoken_in, whole_and_streamed
from unified_agents.testing.harness import ContractBench, Scenario, answer, call, calls, error_kind, make_tool
from unified_agents.testing.tools import HangingTool, HeldTool
from unified_agents.tools.decorator import tool
from unified_agents.tools.definition import ToolContext
from unified_agents.tools.parts import FilePart, ImagePart

tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


class Location(BaseModel):
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
    pytest.param(Location(name="Köln", when=date(2026, 1, 2)), '{"name":"Köln","when":"2026-01-02"}', id="model"),
    pytest.param(Point(1, 2.0), '{"x":1,"y":2.0}', id="dataclass"),
    pytest.param([Point(1, 2.0)], '[{"x":1,"y":2.0}]', id="list of dataclasses"),
    pytest.param({"type": "text", "text": "no part"}, '{"type":"text","text":"no part"}', id="looks like a part"),
    pytest.param([{"type": "text", "text": "a"}], '[{"type":"text","text":"a"}]', id="looks like parts"),
    pytest.param(("content", "artifact"), '["content","artifact"]', id="pair"),
    pytest.param("é" * 500_000, "é" * 500_000, id="1 MB"),
]


def _compact(text: str) -> str:
    return text.replace('": ', '":') if text.startswith("{") else text


class ToolResultContract(Contract, needs=(Capability.TOOLS,)):
    """From a tool's result, or its failure, to what the model reads."""

    @async_and_sync
    @pytest.mark.parametrize(("value", "text"), RESULTS)
    async def test_results(self, bench: ContractBench, value: object, text: str, is_async: bool) -> None:
        """Whatever a tool returns reaches the model as one text, which our library makes and no framework."""
        scenario, result = await _give(bench, value, is_async=is_async)
        sent = [_compact(text)] if bench.spoken == "generate_content" else [text]  # which has objects as objects
        assert scenario.tool_results() == sent
        assert result.tool_calls[0].content == text

    async def test_a_result_that_is_too_long(self, bench: ContractBench) -> None:
        """A long result is cut to the tool's own bound, and a mark says so."""
        scenario, _ = await _give(bench, "é" * 50, max_result_chars=10)
        assert scenario.tool_results() == [
            "é" * 10 + "\n[cut: the result has 50 characters, and these were the first 10]"
        ]

    async def test_a_result_that_cannot_be_shown(self, bench: ContractBench) -> None:
        """A result without a JSON form is a failure of the tool, told to the model."""
        scenario, result = await _give(bench, b"bytes")
        [content] = scenario.tool_results()
        assert content.startswith("Error in tool 'give': its result cannot be shown:")
        assert [error.kind for error in result.errors] == ["tool_error"]

    @async_and_sync
    async def test_a_number_that_json_cannot_say(self, bench: ContractBench, is_async: bool) -> None:
        """NaN and infinities are a failure of the tool, told with their place; never a silent `null`."""
        rows = {"rows": [{"price": float("nan"), "note": None}]}
        scenario, result = await _give(bench, rows, is_async=is_async)
        [content] = scenario.tool_results()
        assert "has no JSON form: NaN at /rows/0/price" in content
        assert [error.kind for error in result.errors] == ["tool_error"]

    @spoken_in("chat_completions", "messages", "generate_content")
    @whole_and_streamed
    async def test_images_in_a_user_message(self, bench: ContractBench, stream: bool) -> None:
        """Images follow the tool messages of their step, in call order, in each request, and not in `messages`."""
        first = calls(call("map", {"of": "Oslo"}), call("size"), call("map", {"of": "Bonn"}))
        scenario, result = await _map_cities(
            bench, "user", first, calls(call("map", {"of": "Rome"})), answer("{0}", (0, 1)), stream=stream
        )
        assert result.output == "7"
        oslo, size, bonn, rome = result.tool_calls
        assert oslo.content == "Oslo\n[image image/png, 4 bytes]\n[file Oslo.bin, application/x-map, 2 bytes]"
        once = ["user", "assistant", "tool", "tool", "tool", "user"]
        twice = [*once, "assistant", "tool", "user"]
        assert [[it["role"] for it in body["messages"]] for body in scenario.sent] == [["user"], once, twice]
        assert scenario.tool_results(1) == [oslo.content, size.content, bonn.content]
        assert scenario.tool_results(2) == [oslo.content, size.content, bonn.content, rome.content]
        shown = [*_attached(oslo.id, "Oslo"), *_attached(bonn.id, "Bonn")]
        assert [body["messages"][5]["content"] for body in scenario.sent[1:]] == [shown, shown]
        assert scenario.sent[2]["messages"][8]["content"] == _attached(rome.id, "Rome")
        assert [message.role for message in result.messages].count("user") == 1
        assert "base64" not in str(result.messages)

    async def test_images_in_the_tool_message(self, bench: ContractBench) -> None:
        """For a server that takes parts there, all of them stand in the tool message, and no user message follows."""
        scenario, _ = await _map_cities(bench, "tool", calls(call("map", {"of": "Oslo"})), answer("{0}", (0, 0)))
        *_, message = scenario.sent[1]["messages"]
        assert message["role"] == "tool"
        assert [part["type"] for part in message["content"]] == ["text", "image_url", "file"]

    async def test_images_as_text(self, bench: ContractBench) -> None:
        """For a model that does not take images they are described as text, and nothing else goes out."""
        scenario, result = await _map_cities(bench, False, calls(call("map", {"of": "Oslo"})), answer("Done."))
        *_, message = scenario.sent[1]["messages"]
        assert (message["role"], message["content"]) == ("tool", result.tool_calls[0].content)

    @async_and_sync
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
    async def test_a_tool_that_raises(
        self, bench: ContractBench, error: BaseException, text: str, is_async: bool
    ) -> None:
        """The model is told, and the run goes on: the framework must see an outcome, never the exception."""

        def boom() -> str:
            raise error

        scenario, result = await bench.complete(
            calls(call("boom")), answer("Well then."), tools=[make_tool(boom, "boom", is_async=is_async)]
        )
        assert result.output == "Well then."
        assert scenario.tool_results() == [f"Error in tool 'boom': {text}"]
        [record] = result.tool_calls
        assert (record.ok, record.reached, record.received) == (False, True, {})
        assert error_kind(record.error) == "tool_error"
        assert [error.kind for error in result.errors] == ["tool_error"]

    async def test_an_async_tool_that_takes_too_long(self, bench: ContractBench) -> None:
        """The tool's own timeout stops it, and the model is told."""
        held = HeldTool()
        slow = tool(held.tool.handler, name="hold", timeout=0.05)
        scenario, result = await bench.complete(calls(call("hold", {"n": 1})), answer("Well then."), tools=[slow])
        _timed_out(scenario, "hold", "and was stopped")
        assert (held.started, held.cancelled) == (1, 1)
        assert result.errors[0].kind == "timeout"

    async def test_a_sync_tool_that_takes_too_long(self, bench: ContractBench) -> None:
        """The model is told although its thread runs on; the result names the thread."""
        held = HangingTool()
        slow = tool(held.tool.handler, name="hang", timeout=0.05)
        scenario = bench.scenario(calls(call("hang", {"n": 1})), answer("Well then."), tools=[slow])
        try:
            result = await scenario.completes()
        finally:
            held.release.set()
        _timed_out(scenario, "hang", "cannot be stopped, and may still take effect")
        assert error_kind(result.tool_calls[0].error) == "timeout"
        assert any("abandoned" in error.message and "'hang'" in error.message for error in result.errors)

    @async_and_sync
    async def test_context_variables_of_the_caller(self, bench: ContractBench, is_async: bool) -> None:
        """A context variable that the caller has set is seen inside tools: no framework thread or task may lose it."""
        scenario = bench.scenario(
            calls(call("who"), call("who")),
            answer("{0} {1}", (0, 0), (0, 1)),
            tools=[make_tool(_tenant, "who", is_async=is_async)],
        )
        outputs = await asyncio.gather(*(_as_tenant(scenario, name) for name in ("ada", "bob")))
        assert outputs == ["ada ada", "bob bob"]

    @async_and_sync
    async def test_the_tool_context(self, bench: ContractBench, is_async: bool) -> None:
        """A parameter typed `ToolContext` is filled in, and hidden from the model."""
        seen: list[ToolContext] = []

        def where(x: int, context: ToolContext) -> int:
            seen.append(context)
            return x

        scenario = bench.scenario(
            calls(call("where", {"x": 1})),
            calls(call("where", {"x": 2})),
            answer("Done."),
            tools=[make_tool(where, "where", is_async=is_async)],
        )
        result = await scenario.completes(run_id="run-7")
        assert [(it.run_id, it.step, it.tool) for it in seen] == [("run-7", 0, "where"), ("run-7", 1, "where")]
        assert [it.call_id for it in seen] == [record.id for record in result.tool_calls]
        assert list(scenario.sent[0]["tools"][0]["function"]["parameters"]["properties"]) == ["x"]


async def _give(
    bench: ContractBench, value: object, *, is_async: bool = True, max_result_chars: int | None = None
) -> tuple[Scenario, RunResult]:
    """Complete a run in which the model calls a tool that returns the value."""

    def give() -> Any:
        return value

    return await bench.complete(
        calls(call("give")),
        answer("Done."),
        tools=[make_tool(give, "give", is_async=is_async, max_result_chars=max_result_chars)],
    )


@tool(name="map")
async def _map(of: str) -> list[str | ImagePart | FilePart]:
    await asyncio.sleep(0.02 if of == "Oslo" else 0)  # so that it ends after the calls that follow it
    data = of.encode()
    return [of, ImagePart.from_bytes(data), FilePart.from_bytes(data[:2], "application/x-map", f"{of}.bin")]


@tool(name="size")
async def _size() -> int:
    return 7


def _attached(call_id: str, city: str) -> list[JsonObject]:
    """Return what a user message holds of a call of `map`: the image, and not the file, which it does not take."""
    heading = f"Images and files in the result of tool 'map' (call {call_id}), in their order:"
    return [
        {"type": "text", "text": heading},
        {"type": "image_url", "image_url": {"url": ImagePart.from_bytes(city.encode()).url}},
    ]


async def _map_cities(
    bench: ContractBench, parts: ResultParts, *answers: JsonObject, stream: bool = False
) -> tuple[Scenario, RunResult]:
    """Complete a run with the tools `map` and `size`, on a server that takes images and files in these messages."""
    return await bench.complete(*answers, tools=[_map, _size], result_parts=parts, stream=stream or None)


def _tenant() -> str:
    return tenant.get()


async def _as_tenant(scenario: Scenario, name: str) -> str | None:
    tenant.set(name)  # in the task of this call alone
    return (await scenario.completes()).output


def _timed_out(scenario: Scenario, name: str, end: str) -> None:
    [text] = scenario.tool_results()
    assert text.startswith(f"Error in tool {name!r}: it did not finish within 0.05 seconds")
    assert text.endswith(f"{end}.")

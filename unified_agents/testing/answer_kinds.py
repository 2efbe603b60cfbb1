"""The contract: what each kind of answer means for a run, however servers write it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from unified_agents.backend import Capability
from unified_agents.config import ModelConfig, ModelParameters
from unified_agents.errors import ContentFilterError, ErrorKind, RefusalError, RunError
from unified_agents.events import ModelCallCompleted
from unified_agents.messages import JsonObject
from unified_agents.testing.contract import Contract, needs, whole_and_streamed
from unified_agents.testing.harness import MODEL_NAME, ContractBench, Scenario, answer, fault
from unified_agents.testing.tools import RecordingTool
from unified_agents.wire.local_upstream import Reply

REFUSED = {"content": None, "refusal": "I cannot help with that."}
SCHEMA: JsonObject = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}


NATIVE_FAULTS: list[tuple[JsonObject, ErrorKind]] = [
    ({"status": 401}, "auth"),
    ({"status": 404}, "bad_request"),
    ({"status": 429, "retry_after": 0.01}, "rate_limit"),
    ({"status": 503, "retry_after": 0.01}, "server"),
    ({"disconnect": True}, "network"),
    ({"html": True}, "bad_response"),
]


class Town(BaseModel):
    """A form that an answer is asked for in."""

    name: str


_HEAD: JsonObject = {"id": "chatcmpl-1", "created": 1, "model": MODEL_NAME}


class _Choices:
    """A model whose answers are choices in the words of Chat Completions, one list of them after the other.

    Args:
        answers: The choices of each answer.
        head: What stands beside them. A framework that gets it itself may not read on without it.
    """

    def __init__(self, *answers: list[JsonObject], head: JsonObject) -> None:
        self._answers = list(answers)
        self._head = head

    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        choices = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        numbered = [{"index": index, **choice} for index, choice in enumerate(choices)]
        if not request.get("stream"):
            return Reply(200, "application/json", chunks=(json.dumps(self._head | {"choices": numbered}).encode(),))
        chunks = [self._head | {"choices": [_delta(choice)]} for choice in numbered]
        events = (*(json.dumps(chunk) for chunk in chunks), "[DONE]")
        return Reply(200, "text/event-stream", chunks=tuple(f"data: {event}\n\n".encode() for event in events))


def _delta(choice: JsonObject) -> JsonObject:
    message = dict(choice["message"])
    if "tool_calls" in message:
        message["tool_calls"] = [{"index": index, **made} for index, made in enumerate(message["tool_calls"])]
    return {name: value for name, value in choice.items() if name != "message"} | {"delta": message}


def _choice(finish_reason: str | None = "stop", **message: Any) -> JsonObject:
    return {"message": {"role": "assistant", **message}, "finish_reason": finish_reason}


def _asks(finish_reason: str | None = "tool_calls", **more: Any) -> JsonObject:
    made = {"id": "call_1", "type": "function", "function": {"name": "take", "arguments": '{"x": 1}'}}
    return _choice(finish_reason, content=None, tool_calls=[made], **more)


def _scenario(bench: ContractBench, *answers: list[JsonObject], stream: bool, **options: Any) -> Scenario:
    is_native = options.get("handling") == "native"
    url = bench.server.add(_Choices(*answers, head=_HEAD if is_native else {}))
    model = ModelConfig(name=MODEL_NAME, base_url=url, parameters=ModelParameters(stream=stream))
    return Scenario(bench.agent(model, **options), url, bench.server)


class AnswerKindContract(Contract):
    """Refusals, filters, and answers in the words of one server alone: each means the same on every backend."""

    @whole_and_streamed
    async def test_the_words_of_a_refusal(self, bench: ContractBench, stream: bool) -> None:
        """A refusal is an answer: its words are the output, and the event's finish reason says what they are."""
        scenario = _scenario(bench, [_choice(**REFUSED)], stream=stream)
        result = await scenario.completes()
        assert result.output == REFUSED["refusal"]
        assert len(scenario.sent) == 1
        events = await scenario.events()
        assert [event.finish_reason for event in events if isinstance(event, ModelCallCompleted)] == ["refusal"]

    @whole_and_streamed
    async def test_a_refusal_where_a_form_is_asked_for(self, bench: ContractBench, stream: bool) -> None:
        """With `output_type` a refusal ends the run with its own error, at once; no framework parses its words."""
        scenario = _scenario(bench, [_choice(**REFUSED)], stream=stream, output_type=Town)
        error = await scenario.fails(RefusalError)
        assert (error.kind, len(scenario.sent)) == ("refusal", 1)
        assert str(REFUSED["refusal"]) in str(error)

    @whole_and_streamed
    async def test_an_answer_that_a_filter_broke_off(self, bench: ContractBench, stream: bool) -> None:
        """It ends the run with its own error, at once; what came before it stays in the messages of the result."""
        scenario = _scenario(bench, [_choice("content_filter", content="Half a sen")], stream=stream)
        error = await scenario.fails(ContentFilterError)
        assert (error.kind, len(scenario.sent)) == ("content_filter", 1)
        assert error.result is not None
        assert error.result.messages[-1].content == "Half a sen"

    @whole_and_streamed
    async def test_an_answer_that_the_provider_broke_off(self, bench: ContractBench, stream: bool) -> None:
        """An answer whose finish reason is a failure is thrown away, and the request is sent once more."""
        broken = _choice("error", content="Half a sen")
        scenario = _scenario(bench, [broken], [_choice(content="Yes.")], stream=stream)
        result = await scenario.completes()
        assert (result.output, result.retries) == ("Yes.", 1)

    @whole_and_streamed
    @pytest.mark.parametrize(
        "choices",
        [
            [_choice("eos", content="Yes.")],
            [_choice(None, content="Yes.")],
            [_choice(content=[{"type": "text", "text": "Yes."}])],
            [_choice(content="Yes.", reasoning_content="Hm.", refusal=None, tool_calls=[], further={"a": 1})],
        ],
        ids=["other finish reason", "no finish reason", "text in parts", "further fields"],
    )
    async def test_a_text_in_other_words(self, bench: ContractBench, stream: bool, choices: list[JsonObject]) -> None:
        """A framework reads a normalised answer, whatever dialect of Chat Completions the server speaks."""
        result = await _scenario(bench, choices, stream=stream).completes()
        assert (result.output, result.requests) == ("Yes.", 1)

    @needs(Capability.TOOLS)
    @whole_and_streamed
    @pytest.mark.parametrize(
        "choices",
        [[_asks("stop")], [_asks(None)], [_asks("function_call")], [_choice(content="I look."), _asks()]],
        ids=["finish reason stop", "no finish reason", "older finish reason", "second choice"],
    )
    async def test_a_call_in_other_words(self, bench: ContractBench, stream: bool, choices: list[JsonObject]) -> None:
        """A call runs once, under its id, wherever it stands and whatever the finish reason says."""
        take = RecordingTool("take", SCHEMA, returns="taken")
        scenario = _scenario(bench, choices, [_choice(content="Done.")], stream=stream, tools=[take.tool])
        result = await scenario.completes()
        assert (result.output, take.received) == ("Done.", [{"x": 1}])
        assert [record.id for record in result.tool_calls] == ["call_1"]
        assert scenario.tool_results() == ["taken"]

    @needs(Capability.TOOLS)
    @whole_and_streamed
    async def test_calls_of_an_answer_that_a_filter_broke_off(self, bench: ContractBench, stream: bool) -> None:
        """No call of such an answer runs."""
        take = RecordingTool("take", SCHEMA, returns="taken")
        scenario = _scenario(bench, [_asks("content_filter")], stream=stream, tools=[take.tool])
        error = await scenario.fails(ContentFilterError)
        assert (error.kind, len(scenario.sent), take.received) == ("content_filter", 1, [])


class NativeErrorContract(Contract, needs=(Capability.NATIVE,)):
    """Under `native` a failure of the model has the kind that it has under `unified`."""

    @whole_and_streamed
    async def test_native_answer_that_a_filter_broke_off(self, bench: ContractBench, stream: bool) -> None:
        """It is no completed run, even where the framework takes what came for an answer."""
        broken = [_choice("content_filter", content="Half a sen")]
        error = await _scenario(bench, broken, stream=stream, handling="native").fails(ContentFilterError)
        assert error.kind == "content_filter"

    @whole_and_streamed
    @pytest.mark.parametrize(("what", "kind"), NATIVE_FAULTS, ids=str)
    async def test_native_errors_by_kind(
        self, bench: ContractBench, stream: bool, what: JsonObject, kind: ErrorKind
    ) -> None:
        """`NativeAgent.translate` knows the errors of the framework's client; its own retries are its affair."""
        scenario = bench.scenario(fault(**what, times=99), answer("Yes."), stream=stream, handling="native")
        error = await scenario.fails(RunError)
        assert error.kind == kind

"""What a provider gives to be given back stands, byte for byte, in the next request: each kind, on every backend."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from tests.support import BACKENDS, CUSTOM_AND_OTHERS_IN_THE_PROOF, add, make_script
from unified_agents import Limits, Message, ModelConfig, RunError, RunResult, ScriptedModel, create_agent
from unified_agents.config.providers import PROTOCOL_TITLES
from unified_agents.scripted.provider_forms import ProviderModel
from unified_agents.scripted.rendering.chat_completions import error_reply
from unified_agents.scripted.server import ScriptServer
from unified_agents.wire import conversation
from unified_agents.wire.local_upstream import Reply

OPAQUE = ("reasoning_content", "encrypted_content", "signature", "thoughtSignature")
_FIELDS = re.compile(rb'"(?:%s)": ?"([^"]+)"' % "|".join(OPAQUE).encode())
FAULT = {"fault": {"status": 500, "message": "once"}}


def values(raw: bytes) -> list[bytes]:
    """Return the values of all opaque fields in a body or a stream, each once, in their order."""
    return list(dict.fromkeys(_FIELDS.findall(raw)))


class Sum(BaseModel):
    """The form of an answer."""

    sum: int


class Recorder(ProviderModel):
    """A strict scripted model that keeps the opaque values of its answers, and demands them on Chat Completions too.

    Attributes:
        given: The values of each answer.
    """

    def __init__(self, *answers: Any) -> None:
        super().__init__(ScriptedModel(make_script(*answers)), strict=True)
        self.given: list[list[bytes]] = []

    def _kept(self, reply: Reply) -> Reply:
        if reply.status == 200:
            self.given.append(values(b"".join(reply.chunks)))
        return reply

    def reply_at(self, path: str, body: Mapping[str, Any], key: str = "") -> Reply:
        return self._kept(super().reply_at(path, body, key))

    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        turns = [message for message in request["messages"] if message["role"] == "assistant"]
        if not all(turn.get("reasoning_content") for turn in turns):
            # Source: https://api-docs.deepseek.com/guides/thinking_mode.
            return error_reply(400, "The reasoning_content in the thinking mode must be passed back to the API.")
        return self._kept(super().reply(request, key))


def step(number: int) -> dict[str, Any]:
    calls = [{"name": "add", "arguments": {"a": number, "b": index}} for index in range(2)]
    return {"tool_calls": calls, "text": f"Step {number}.", "reasoning": f"Thought number {number} of the run."}


def final(text: str = "Done.", thought: str = "Nothing is left to do.") -> dict[str, Any]:
    return {"text": text, "reasoning": thought}


class Conversation:
    """An agent on a recorder, and the check of what it sent."""

    def __init__(self, server: ScriptServer, backend: str, protocol: Any, stream: bool, *answers: Any) -> None:
        self.model = Recorder(*answers)
        self._server, self._backend, self._stream = server, backend, stream
        self.url = server.add(self.model)
        thinks = {"reasoning": {"budget": 2048}} if protocol == "messages" else {}
        self._config = ModelConfig(
            name="gemini-3-pro",
            base_url=self.url,
            protocol=protocol,
            parameters={"stream": stream, **thinks},
            policy={"wait_initial": 0.01, "jitter": 0},
        )

    async def run(self, task: Any = "Go.", **options: Any) -> RunResult:
        async with create_agent(backend=self._backend, model=self._config, tools=[add], **options) as agent:
            return await agent.run(task)

    def check(self, requests: int) -> None:
        """Check that each request holds the values of all answers before it, and no others."""
        sent = [values(request.raw) for request in self._server.requests(self.url)]
        assert len(sent) == requests
        assert all(self.model.given)
        so_far: list[bytes] = []
        answers = iter(self.model.given)
        for number, found in enumerate(sent):
            assert found == list(dict.fromkeys(so_far)), f"request {number}"
            if (number + 1 < len(sent) and sent[number + 1] != found) or number + 1 == len(sent):
                so_far += next(answers)
        assert next(answers, None) is None


both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
on_every_backend = pytest.mark.parametrize("backend", BACKENDS)
on_custom_and_in_the_proof_on_every_backend = pytest.mark.parametrize("backend", CUSTOM_AND_OTHERS_IN_THE_PROOF)
over_every_protocol = pytest.mark.parametrize("protocol", PROTOCOL_TITLES)


@both
@pytest.mark.parametrize("steps", [3, *(pytest.param(steps, marks=pytest.mark.proof) for steps in (1, 20))])
@over_every_protocol
@on_every_backend
async def test_a_run_with_a_retry_and_a_second_turn(
    server: ScriptServer, backend: str, protocol: str, steps: int, stream: bool
) -> None:
    answers = [step(number) for number in range(steps)]
    talk = Conversation(server, backend, protocol, stream, *answers[:-1], FAULT, answers[-1], final())
    result = await talk.run()
    assert (result.status, result.output, len(result.tool_calls)) == ("completed", "Done.", 2 * steps)
    assert {call.status for call in result.model_calls} == {200, 500}
    talk.check(steps + 2)
    stored = [Message.model_validate_json(message.model_dump_json()) for message in result.messages]
    again = await talk.run([*stored, Message(role="user", content="And again.")])
    assert [call.status for call in again.model_calls] == [200] * (steps + 1)
    sent = [values(request.raw) for request in server.requests(talk.url)]
    before = list(dict.fromkeys(value for answer in talk.model.given[: steps + 1] for value in answer))
    assert sent[steps + 2][: len(before)] == before
    assert sent[-1] == list(dict.fromkeys(value for answer in talk.model.given[:-1] for value in answer))


@both
@over_every_protocol
@on_custom_and_in_the_proof_on_every_backend
async def test_a_repair(server: ScriptServer, backend: str, protocol: str, stream: bool) -> None:
    right = {"text": '{"sum": 1}', "reasoning": "In the right form now."}
    talk = Conversation(server, backend, protocol, stream, step(0), final("no form"), right)
    result = await talk.run(output_type=Sum)
    assert result.value == Sum(sum=1)
    assert [call.status for call in result.model_calls] == [200] * 3
    sent = [values(request.raw) for request in server.requests(talk.url)]
    assert sent[-1] == [value for answer in talk.model.given[:2] for value in answer]


@both
@over_every_protocol
@on_custom_and_in_the_proof_on_every_backend
async def test_the_last_answer_at_a_limit(server: ScriptServer, backend: str, protocol: str, stream: bool) -> None:
    talk = Conversation(server, backend, protocol, stream, step(0), step(1), final("So far."))
    result = await talk.run(limits=Limits(max_steps=2, on_limit="answer"))
    assert (result.status, result.output) == ("limit", "So far.")
    talk.check(3)


@pytest.mark.parametrize("field", OPAQUE)
@over_every_protocol
async def test_a_field_that_is_dropped_is_refused(
    server: ScriptServer, protocol: str, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: each of the servers notices when one kind of field is missing."""
    kept = conversation.body_for

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: without(part) for name, part in value.items() if name != field}
        return list(map(without, value)) if isinstance(value, list) else value

    monkeypatch.setattr(conversation, "body_for", lambda *arguments: without(kept(*arguments)))
    talk = Conversation(server, "custom", protocol, False, step(0), step(1), final())
    result: RunResult | None
    try:
        result = await talk.run()
    except RunError as error:
        result = error.result
    assert result is not None
    own = {"chat_completions": 0, "responses": 1, "messages": 2, "generate_content": 3}[protocol]
    assert (400 in [call.status for call in result.model_calls]) == (field == OPAQUE[own])

"""The contract: a model's server that fails, for a while or for good."""

from __future__ import annotations

import asyncio
import json
import logging
import socket

import pytest

from unified_agents.backend import Capability
from unified_agents.config import ModelConfig
from unified_agents.errors import (
    AuthenticationError,
    BadRequestError,
    BadResponseError,
    ConfigError,
    ModelTimeoutError,
    NetworkError,
    ServerError,
)
from unified_agents.messages import JsonObject
from unified_agents.result import RunResult
from unified_agents.testing.contract import Contract, either_way
from unified_agents.testing.harness import MODEL_NAME, Bench, Stage, add, call, calls, fault, say

SECRET = "sk-contract-0123456789"  # noqa: S105  # of a test server
UNUSABLE = ["empty_choices", "html", "not_json", "empty_answer"]


class FailureContract(Contract):
    """One layer of retries, on the wire: the framework's and the client's own must be off."""

    @either_way
    async def test_a_refused_key(
        self, bench: Bench, stream: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """401 ends the run with one request; the error names the key's variable, and the key stands nowhere."""
        monkeypatch.setenv("CONTRACT_KEY", SECRET)
        caplog.set_level(logging.DEBUG)
        refused = fault(status=401, message=f"Incorrect API key provided: {SECRET}.", times=9)
        stage = bench.stage(refused, say("Yes."), api_key_env="CONTRACT_KEY", stream=stream)
        error = await stage.fails(AuthenticationError, record_exchanges=True)
        assert error.kind == "auth"
        assert len(stage.sent) == 1
        assert "CONTRACT_KEY" in str(error)
        assert error.result is not None
        assert SECRET not in str(error)
        assert SECRET not in repr(error)
        assert SECRET not in json.dumps(error.result.to_dict())
        assert SECRET not in caplog.text

    async def test_no_key(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """A key that is not set is told before anything is sent."""
        monkeypatch.delenv("CONTRACT_KEY", raising=False)
        with pytest.raises(ConfigError, match="CONTRACT_KEY"):
            bench.stage(say("Yes."), api_key_env="CONTRACT_KEY")

    @either_way
    async def test_a_refused_request(self, bench: Bench, stream: bool) -> None:
        """400 ends the run with one request, and the server's own message."""
        stage = bench.stage(fault(status=400, message="the frobnicator is bent", times=9), say("Yes."), stream=stream)
        error = await stage.fails(BadRequestError)
        assert error.kind == "bad_request"
        assert "the frobnicator is bent" in str(error)
        assert len(stage.sent) == 1

    @either_way
    @pytest.mark.parametrize("status", [429, 500, 503])
    async def test_refused_twice(self, bench: Bench, status: int, stream: bool) -> None:
        """A rate limit, or a failing server, is tried again after the time that the server asks for."""
        stage = bench.stage(fault(status=status, retry_after=0.01, times=2), say("Yes."), stream=stream)
        result = await stage.completes()
        assert result.output == "Yes."
        assert (len(stage.sent), result.requests, result.retries) == (3, 3, 2)
        assert not result.errors

    async def test_broken_connections(self, bench: Bench) -> None:
        """A connection that breaks before any byte is made anew."""
        stages = [bench.stage(fault(disconnect=True, times=2), say("Yes."), stream=stream) for stream in (False, True)]
        for stage, result in zip(stages, await _gather(stages), strict=True):
            assert (result.output, len(stage.sent), result.retries) == ("Yes.", 3, 2)

    @either_way
    async def test_a_server_that_always_fails(self, bench: Bench, stream: bool) -> None:
        """Four requests in all, then the error: more would mean that the framework retries too."""
        stage = bench.stage(
            fault(status=500, retry_after=0.01, message="on fire", times=99), say("Yes."), stream=stream
        )
        error = await stage.fails(ServerError)
        assert error.kind == "server"
        assert "on fire" in str(error)
        assert len(stage.sent) == 4
        assert error.result is not None
        assert (error.result.requests, error.result.retries) == (4, 3)

    @pytest.mark.parametrize("what", UNUSABLE)
    async def test_an_unusable_answer_once(self, bench: Bench, what: str) -> None:
        """An answer that is none is asked for once more."""
        stages = [bench.stage(fault(**{what: True}), say("Yes."), stream=stream) for stream in (False, True)]
        for stage, result in zip(stages, await _gather(stages), strict=True):
            assert (result.output, len(stage.sent), result.retries) == ("Yes.", 2, 1)

    @pytest.mark.parametrize("what", UNUSABLE)
    async def test_unusable_answers_for_ever(self, bench: Bench, what: str) -> None:
        """Two requests, then the error: no framework may take it for an empty answer."""
        stages = [bench.stage(fault(**{what: True}, times=99), say("Yes."), stream=stream) for stream in (False, True)]
        errors = await asyncio.gather(*(stage.fails(BadResponseError) for stage in stages))
        assert [error.kind for error in errors] == ["bad_response"] * 2
        assert [len(stage.sent) for stage in stages] == [2, 2]

    async def test_cut_answers(self, bench: Bench) -> None:
        """An answer that breaks off in its middle is thrown away, and asked for once more."""
        words = " ".join(str(number) for number in range(200))
        stages = [bench.stage(fault(truncate=True), say(words), stream=stream) for stream in (False, True)]
        for stage, result in zip(stages, await _gather(stages), strict=True):
            assert (result.output, len(stage.sent), result.retries) == (words, 2, 1)

    async def test_connection_cut_after_the_end(self, bench: Bench) -> None:
        """A stream is whole when its end mark has come, whatever becomes of the connection then."""
        stage = bench.stage(say("Yes, of course."), stream=True, cut_after_the_end=True)
        result = await stage.completes()
        assert (result.output, len(stage.sent), result.retries) == ("Yes, of course.", 1, 0)

    async def test_a_server_that_stalls(self, bench: Bench) -> None:
        """The model's own timeout holds; one more try gets more time."""
        stages = [
            bench.stage(fault(stall=True, times=99), say("Yes."), stream=stream, timeout=0.1)
            for stream in (False, True)
        ]
        errors = await asyncio.gather(*(stage.fails(ModelTimeoutError) for stage in stages))
        assert [error.kind for error in errors] == ["timeout"] * 2
        assert [len(stage.sent) for stage in stages] == [2, 2]

    async def test_a_server_that_is_not_there(self, bench: Bench) -> None:
        """A server that cannot be reached is a network error, which names the server."""
        url = f"http://127.0.0.1:{_closed_port()}/v1"
        stage = Stage(bench.agent(ModelConfig(name=MODEL_NAME, base_url=url)), url, bench.server)
        error = await stage.fails(NetworkError)
        assert error.kind == "network"
        assert "127.0.0.1" in str(error)


class LateFailureContract(Contract, needs=(Capability.TOOLS,)):
    """Failures after the run has come some way."""

    @either_way
    async def test_what_was_done_is_kept(self, bench: Bench, stream: bool) -> None:
        """The result of an error holds the steps so far, their messages and their trace."""
        stage = bench.stage(
            calls(call("add", {"a": 1, "b": 2})),
            fault(status=400, message="no", times=9),
            say("3"),
            tools=[add],
            stream=stream,
        )
        error = await stage.fails(BadRequestError)
        assert error.result is not None
        assert error.result.trace.shape() == "invoke_agent(chat, execute_tool add, chat)"
        assert [record.content for record in error.result.tool_calls] == ["3"]
        assert [message.role for message in error.result.messages] == ["user", "assistant", "tool"]
        assert error.result.output is None
        assert error.result.usage.input_tokens

    @pytest.mark.parametrize(
        "what", [{"status": 429, "retry_after": 0.01}, {"empty_choices": True}, {"truncate": True}], ids=str
    )
    async def test_a_retry_repeats_no_tool(self, bench: Bench, what: JsonObject) -> None:
        """A later request that is tried again runs no tool twice, and is the same request."""
        seen = []

        async def note(x: int) -> int:
            seen.append(x)
            return x

        stage = bench.stage(calls(call("note", {"x": 1})), fault(**what), say("Done."), tools=[note])
        result = await stage.completes()
        assert seen == [1]
        assert (len(stage.sent), result.retries) == (3, 1)
        assert stage.sent[1] == stage.sent[2]


async def _gather(stages: list[Stage]) -> list[RunResult]:
    return list(await asyncio.gather(*(stage.completes() for stage in stages)))


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

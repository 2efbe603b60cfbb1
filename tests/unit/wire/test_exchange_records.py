"""The record of an exchange: four texts, each in the exchange that it belongs to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import httpx

from unified_agents.config import Limits, ModelConfig
from unified_agents.run.context import Run, current_run
from unified_agents.run.measurements import Measurements
from unified_agents.tools.offer import INVALID_CALL_TOOL, Offer
from unified_agents.tracing.live import LiveTrace
from unified_agents.wire.endpoint import ModelEndpoint
from unified_agents.wire.httpx_transport import async_client
from unified_agents.wire.local_upstream import LocalUpstream, Reply
from unified_agents.wire.unified import Wire

UNKNOWN_CALL = {"id": "c", "type": "function", "function": {"name": "no_such_tool", "arguments": "{}"}}


class EarlyAndLate:
    """A model that answers the first request with a call of an unknown tool, and the others later and with a text."""

    def __init__(self) -> None:
        self._asked = 0

    def reply(self, request: Mapping[str, object], key: str = "") -> Reply:
        early, self._asked = not self._asked, self._asked + 1
        message = {"role": "assistant", "content": None if early else "x"} | (
            {"tool_calls": [UNKNOWN_CALL]} if early else {}
        )
        body = {"id": "a", "object": "chat.completion", "choices": [{"index": 0, "message": message}]}
        return Reply(200, "application/json", {}, (json.dumps(body).encode(),), delay=0.05 if early else 0.2)

    def forget(self, key: str) -> None:
        """Keep nothing."""


def recording_run() -> Run:
    trace = LiveTrace()
    return Run(
        id="r",
        backend="custom",
        handling="unified",
        limits=Limits(),
        messages=(),
        trace=trace,
        root=trace.open("invoke_agent", {}, None),
        offer=Offer([]),
        measurements=Measurements(exchanges=[]),
    )


async def ask(client: httpx.AsyncClient, text: str) -> bytes:
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    return (await client.post("http://model/v1/chat/completions", json=body)).content


async def test_what_a_framework_got_is_kept_with_its_own_exchange_when_another_is_under_way() -> None:
    run = recording_run()
    model = ModelConfig(name="m", base_url="http://model/v1")
    current_run.set(run)
    async with async_client(Wire([ModelEndpoint(model, LocalUpstream(EarlyAndLate()))])) as client:
        early, late = await asyncio.gather(ask(client, "early"), ask(client, "late"))
    assert INVALID_CALL_TOOL.encode() in early
    assert [record.returned for record in run.measurements.exchanges or ()] == [early, late]

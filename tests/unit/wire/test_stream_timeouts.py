"""Pieces of an answer that come too slowly."""

from __future__ import annotations

from typing import Any

import pytest

from unified_agents import ModelConfig, ModelTimeoutError, Script, create_agent
from unified_agents.config import ModelParameters, ModelPolicy
from unified_agents.scripted.server import ScriptServer
from unified_agents.wire.local_upstream import Reply


@pytest.mark.parametrize("pause", [0.0, 60.0])
async def test_a_pause_meets_the_timeout_between_pieces(pause: float) -> None:
    fault: list[dict[str, Any]] = [{"fault": {"pause": pause}}] if pause else []
    script = Script.model_validate({"answers": [*fault, {"text": "hello there"}]})
    async with ScriptServer() as server:
        model = ModelConfig(
            name="m",
            base_url=server.add(script),
            token_timeout=0.2,
            parameters=ModelParameters(stream=True),
            policy=ModelPolicy(attempts={}),
        )
        agent = create_agent(model=model)
        try:
            if pause:
                with pytest.raises(ModelTimeoutError, match="went silent"):
                    await agent.run("q")
            else:
                assert (await agent.run("q")).output == "hello there"
        finally:
            await agent.aclose()


async def test_what_keeps_the_connection_alive_shortens_no_patience() -> None:
    event = b'data: {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}\n\n'

    class Slow:
        def reply(self, request: object, key: str = "") -> Reply:
            return Reply(200, "text/event-stream", chunks=(b": working\n\n", b": still\n\n", event), pause=0.4)

        def forget(self, key: str) -> None:
            """Nothing is kept."""

    async with ScriptServer() as server:
        parameters = ModelParameters(stream=True)
        model = ModelConfig(name="m", base_url=server.add(Slow()), token_timeout=0.2, parameters=parameters)
        agent = create_agent(model=model.model_copy(update={"policy": ModelPolicy(attempts={})}))
        assert (await agent.run("q")).output == "hi"
        await agent.aclose()

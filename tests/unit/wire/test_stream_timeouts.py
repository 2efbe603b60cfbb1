"""Pieces of an answer that come too slowly."""

from __future__ import annotations

from typing import Any

import pytest

from unified_agents import ModelConfig, ModelTimeoutError, Script, create_agent
from unified_agents.config import ModelParameters, ModelPolicy
from unified_agents.scripted.server import ScriptServer


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

"""The agent that users meet."""

from unified_agents.agent.create import (
    Agent,
    EventStream,
    ToolLike,
    create_agent,
)

__all__ = [
    "Agent",
    "EventStream",
    "ToolLike",
    "create_agent",
]

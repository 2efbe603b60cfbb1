"""`create_agent`, and the one `Agent` class over all backends."""

from unified_agents.agent.create import ToolLike, create_agent
from unified_agents.agent.protocol import Agent, EventStream

__all__ = ["Agent", "EventStream", "ToolLike", "create_agent"]

"""The agent that users hold: one class over every backend."""

from unified_agents.agent.create import ToolLike, create_agent
from unified_agents.agent.protocol import Agent, EventStream

__all__ = ["Agent", "EventStream", "ToolLike", "create_agent"]

"""The agent that users hold: its protocol, how it is made, and its one implementation over every backend."""

from unified_agents.agent.create import create_agent
from unified_agents.agent.protocol import Agent, EventStream
from unified_agents.catalogue.catalogue import ToolLike

__all__ = ["Agent", "EventStream", "ToolLike", "create_agent"]

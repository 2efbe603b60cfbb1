"""One `Agent` interface and one set of tools over several agent frameworks.

Everything that is public stands here, and is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unified_agents.agent import Agent, EventStream, create_agent
    from unified_agents.backend import AgentSpec, Backend, BoundTool, Capability, NativeAgent, ToolOutcome
    from unified_agents.config import AgentConfig, Limits, ModelConfig, ModelParameters, load_config
    from unified_agents.errors import (
        AuthenticationError,
        BackendBrokenError,
        BackendError,
        BackendNotInstalledError,
        BadRequestError,
        BadResponseError,
        ConfigError,
        ErrorRecord,
        InvalidInputError,
        LimitError,
        ModelError,
        ModelTimeoutError,
        NetworkError,
        RateLimitError,
        RunError,
        ServerError,
        ToolCallError,
        ToolDefinitionError,
        ToolFailedError,
        ToolNotFoundError,
        ToolTimeoutError,
        UnifiedAgentsError,
        UnknownBackendError,
        UnsupportedCapabilityError,
    )
    from unified_agents.events import (
        AttemptDiscarded,
        Event,
        ModelCallCompleted,
        ModelCallFailed,
        ModelCallStarted,
        RunEnded,
        RunStarted,
        TextDelta,
        ToolCallCompleted,
        ToolCallFailed,
        ToolCallStarted,
    )
    from unified_agents.messages import Message, ToolCall, Usage
    from unified_agents.registry import BackendInfo, backend_info, backend_names
    from unified_agents.run.result import Exchange, RunResult, Timing, ToolCallRecord
    from unified_agents.tools.definition import Tool, ToolContext, tool
    from unified_agents.tracing.spans import Span
    from unified_agents.wire.script import Script, ScriptedModel

_HOMES = {
    "agent": ("Agent", "EventStream", "create_agent"),
    "backend": ("AgentSpec", "Backend", "BoundTool", "Capability", "NativeAgent", "ToolOutcome"),
    "config": ("AgentConfig", "Limits", "ModelConfig", "ModelParameters", "load_config"),
    "errors": (
        "AuthenticationError",
        "BackendBrokenError",
        "BackendError",
        "BackendNotInstalledError",
        "BadRequestError",
        "BadResponseError",
        "ConfigError",
        "ErrorRecord",
        "InvalidInputError",
        "LimitError",
        "ModelError",
        "ModelTimeoutError",
        "NetworkError",
        "RateLimitError",
        "RunError",
        "ServerError",
        "ToolCallError",
        "ToolDefinitionError",
        "ToolFailedError",
        "ToolNotFoundError",
        "ToolTimeoutError",
        "UnifiedAgentsError",
        "UnknownBackendError",
        "UnsupportedCapabilityError",
    ),
    "events": (
        "AttemptDiscarded",
        "Event",
        "ModelCallCompleted",
        "ModelCallFailed",
        "ModelCallStarted",
        "RunEnded",
        "RunStarted",
        "TextDelta",
        "ToolCallCompleted",
        "ToolCallFailed",
        "ToolCallStarted",
    ),
    "messages": ("Message", "ToolCall", "Usage"),
    "registry": ("BackendInfo", "backend_info", "backend_names"),
    "run.result": ("Exchange", "RunResult", "Timing", "ToolCallRecord"),
    "tools.definition": ("Tool", "ToolContext", "tool"),
    "tracing.spans": ("Span",),
    "wire.script": ("Script", "ScriptedModel"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [  # noqa: RUF022  # in the order of their homes
    "Agent",
    "EventStream",
    "create_agent",
    "AgentSpec",
    "Backend",
    "BoundTool",
    "Capability",
    "NativeAgent",
    "ToolOutcome",
    "AgentConfig",
    "Limits",
    "ModelConfig",
    "ModelParameters",
    "load_config",
    "AuthenticationError",
    "BackendBrokenError",
    "BackendError",
    "BackendNotInstalledError",
    "BadRequestError",
    "BadResponseError",
    "ConfigError",
    "ErrorRecord",
    "InvalidInputError",
    "LimitError",
    "ModelError",
    "ModelTimeoutError",
    "NetworkError",
    "RateLimitError",
    "RunError",
    "ServerError",
    "ToolCallError",
    "ToolDefinitionError",
    "ToolFailedError",
    "ToolNotFoundError",
    "ToolTimeoutError",
    "UnifiedAgentsError",
    "UnknownBackendError",
    "UnsupportedCapabilityError",
    "AttemptDiscarded",
    "Event",
    "ModelCallCompleted",
    "ModelCallFailed",
    "ModelCallStarted",
    "RunEnded",
    "RunStarted",
    "TextDelta",
    "ToolCallCompleted",
    "ToolCallFailed",
    "ToolCallStarted",
    "Message",
    "ToolCall",
    "Usage",
    "BackendInfo",
    "backend_info",
    "backend_names",
    "Exchange",
    "RunResult",
    "Timing",
    "ToolCallRecord",
    "Tool",
    "ToolContext",
    "tool",
    "Span",
    "Script",
    "ScriptedModel",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

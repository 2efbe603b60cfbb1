"""One `Agent` interface and one set of tools over several agent frameworks.

Everything that is public stands here, and is loaded when it is first used.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unified_agents.agent import Agent, EventStream, create_agent
    from unified_agents.backend import AgentSpec, Backend, BoundTool, Capability, NativeAgent, ToolOutcome
    from unified_agents.catalogue.catalogue import Catalogue, OpenSource, ToolLike, load_catalogue, open_catalogue
    from unified_agents.catalogue.selection import Bm25Selector, EmbeddingSelector, Selector, ToolIndex
    from unified_agents.config import (
        AgentConfig,
        CatalogueConfig,
        FaultShare,
        Limits,
        ModelConfig,
        ModelParameters,
        ModelPolicy,
        ModelPrice,
        SelectConfig,
        ToolPolicy,
        ToolSource,
        load_config,
    )
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
        RateLimited,
        RateLimitError,
        RunError,
        ServerError,
        ToolCallError,
        ToolDefinitionError,
        ToolFailedError,
        ToolNotFoundError,
        ToolTimeoutError,
        Transient,
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
        ToolCallProgress,
        ToolCallRetried,
        ToolCallStarted,
    )
    from unified_agents.fidelity.report import FidelityReport, StrictFidelity, ToolFidelity, check_tools
    from unified_agents.fidelity.schema_diff import SchemaChange, compare_schemas
    from unified_agents.interop.formats import (
        from_anthropic,
        from_mcp,
        from_openai,
        to_anthropic,
        to_langchain,
        to_llamaindex,
        to_mcp,
        to_openai,
        to_openai_responses,
    )
    from unified_agents.interop.mcp import McpConnection, McpServerConfig
    from unified_agents.interop.openai_strict import Loss, strict_report, strict_schema
    from unified_agents.interop.openai_strict_arguments import from_strict
    from unified_agents.interop.openapi import OpenApiConfig, OpenApiKey, load_openapi
    from unified_agents.messages import Message, ToolCall, Usage
    from unified_agents.registry import BackendInfo, backend_info, backend_names
    from unified_agents.result import Exchange, RunResult, Timing, ToolCallRecord
    from unified_agents.scripted.model import Script, ScriptedModel
    from unified_agents.tools.definition import Tool, ToolContext, tool
    from unified_agents.tools.parts import FilePart, ImagePart, TextPart
    from unified_agents.tracing.spans import Span

_HOMES = {
    "agent": ("Agent", "EventStream", "create_agent"),
    "backend": ("AgentSpec", "Backend", "BoundTool", "Capability", "NativeAgent", "ToolOutcome"),
    "config": (
        "AgentConfig",
        "CatalogueConfig",
        "FaultShare",
        "Limits",
        "ModelConfig",
        "ModelParameters",
        "ModelPolicy",
        "ModelPrice",
        "SelectConfig",
        "ToolPolicy",
        "ToolSource",
        "load_config",
    ),
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
        "RateLimited",
        "RunError",
        "ServerError",
        "ToolCallError",
        "ToolDefinitionError",
        "ToolFailedError",
        "ToolNotFoundError",
        "ToolTimeoutError",
        "Transient",
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
        "ToolCallProgress",
        "ToolCallRetried",
        "ToolCallStarted",
    ),
    "messages": ("Message", "ToolCall", "Usage"),
    "registry": ("BackendInfo", "backend_info", "backend_names"),
    "result": ("Exchange", "RunResult", "Timing", "ToolCallRecord"),
    "catalogue.catalogue": ("Catalogue", "OpenSource", "ToolLike", "load_catalogue", "open_catalogue"),
    "fidelity.report": ("FidelityReport", "StrictFidelity", "ToolFidelity", "check_tools"),
    "tools.definition": ("Tool", "ToolContext", "tool"),
    "fidelity.schema_diff": ("SchemaChange", "compare_schemas"),
    "interop.formats": (
        "from_anthropic",
        "from_mcp",
        "from_openai",
        "to_anthropic",
        "to_langchain",
        "to_llamaindex",
        "to_mcp",
        "to_openai",
        "to_openai_responses",
    ),
    "interop.mcp": ("McpConnection", "McpServerConfig"),
    "tools.parts": ("FilePart", "ImagePart", "TextPart"),
    "catalogue.selection": ("Bm25Selector", "EmbeddingSelector", "Selector", "ToolIndex"),
    "interop.openai_strict": ("Loss", "strict_report", "strict_schema"),
    "interop.openai_strict_arguments": ("from_strict",),
    "interop.openapi": ("OpenApiConfig", "OpenApiKey", "load_openapi"),
    "tracing.spans": ("Span",),
    "scripted.model": ("Script", "ScriptedModel"),
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
    "ModelPolicy",
    "ModelPrice",
    "FaultShare",
    "ToolPolicy",
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
    "RateLimited",
    "RunError",
    "ServerError",
    "ToolCallError",
    "ToolDefinitionError",
    "ToolFailedError",
    "ToolNotFoundError",
    "ToolTimeoutError",
    "Transient",
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
    "ToolCallProgress",
    "ToolCallRetried",
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
    "from_anthropic",
    "from_mcp",
    "from_openai",
    "to_anthropic",
    "to_langchain",
    "to_llamaindex",
    "to_mcp",
    "to_openai",
    "to_openai_responses",
    "McpConnection",
    "McpServerConfig",
    "Loss",
    "strict_report",
    "strict_schema",
    "from_strict",
    "OpenApiConfig",
    "OpenApiKey",
    "load_openapi",
    "Span",
    "Script",
    "ScriptedModel",
    "Catalogue",
    "OpenSource",
    "ToolLike",
    "load_catalogue",
    "open_catalogue",
    "FidelityReport",
    "StrictFidelity",
    "ToolFidelity",
    "check_tools",
    "SchemaChange",
    "compare_schemas",
    "FilePart",
    "ImagePart",
    "TextPart",
    "Bm25Selector",
    "EmbeddingSelector",
    "Selector",
    "ToolIndex",
    "CatalogueConfig",
    "SelectConfig",
    "ToolSource",
]


# A program that sets up no logging is told by errors and results, and not by Python's last resort on standard error.
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

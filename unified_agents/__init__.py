"""One `Agent` interface and one set of tools over several agent frameworks.

All public names can be imported from here. Each is loaded when it is first used.
"""

from __future__ import annotations

import ast
import importlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unified_agents.agent import Agent as Agent, EventStream as EventStream, create_agent as create_agent
    from unified_agents.agent.decisions import (
        Decision as Decision,
        accept as accept,
        approve as approve,
        cancel as cancel,
        decline as decline,
        deny as deny,
        edit as edit,
        finished as finished,
    )
    from unified_agents.agent.replayed_runs import replay_run as replay_run
    from unified_agents.backend import (
        AgentSpec as AgentSpec,
        Backend as Backend,
        BoundTool as BoundTool,
        Capability as Capability,
        NativeAgent as NativeAgent,
        ToolOutcome as ToolOutcome,
    )
    from unified_agents.catalogue.catalogue import (
        Catalogue as Catalogue,
        ToolLike as ToolLike,
        load_catalogue as load_catalogue,
        open_catalogue as open_catalogue,
    )
    from unified_agents.catalogue.selection import (
        Bm25Selector as Bm25Selector,
        EmbeddingSelector as EmbeddingSelector,
        Selector as Selector,
        ToolIndex as ToolIndex,
    )
    from unified_agents.config import (
        AgentConfig as AgentConfig,
        CatalogueConfig as CatalogueConfig,
        FaultShare as FaultShare,
        Limits as Limits,
        MemoryConfig as MemoryConfig,
        ModelConfig as ModelConfig,
        ModelParameters as ModelParameters,
        ModelPolicy as ModelPolicy,
        ModelPrice as ModelPrice,
        SelectConfig as SelectConfig,
        ToolPolicy as ToolPolicy,
        ToolSource as ToolSource,
        load_config as load_config,
    )
    from unified_agents.elicitation import Elicitation as Elicitation, ElicitationAnswer as ElicitationAnswer
    from unified_agents.errors import (
        AuthenticationError as AuthenticationError,
        BackendBrokenError as BackendBrokenError,
        BackendError as BackendError,
        BackendNotInstalledError as BackendNotInstalledError,
        BadRequestError as BadRequestError,
        BadResponseError as BadResponseError,
        ConfigError as ConfigError,
        ContentFilterError as ContentFilterError,
        DivergenceError as DivergenceError,
        ErrorRecord as ErrorRecord,
        InvalidInputError as InvalidInputError,
        JournalError as JournalError,
        LeaseLostError as LeaseLostError,
        LimitError as LimitError,
        ModelError as ModelError,
        ModelTimeoutError as ModelTimeoutError,
        NetworkError as NetworkError,
        RateLimited as RateLimited,
        RateLimitError as RateLimitError,
        RefusalError as RefusalError,
        RunBusyError as RunBusyError,
        RunError as RunError,
        RunNotFoundError as RunNotFoundError,
        ServerError as ServerError,
        ToolCallError as ToolCallError,
        ToolDefinitionError as ToolDefinitionError,
        ToolFailedError as ToolFailedError,
        ToolNotFoundError as ToolNotFoundError,
        ToolTimeoutError as ToolTimeoutError,
        Transient as Transient,
        UnifiedAgentsError as UnifiedAgentsError,
        UnknownBackendError as UnknownBackendError,
        UnsupportedCapabilityError as UnsupportedCapabilityError,
    )
    from unified_agents.events import (
        AttemptDiscarded as AttemptDiscarded,
        Event as Event,
        ModelCallCompleted as ModelCallCompleted,
        ModelCallFailed as ModelCallFailed,
        ModelCallStarted as ModelCallStarted,
        ReasoningDelta as ReasoningDelta,
        RunEnded as RunEnded,
        RunStarted as RunStarted,
        TextDelta as TextDelta,
        ToolCallCompleted as ToolCallCompleted,
        ToolCallFailed as ToolCallFailed,
        ToolCallProgress as ToolCallProgress,
        ToolCallRetried as ToolCallRetried,
        ToolCallStarted as ToolCallStarted,
    )
    from unified_agents.fidelity.report import (
        FidelityReport as FidelityReport,
        StrictFidelity as StrictFidelity,
        ToolFidelity as ToolFidelity,
        check_tools as check_tools,
    )
    from unified_agents.fidelity.schema_diff import SchemaChange as SchemaChange, compare_schemas as compare_schemas
    from unified_agents.interop.formats import (
        from_anthropic as from_anthropic,
        from_mcp as from_mcp,
        from_openai as from_openai,
        to_anthropic as to_anthropic,
        to_langchain as to_langchain,
        to_llamaindex as to_llamaindex,
        to_mcp as to_mcp,
        to_openai as to_openai,
        to_openai_responses as to_openai_responses,
    )
    from unified_agents.interop.mcp import McpConnection as McpConnection, McpServerConfig as McpServerConfig
    from unified_agents.interop.openai_strict import (
        Loss as Loss,
        strict_report as strict_report,
        strict_schema as strict_schema,
    )
    from unified_agents.interop.openai_strict_arguments import from_strict as from_strict
    from unified_agents.interop.openapi import (
        OpenApiConfig as OpenApiConfig,
        OpenApiKey as OpenApiKey,
        load_openapi as load_openapi,
    )
    from unified_agents.interop.source import OpenSource as OpenSource
    from unified_agents.journal.forks import fork_run as fork_run
    from unified_agents.journal.memory import MemoryJournal as MemoryJournal
    from unified_agents.journal.postgres import PostgresJournal as PostgresJournal
    from unified_agents.journal.protocol import Addition as Addition, Journal as Journal, RunInfo as RunInfo
    from unified_agents.journal.sqlite import SqliteJournal as SqliteJournal
    from unified_agents.messages import Message as Message, ToolCall as ToolCall, Usage as Usage
    from unified_agents.registry import (
        BackendInfo as BackendInfo,
        backend_info as backend_info,
        backend_names as backend_names,
    )
    from unified_agents.result import (
        Exchange as Exchange,
        ModelCallRecord as ModelCallRecord,
        PendingCall as PendingCall,
        RunResult as RunResult,
        Timing as Timing,
        ToolCallRecord as ToolCallRecord,
    )
    from unified_agents.scripted.model import Script as Script, ScriptedModel as ScriptedModel
    from unified_agents.scripted.replay import CassetteModel as CassetteModel
    from unified_agents.tool_runner.standalone import try_tool as try_tool, try_tool_sync as try_tool_sync
    from unified_agents.tools.decorator import tool as tool
    from unified_agents.tools.definition import Tool as Tool, ToolContext as ToolContext
    from unified_agents.tools.options import NEVER_RAN as NEVER_RAN
    from unified_agents.tools.parts import FilePart as FilePart, ImagePart as ImagePart, TextPart as TextPart
    from unified_agents.tracing.spans import Span as Span
    from unified_agents.wrapping.wrap import wrap as wrap


def _homes() -> dict[str, str]:
    """The module of each public name, read from the imports above, so that each name stands there once."""
    block = next(node for node in ast.parse(Path(__file__).read_text("utf-8")).body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


_HOMES = _homes()
__all__ = list(_HOMES)  # type checkers read the imports

# A program that sets up no logging is told by errors and results, and not by Python's last resort on standard error.
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

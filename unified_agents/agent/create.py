"""The agent that users hold: one class over every backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unified_agents.agent.arguments import check_agent_arguments
from unified_agents.agent.backend_agent import ComposedAgent
from unified_agents.agent.protocol import Agent, EventStream
from unified_agents.catalogue.catalogue import ToolLike, open_catalogue
from unified_agents.config import (
    AgentConfig,
    Handling,
    Limits,
    ModelConfig,
    ModelParameters,
    SelectConfig,
    ToolPolicy,
    Variant,
    load_config,
    parse_config,
)
from unified_agents.config.importing import import_named
from unified_agents.errors import ConfigError
from unified_agents.wire.http_upstream import HttpUpstream
from unified_agents.wire.local_upstream import LocalUpstream, ReplyingModel
from unified_agents.wire.output_format import OutputType
from unified_agents.wire.upstream import Upstream

if TYPE_CHECKING:
    from unified_agents.catalogue.selection import Selector


__all__ = ["Agent", "ComposedAgent", "EventStream", "ToolLike", "create_agent"]


def create_agent(
    config: str | Path | AgentConfig | None = None,
    *,
    backend: str | None = None,
    model: str | ModelConfig | Mapping[str, Any] | ReplyingModel | None = None,
    instructions: str | None = None,
    tools: Sequence[ToolLike] | None = None,
    limits: Limits | Mapping[str, Any] | None = None,
    handling: Handling | None = None,
    name: str | None = None,
    model_parameters: ModelParameters | None = None,
    output_type: OutputType | str | None = None,
    selector: Selector | SelectConfig | None = None,
    tool_policy: ToolPolicy | None = None,
    tool_references: bool | None = None,
    variant: Variant | None = None,
) -> Agent:
    """Make an agent, from a config file, from arguments, or from both: an argument wins over the file.

    Args:
        config: A YAML file's path, or its values.
        backend: What runs the loop; "custom" by default.
        model: `provider:name`, a `ModelConfig` or a mapping of its keys, or a model in this process such as
            `ScriptedModel`.
        instructions: The system text.
        tools: What the model may call: tools, typed functions, `module:name`, and sources of many tools (a
            `ToolSource` or a mapping of its keys, an `McpServerConfig`, an `OpenApiConfig`), which are opened now and
            closed with the agent.
        limits: Bounds of each run.
        handling: "unified" (default): every backend behaves alike; "native": the framework as it comes, only watched.
        name: The agent's name, in its trace.
        model_parameters: What is asked of the model; None takes those of `model`.
        output_type: The form of the final answer: a pydantic model or another type, `module:Name` of one, or a JSON
            Schema. The answer is validated, the model told once what does not fit, and `result.value` holds the value.
        selector: Chooses, by each run's task, what the model is offered of a large catalogue; None offers all tools.
        tool_policy: What is done about an idempotent tool that fails for now.
        tool_references: Whether a call may refer to the result of another call of the same answer, as
            `{"$call": 0, "path": "/rows/0"}`, and the model is told how. False by default.
        variant: "tool_calling" (default), or "react": thought, action and input in plain text, one call at a time, for
            a model that does not call tools.

    Raises:
        ConfigError: something does not fit; its subclasses tell an unknown backend, one that is not installed, one
            that is broken, and a bad tool.
        UnsupportedCapabilityError: the backend cannot do what is asked.
    """
    check_agent_arguments(
        {
            "config": config,
            "backend": backend,
            "model": model,
            "instructions": instructions,
            "tools": tools,
            "limits": limits,
            "handling": handling,
            "name": name,
            "model_parameters": model_parameters,
            "output_type": output_type,
            "selector": selector,
            "tool_policy": tool_policy,
            "tool_references": tool_references,
            "variant": variant,
        }
    )
    if isinstance(limits, Mapping):
        limits = parse_config(Limits, limits, "limits")
    if isinstance(model, Mapping):
        model = parse_config(ModelConfig, model, "model")
    base = config if isinstance(config, AgentConfig) else load_config(config) if config is not None else None
    local = None if model is None or isinstance(model, str | ModelConfig) else model
    settings = _model_config(model, base)
    if model_parameters is not None:
        settings = settings.model_copy(update={"parameters": model_parameters})
    values = base or AgentConfig.model_construct(model=settings)
    catalogue = open_catalogue(tools if tools is not None else values.tools)
    try:
        return ComposedAgent(
            backend=backend if backend is not None else values.backend,
            model=settings,
            servers=_servers(settings, local, variant or values.variant),
            instructions=instructions if instructions is not None else values.instructions,
            catalogue=catalogue,
            selector=_selector(selector if selector is not None else values.select),
            limits=limits or values.limits,
            handling=handling or values.handling,
            name=name or values.name or "agent",
            output_type=_output_type(output_type if output_type is not None else values.output_type),
            tool_policy=tool_policy or values.tool_policy,
            tool_references=tool_references if tool_references is not None else values.tool_references,
            variant=variant or values.variant,
        )
    except BaseException:
        catalogue.close()
        raise


def _model_config(model: str | ModelConfig | ReplyingModel | None, base: AgentConfig | None) -> ModelConfig:
    if isinstance(model, ModelConfig):
        return model
    if isinstance(model, str):
        return ModelConfig.parse(model)
    if model is not None:
        return ModelConfig(provider="script", name="script")
    if base is None:
        raise ConfigError('no model: give model="openai:<name>", or model="script:<file>" for a scripted one')
    return base.model


def _servers(
    model: ModelConfig, local: ReplyingModel | None, variant: Variant
) -> list[tuple[ModelConfig, Upstream, str | None]]:
    first = (model, *_upstream(model, local, variant))
    return [first, *((other, *_upstream(other, None, variant)) for other in model.fallback)]


def _upstream(model: ModelConfig, local: ReplyingModel | None, variant: Variant) -> tuple[Upstream, str | None]:
    if local is not None:
        return LocalUpstream(local), None
    if model.provider == "oracle":
        raise ConfigError(
            "oracle: answers from a suite task's own script, so it works only within `unified-agents compare`"
        )
    if model.provider == "script":
        from unified_agents.scripted.model import Script, ScriptedModel  # noqa: PLC0415  # only who has a script pays for it

        script = Script.load(model.name)
        scripted = ScriptedModel(script.in_text() if variant == "react" else script)
        return _with_faults(model, LocalUpstream(scripted)), None
    key = model.api_key()
    return _with_faults(model, HttpUpstream(model.url, key)), key


def _with_faults(model: ModelConfig, upstream: Upstream) -> Upstream:
    if model.faults is None:
        return upstream
    from unified_agents.scripted.faults import FaultyUpstream  # noqa: PLC0415  # only who wants faults pays for them

    return FaultyUpstream(upstream, model.faults)


def _selector(selector: Selector | SelectConfig | None) -> Selector | None:
    if not isinstance(selector, SelectConfig):
        return selector
    from unified_agents.catalogue.selection import make_selector  # noqa: PLC0415  # only who selects pays for it

    return make_selector(selector)


def _output_type(output_type: OutputType | str | None) -> OutputType | None:
    return import_named(output_type, "output_type") if isinstance(output_type, str) else output_type

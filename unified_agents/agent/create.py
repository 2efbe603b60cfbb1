"""Makes an agent from a config file, from arguments, or from both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from unified_agents.agent.arguments import check_agent_arguments
from unified_agents.agent.backend_agent import BackendAgent
from unified_agents.agent.protocol import Agent
from unified_agents.agent.settings import AgentSettings
from unified_agents.catalogue.catalogue import ToolLike
from unified_agents.config import (
    AgentConfig,
    ConfigT,
    Handling,
    Limits,
    MemoryConfig,
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
from unified_agents.journal.protocol import Journal
from unified_agents.tools.options import Coercion
from unified_agents.wire.local_upstream import ReplyingModel
from unified_agents.wire.output_format import OutputType

if TYPE_CHECKING:
    from unified_agents.backend import Backend
    from unified_agents.catalogue.selection import Selector
    from unified_agents.scripted.replay import CassetteModel

T = TypeVar("T")


@overload
def create_agent(
    config: str | Path | AgentConfig | Mapping[str, Any] | None = None,
    *,
    backend: str | None = None,
    model: str | ModelConfig | Mapping[str, Any] | ReplyingModel | None = None,
    instructions: str | None = None,
    tools: Sequence[ToolLike] | None = None,
    limits: Limits | Mapping[str, Any] | None = None,
    handling: Handling | None = None,
    name: str | None = None,
    model_parameters: ModelParameters | Mapping[str, Any] | None = None,
    output_type: type[T],
    selector: Selector | SelectConfig | Mapping[str, Any] | None = None,
    tool_policy: ToolPolicy | Mapping[str, Any] | None = None,
    tool_references: bool | None = None,
    coercion: Coercion | None = None,
    variant: Variant | None = None,
    journal: str | Path | Journal | None = None,
    memory: MemoryConfig | Mapping[str, Any] | None = None,
    record: str | Path | None = None,
    replay: str | Path | CassetteModel | None = None,
    isolated: bool = False,
) -> Agent[T | None]: ...


@overload
def create_agent(
    config: str | Path | AgentConfig | Mapping[str, Any] | None = None,
    *,
    backend: str | None = None,
    model: str | ModelConfig | Mapping[str, Any] | ReplyingModel | None = None,
    instructions: str | None = None,
    tools: Sequence[ToolLike] | None = None,
    limits: Limits | Mapping[str, Any] | None = None,
    handling: Handling | None = None,
    name: str | None = None,
    model_parameters: ModelParameters | Mapping[str, Any] | None = None,
    output_type: OutputType | str | None = None,
    selector: Selector | SelectConfig | Mapping[str, Any] | None = None,
    tool_policy: ToolPolicy | Mapping[str, Any] | None = None,
    tool_references: bool | None = None,
    coercion: Coercion | None = None,
    variant: Variant | None = None,
    journal: str | Path | Journal | None = None,
    memory: MemoryConfig | Mapping[str, Any] | None = None,
    record: str | Path | None = None,
    replay: str | Path | CassetteModel | None = None,
    isolated: bool = False,
) -> Agent[Any]: ...


def create_agent(
    config: str | Path | AgentConfig | Mapping[str, Any] | None = None,
    *,
    backend: str | None = None,
    model: str | ModelConfig | Mapping[str, Any] | ReplyingModel | None = None,
    instructions: str | None = None,
    tools: Sequence[ToolLike] | None = None,
    limits: Limits | Mapping[str, Any] | None = None,
    handling: Handling | None = None,
    name: str | None = None,
    model_parameters: ModelParameters | Mapping[str, Any] | None = None,
    output_type: OutputType | str | None = None,
    selector: Selector | SelectConfig | Mapping[str, Any] | None = None,
    tool_policy: ToolPolicy | Mapping[str, Any] | None = None,
    tool_references: bool | None = None,
    coercion: Coercion | None = None,
    variant: Variant | None = None,
    journal: str | Path | Journal | None = None,
    memory: MemoryConfig | Mapping[str, Any] | None = None,
    record: str | Path | None = None,
    replay: str | Path | CassetteModel | None = None,
    isolated: bool = False,
) -> Agent[Any]:
    """Make an agent, from a config file, from arguments, or from both: an argument wins over the file.

    Args:
        config: A YAML file's path, an `AgentConfig`, or a mapping of its keys.
        backend: What runs the loop; "custom" by default.
        model: `provider:name`, a `ModelConfig` or a mapping of its keys, or a model in this process such as
            `ScriptedModel`. In place of a file's model, `provider:name` of the same provider changes its name alone:
            server, key, parameters and policy stay; its price is not taken over.
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
        coercion: `lenient` takes "5" for an integer in every tool, and records it; `strict` in none. A source that says
            its own keeps it. None leaves each tool its own.
        variant: "tool_calling" (default), or "react": thought, action and input in plain text, one call at a time, for
            a model that does not call tools.
        journal: Where the rows of each run are kept, by which it survives a crash: a SQLite file's path, which is made
            where there is none, or a `Journal` such as `MemoryJournal()`. None keeps none.
        memory: What of a session's conversation a further turn is given; None gives all.
        record: A cassette: a file that each exchange with the model is added to, without secrets. None records nothing.
        replay: A cassette that answers in place of the model: no network is asked, and no key is needed. Agents that
            share one are given a `CassetteModel`. A request that it does not hold ends the run with a
            DivergenceError. None asks the model.
        isolated: Whether the framework runs in a worker process: that of the environment that `unified-agents backends
            install` has made for it, or one of this interpreter where it is installed here. Its model and tool calls
            come back to this process, so that all else is as without. `backend` may then be `NAME==VERSION`.

    Raises:
        ConfigError: something does not fit; its subclasses tell an unknown backend, one that is not installed, one
            that is broken, and a bad tool.
        UnsupportedCapabilityError: the backend cannot do what is asked.
    """
    check_agent_arguments(locals())  # the arguments, while there is nothing else
    limits = _of_mapping(Limits, limits, "limits")
    model = _of_mapping(ModelConfig, model, "model")
    parameters = _of_mapping(ModelParameters, model_parameters, "model_parameters")
    config = _of_mapping(AgentConfig, config, "config")
    file = load_config(config) if isinstance(config, str | Path) else config
    chosen = _model(model, file)
    if parameters is not None:
        chosen = chosen.model_copy(update={"parameters": parameters})
    base = file or AgentConfig.model_construct(model=chosen)
    asked_handling = _first(handling, base.handling)
    return BackendAgent(
        AgentSettings(
            backend=_first(backend, base.backend),
            model=chosen.for_handling(asked_handling),
            local_model=None if model is None or isinstance(model, str | ModelConfig) else model,
            instructions=_first(instructions, base.instructions),
            tools=_first(tools, base.tools),
            limits=_first(limits, base.limits),
            handling=asked_handling,
            name=name or base.name or "agent",
            output_type=_output_type(_first(output_type, base.output_type)),
            selector=_selector(_first(_of_mapping(SelectConfig, selector, "selector"), base.select)),
            tool_policy=_first(_of_mapping(ToolPolicy, tool_policy, "tool_policy"), base.tool_policy),
            tool_references=_first(tool_references, base.tool_references),
            coercion=_first(coercion, base.coercion),
            variant=_first(variant, base.variant),
            journal=_first(journal, base.journal),
            file=base.file,
            memory=_first(_of_mapping(MemoryConfig, memory, "memory"), base.memory),
            record=record,
            replay=replay,
        ),
        _isolated(_first(backend, base.backend)) if isolated else None,
    )


def _isolated(backend: str) -> Backend:
    from unified_agents.isolation.backend import IsolatedBackend  # noqa: PLC0415  # only who isolates pays for it

    return IsolatedBackend(backend)


def _of_mapping(kind: type[ConfigT], value: Mapping[str, Any] | T, what: str) -> ConfigT | T:
    return parse_config(kind, value, what) if isinstance(value, Mapping) else value


def _first(argument: T | None, of_the_file: T) -> T:
    return argument if argument is not None else of_the_file


def _model(model: str | ModelConfig | ReplyingModel | None, file: AgentConfig | None) -> ModelConfig:
    if isinstance(model, ModelConfig):
        return model
    if isinstance(model, str):
        named = ModelConfig.parse(model)
        return named if file is None else file.model.renamed(named)
    if model is not None:
        return ModelConfig(provider="script", name="script", protocol=getattr(model, "spoken", None))
    if file is None:
        raise ConfigError('no model: give model="openai:<name>", or model="script:<file>" for a scripted one')
    return file.model


def _selector(selector: Selector | SelectConfig | None) -> Selector | None:
    if not isinstance(selector, SelectConfig):
        return selector
    from unified_agents.catalogue.selection import make_selector  # noqa: PLC0415  # only who selects pays for it

    return make_selector(selector)


def _output_type(output_type: OutputType | str | None) -> OutputType | None:
    return import_named(output_type, "output_type") if isinstance(output_type, str) else output_type

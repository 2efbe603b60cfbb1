"""`wrap`: somebody else's agent as it is, watched, traced and bounded."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from unified_agents.agent.arguments import check_agent_arguments
from unified_agents.agent.backend_agent import BackendAgent
from unified_agents.agent.protocol import Agent
from unified_agents.agent.settings import AgentSettings
from unified_agents.backend import AgentSpec, Capability, Handling, NativeAgent, NativeProgram, ProgramParts
from unified_agents.config import Limits, ModelConfig, ModelPrice, ToolPolicy, parse_config
from unified_agents.config.model_connection import TokenSource
from unified_agents.errors import BackendBrokenError, BackendError, RunError, UnsupportedCapabilityError, error_chain
from unified_agents.messages import Message
from unified_agents.run.context import Run, current_run
from unified_agents.wire.local_upstream import ReplyingModel

ENTRY_POINTS = "unified_agents.wrappers"

logger = logging.getLogger("unified_agents.wrapping")


def wrap(
    native: object,
    *,
    model: str | ModelConfig | Mapping[str, Any] | ReplyingModel | None = None,
    limits: Limits | Mapping[str, Any] | None = None,
    name: str | None = None,
    price: ModelPrice | None = None,
    handling: Handling = "native",
) -> Agent[Any]:
    """Make an agent of a framework's own one, as it is: its tools, its prompts, its loop.

    Its model clients get a transport of ours beside their own: within `run` and `stream` of the agent that is returned,
    what they send goes over the wire and is watched, traced and bounded, as under `handling: native`. Outside of these
    they work as before, and `aclose` gives them their own transport back. Two runs at once do not mix.

    Limits on steps, model calls, tool calls, tokens, cost and time hold. Its tools are its own, so a tool call counts
    when the model asks for it, and an answer that asks for more than are left never reaches the agent.
    `max_parallel_tools` does not hold, and the log says so.

    Under `handling="unified"` its instructions, its tools and its model are taken, and an agent of ours is made of them
    on the same framework: with retries, mended answers, validated arguments and every limit.

    Args:
        native: A compiled LangGraph graph, a LlamaIndex agent or workflow of agents, a Pydantic AI `Agent`, an OpenAI
            Agents SDK `Agent`; or what a further adapter takes.
        model: What answers in place of its own model, for a test or a comparison; None leaves it its own, with its key.
        limits: Bounds of each run.
        name: The agent's name, in its trace.
        price: What its own model costs, which `max_cost` needs.
        handling: `native` leaves it as it is; `unified` makes an agent of ours of its parts.

    Raises:
        UnsupportedCapabilityError: nobody wraps such an object, or it has no client that can be reached, or under
            `unified` more parts than an agent of ours can have; the message says what to do.
        ConfigError: a setting does not fit.
    """
    check_agent_arguments({"model": model, "limits": limits, "name": name, "handling": handling})
    program = native_program(native)
    parts = _parts(program, native) if handling == "unified" else ProgramParts(None, ())
    config = _model(program, model, handling)
    if price is not None:
        config = config.model_copy(update={"price": price})
    local = None if model is None or isinstance(model, str | ModelConfig | Mapping) else model
    bounds = parse_config(Limits, limits, "limits") if isinstance(limits, Mapping) else limits
    settings = AgentSettings(
        backend=program.backend,
        model=config,
        local_model=local,
        instructions=parts.instructions,
        tools=parts.tools,
        limits=bounds or Limits(),
        handling=handling,
        name=name or str(getattr(native, "name", None) or "agent"),
        output_type=None,
        selector=None,
        tool_policy=ToolPolicy(),
        tool_references=False,
        coercion=None,
        variant="tool_calling",
    )
    return BackendAgent(settings, _WrappingBackend(program) if handling == "native" else None)


def _parts(program: NativeProgram, native: object) -> ProgramParts:
    read = getattr(program, "parts", None)
    if read is None:
        raise UnsupportedCapabilityError(
            f"the parts of {type(native).__qualname__} cannot be read, so it has no `unified`: wrap it as `native`"
        )
    parts: ProgramParts = read()
    return parts


class _WrappingBackend:
    capabilities = frozenset(Capability)

    def __init__(self, program: NativeProgram) -> None:
        self.name = program.backend
        self.native_protocols = {program.protocol: "openai" if program.protocol == "responses" else "anthropic"}
        self._program = program

    def build(self, spec: AgentSpec) -> NativeAgent:
        return _RoutedProgram(self._program, spec)


class _RoutedProgram:
    """A native program whose model clients send over the wire while it runs."""

    def __init__(self, program: NativeProgram, spec: AgentSpec) -> None:
        self._program = program
        self._routes = spec.model.routes(program.roots)

    @property
    def native(self) -> object:
        return self._program.native

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        run = current_run.get()
        if run is not None:
            run.bounds_calls_asked = True
            if "max_parallel_tools" in run.limits.model_fields_set:
                text = "max_parallel_tools does not hold: the wrapped agent runs its tools itself (run %s)"
                logger.warning(text, run.label)
        with self._routes.here():
            output = await self._program.run(messages, stream=stream)
        if run is not None:
            _warn(run)
        return output

    def translate(self, error: Exception) -> RunError | None:
        for link in error_chain(error):
            if isinstance(link, UnsupportedCapabilityError):  # a client takes it for a fault of the network
                return BackendError(str(link))
        return self._program.translate(error)


def _warn(run: Run) -> None:
    """Say in the log what could not be held or seen."""
    if not run.budget.requests:
        logger.warning("the wrapped agent asked no model that can be watched (run %s)", run.label)
    elif run.budget.usage.total_tokens is None and (limits := run.budget.unmeasured_limits()):
        names = " and ".join(limits)
        logger.warning("the model's server reports no usage, so %s cannot hold (run %s)", names, run.label)


def native_program(native: object) -> NativeProgram:
    """Return what an adapter makes of a framework's own agent.

    Raises:
        UnsupportedCapabilityError: nobody wraps such an object; the message says what to do.
    """
    wrappers = _wrappers()
    for base in type(native).__mro__:
        entry = wrappers.get(base.__module__.partition(".")[0])
        if entry is not None:
            try:
                make = entry.load()
            except ImportError as error:
                raise BackendBrokenError(
                    f"{entry.name} cannot be wrapped: importing {entry.module} failed: {error}"
                ) from error
            program: NativeProgram = make(native)
            return program
    known = ", ".join(sorted(wrappers))
    raise UnsupportedCapabilityError(
        f"{type(native).__module__}.{type(native).__qualname__} cannot be wrapped; agents of {known} can. "
        "`unified-agents exec` runs any program with its model calls on the wire"
    )


def _model(
    program: NativeProgram, model: str | ModelConfig | Mapping[str, Any] | ReplyingModel | None, handling: Handling
) -> ModelConfig:
    """Return the model that answers: the one that is given, or the program's own, at its server and with its key.

    Raises:
        UnsupportedCapabilityError: the program has no client that can be reached.
    """
    from unified_agents.wire.routed_clients import sdk_clients  # noqa: PLC0415  # httpx comes with the adapters

    clients = [client for client in sdk_clients(program.roots) if client.is_async]
    if not clients:
        raise UnsupportedCapabilityError(
            "no asynchronous client of the OpenAI SDK or of Anthropic's was found in the agent, so nothing can be put "
            "under it: give its model one, or run the program with `unified-agents exec`"
        )
    if isinstance(model, ModelConfig):
        return model
    if isinstance(model, str):
        return ModelConfig.parse(model).for_handling(handling)
    if isinstance(model, Mapping):
        return parse_config(ModelConfig, model, "model").for_handling(handling)
    if model is not None:
        return ModelConfig(provider="script", name="script", protocol=getattr(model, "spoken", None))
    client = clients[0]
    if client.package == "anthropic":
        key = {"x-api-key": str(client.client.api_key)} if client.client.api_key else {}
        return ModelConfig(
            provider="anthropic",
            name=program.model_name,
            base_url=f"{client.base_url}/v1",
            headers=key,
            protocol="messages",
        )
    return ModelConfig(
        name=program.model_name, base_url=client.base_url, protocol=program.protocol, auth=_key_of(client.client)
    )


def _key_of(client: Any) -> TokenSource:
    """Return what gives the key that a client has now; the wire sends it, and keeps it out of records."""

    async def key() -> str:
        return str(client.api_key)

    return key


@cache
def _wrappers() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}

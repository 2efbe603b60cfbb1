"""Runs Google ADK's agent: `google.adk.runners.Runner` over `LlmAgent`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import aclosing

from google.adk.agents import LlmAgent
from google.adk.agents.run_config import RunConfig, StreamingMode  # type: ignore[attr-defined]
from google.adk.events import Event
from google.adk.runners import Runner
from google.adk.sessions import InMemorySessionService
from google.genai import types

from unified_agents.backend import AgentSpec, BoundTool, Capability, NativeAgent, import_all_off_loop
from unified_agents.errors import BackendError, RunError
from unified_agents.messages import Message
from unified_agents_google_adk.errors import translate
from unified_agents_google_adk.model import chat_model, content, native_config
from unified_agents_google_adk.tools import ADKTool, native_construction, native_tool

_APP, _USER = "unified_agents", "user"
_IMPORTED_BY_A_FIRST_RUN = (
    "google.adk.apps.app",
    "google.adk.agents._agent_router",
    "google.adk.flows.llm_flows.core._resume",
    "google.adk.workflow._workflow",
    "google.adk.telemetry.node_tracing",
    "google.adk.auth.auth_handler",
    "google.adk.workflow._tool_node",
    "google.adk.workflow._trigger",
    "google.adk.workflow._node_runner_utils",
    "google.adk.utils._mtls_utils",
    "google.adk.a2a.agent",
    "google.adk.workflow._llm_agent_wrapper",
    "google.adk.flows.llm_flows.auto_flow",
    "google.adk.auth.auth_preprocessor",
    "google.adk.models.google_llm",
    "google.adk.tools.google_search_tool",
    "google.adk.tools.vertex_ai_search_tool",
)


class GoogleADKBackend:
    """The backend that runs ADK's agent."""

    name = "google_adk"
    capabilities = frozenset(Capability)

    def build(self, spec: AgentSpec) -> NativeAgent:
        """Make ADK's agent.

        Raises:
            UnsupportedCapabilityError: under `native`, ADK does not take one of the tools or parameters.
        """
        return GoogleADKAgent(spec)

    def native_construction(self, tool: BoundTool) -> str:
        """Return the Python call by which a tool is made under `native`."""
        return native_construction(tool)


class GoogleADKAgent:
    """ADK's agent, ready to run. Each run has a session of its own, so it serves many runs at once.

    Args:
        spec: What it is made of.
    """

    def __init__(self, spec: AgentSpec) -> None:
        self._is_unified = spec.handling == "unified"
        self._agent = LlmAgent(
            name=_identifier(spec.name),
            model=chat_model(spec),
            instruction="" if self._is_unified else spec.instructions or "",
            tools=[ADKTool(bound) if self._is_unified else native_tool(bound) for bound in spec.tools],
            generate_content_config=None if self._is_unified else native_config(spec),
        )

    @property
    def native(self) -> object:
        """ADK's `LlmAgent`."""
        return self._agent

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        """Run the agent to its end, and return the text of its final response.

        Raises:
            BackendError: the run failed without an exception. The wire knows what the model's server said.
        """
        await import_all_off_loop(_IMPORTED_BY_A_FIRST_RUN)
        names = {call.id: call.name for message in messages for call in message.tool_calls}
        *earlier, last = [(message, content(message, names)) for message in messages]
        sessions = InMemorySessionService()
        session = await sessions.create_session(app_name=_APP, user_id=_USER)
        for message, translated in earlier:
            author = self._agent.name if message.role == "assistant" else _USER
            await sessions.append_event(session, Event(author=author, content=translated))
        runner = Runner(app_name=_APP, agent=self._agent, session_service=sessions)
        return await self._follow(runner, session.id, last[1], stream=stream)

    async def _follow(self, runner: Runner, session: str, message: types.Content, *, stream: bool) -> str | None:
        config = RunConfig(streaming_mode=StreamingMode.SSE if stream else StreamingMode.NONE)
        if self._is_unified:
            config.max_llm_calls = 0  # none: our own limits end a run
        text: str | None = None
        failure: str | None = None
        events = runner.run_async(user_id=_USER, session_id=session, new_message=message, run_config=config)
        async with aclosing(events):
            async for event in events:
                if event.error_code:  # an exception mostly follows
                    failure = f"{event.error_code}: {event.error_message}"
                if event.is_final_response() and event.content and event.content.parts:
                    text = "".join(part.text or "" for part in event.content.parts)
        if failure is not None:
            raise BackendError(f"ADK's run failed: {failure}")
        return text

    def translate(self, error: Exception) -> RunError | None:
        """Return the error of ours that a foreign one stands for."""
        return translate(error)


def _identifier(name: str) -> str:
    """Return an agent's name as ADK takes it: a Python identifier, and not the user's own."""
    made = re.sub(r"\W", "_", name)
    return made if made.isidentifier() and made != _USER else f"agent_{made}"

"""The span tree of a run, in the names of OpenTelemetry's GenAI conventions.

All attribute names are defined here. They follow the semantic conventions 1.39.0, GenAI, status development. Names that
these do not have begin with `unified_agents.`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

AttributeValue = str | int | float | bool | tuple[str, ...]

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
AGENT_NAME = "gen_ai.agent.name"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_ID = "gen_ai.response.id"
FINISH_REASONS = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHED_INPUT_TOKENS = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS = "gen_ai.usage.cache_write.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
TOOL_NAME = "gen_ai.tool.name"
TOOL_CALL_ID = "gen_ai.tool.call.id"
TOOL_TYPE = "gen_ai.tool.type"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
ERROR_TYPE = "error.type"

BACKEND = "unified_agents.backend"
HANDLING = "unified_agents.handling"
RUN_ID = "unified_agents.run_id"

ERROR_SWALLOWED = "error_swallowed"
"""An event of a native run that failed, and whose framework ended it as if it had not."""


@dataclass(slots=True)
class Span:
    """A timed part of a run.

    Attributes:
        name: `invoke_agent`, `chat <request model>` or `execute_tool <tool>`.
        start: Seconds since the run began.
        end: Seconds since the run began; None while it is open.
        attributes: Attributes by their names in the conventions, without the content of messages and arguments.
        error: The value of `error.type`; None when all went well.
        events: Events within, such as a retry: name, seconds since the run began, attributes.
        children: Spans within this one, in order of their start.
    """

    name: str
    start: float
    end: float | None = None
    attributes: dict[str, AttributeValue] = field(default_factory=dict)
    error: str | None = None
    events: list[tuple[str, float, dict[str, AttributeValue]]] = field(default_factory=list)
    children: list[Span] = field(default_factory=list)

    def walk(self) -> Iterator[Span]:
        """Yield this span and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def to_dict(self) -> dict[str, Any]:
        """Return the tree as JSON values."""
        return {
            "name": self.name,
            "start": self.start,
            "end": self.end,
            "attributes": dict(self.attributes),
            "error": self.error,
            "events": [{"name": name, "time": time, "attributes": dict(attrs)} for name, time, attrs in self.events],
            "children": [child.to_dict() for child in self.children],
        }

    def __str__(self) -> str:
        return "\n".join(self._lines(0))

    def _lines(self, depth: int) -> Iterator[str]:
        duration = "not ended" if self.end is None else f"{self.end - self.start:.3f} s"
        events = "".join(f", {name} at {time:.3f} s" for name, time, _ in self.events)
        yield f"{'  ' * depth}{self.name}  {duration}{f', error: {self.error}' if self.error else ''}{events}"
        for child in self.children:
            yield from child._lines(depth + 1)

    def shape(self) -> str:
        """Return the tree without times and values, to compare runs: `invoke_agent(chat, execute_tool add, chat)`."""
        name = self.name if self.name.startswith("execute_tool") else self.name.partition(" ")[0]
        return f"{name}({', '.join(child.shape() for child in self.children)})" if self.children else name

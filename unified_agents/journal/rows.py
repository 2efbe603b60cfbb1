"""The rows of a journal: one JSON object each, of closed types, and never anything that runs code when it is read.

A run begins with a `RunRow`. Each answer of the model is an `AnswerRow`; each tool call has a `ToolStartRow` and a
`ToolEndRow`. A call is *finished* when its end row is committed. An `ElicitationRow` holds what an MCP server asked
during a call, and a `DecisionRow` what somebody decided about a call that waits. An `EndRow` says how the run ended, or
that it is a fork which has not begun; where a run is resumed later, more rows follow.

Rows are never changed. Those that each step adds are not frozen, as a frozen one takes three times as long to make, and
have no slots, as orjson takes four times as long to write an object with slots.

A cassette is a file of such rows, one a line: those of runs, or an `ExchangeRow` for each request to a model.
"""

from __future__ import annotations

import functools
import json
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from unified_agents.config.providers import ProtocolName
from unified_agents.elicitation import Elicitation, ElicitationAction
from unified_agents.errors import ErrorRecord, JournalError
from unified_agents.messages import JsonObject, Message, Usage
from unified_agents.result import RunStatus
from unified_agents.tools.parts import Part

FORMAT = 4
"""The version of this format. A journal of a newer one is refused.

Since 2, a run leaves out its session's turns. Since 3, a session may have summaries of its turns. Since 4, an MCP
server may have asked something during a call.
"""


StoredStatus: TypeAlias = RunStatus | Literal["forked"]
"""How a stored run stands: as in its result, or `forked`, which is a fork that nobody has resumed yet."""


@dataclass(slots=True, frozen=True, kw_only=True)
class ForkPoint:
    """Where a run was forked from another one.

    Attributes:
        run_id: The other run.
        step: The first step that is not taken over.
    """

    run_id: str
    step: int


@dataclass(slots=True, frozen=True, kw_only=True)
class RunRow:
    """The beginning of a run.

    Attributes:
        format: The version of the format of all rows of the run.
        created: Seconds since 1970.
        agent: The agent's name.
        file: The agent's YAML file; None where it was made in Python.
        backend: The backend that the run began on.
        model: The model's name.
        instructions: The system text.
        messages: What the run was given.
        tools: The tools by name, each with a hash of its JSON Schema.
        session: The session that the run is a turn of; None for none.
        history: How many messages the run was given of the turns before it, with a summary of the earliest, if any.
        turns: Which turns of the session these are: the first, and the one after the last. Their messages are not
            repeated in `messages`, nor is the summary of the turns before the first. None where they are.
        forked_from: Where it was forked from another run; None for none.
    """

    row: Literal["run"] = "run"
    format: Literal[1, 2, 3, 4] = 4
    created: float
    agent: str
    file: str | None
    backend: str
    model: str
    instructions: str | None
    messages: tuple[Message, ...]
    tools: dict[str, str]
    session: str | None = None
    history: int = 0
    turns: tuple[int, int] | None = None
    forked_from: ForkPoint | None = None


@dataclass(kw_only=True)
class AnsweredCall:
    """A tool call as the model's answer had it.

    Attributes:
        id: The provider's id; it may be empty.
        call_id: The call's id within the run.
        name: The name on the wire.
        arguments: JSON text as the model wrote it.
    """

    id: str
    call_id: str
    name: str
    arguments: str


@dataclass(kw_only=True)
class AnswerRow:
    """One usable answer of the model, which is a step of the run.

    Attributes:
        step: From 0.
        fingerprint: That of the conversation that was asked.
        model: The model that answered, by the name in its config.
        requests: How many requests the step took, retries too.
        text: The answer's text.
        calls: The tool calls that it asks for.
        finish_reason: Why it ended, as the provider says.
        usage: Its tokens.
        cost: What the step cost, in the unit of the model's price; None without a price or its usage.
        original: The turn as `Message.original` has it; None where it holds no more than text and calls.
        reasoning: What the provider shows of the model's thinking; None where it shows nothing.
    """

    row: Literal["answer"] = "answer"
    step: int
    fingerprint: str
    model: str
    requests: int
    text: str | None
    calls: tuple[AnsweredCall, ...]
    finish_reason: str | None
    usage: Usage
    cost: float | None
    original: JsonObject | None = None
    reasoning: str | None = None


@dataclass(kw_only=True)
class ToolStartRow:
    """The start of a tool call; it is committed before the tool runs.

    Attributes:
        step: The step that asked for it.
        index: Its place among the calls of the step.
        call_id: Its id within the run.
        tool: The tool's own name.
        key: The idempotency key.
        edited: The arguments that were decided on in place of the model's; None for the model's own.
    """

    row: Literal["tool_start"] = "tool_start"
    step: int
    index: int
    call_id: str
    tool: str
    key: str
    edited: str | None = None


@dataclass(kw_only=True)
class ToolEndRow:
    """The end of a tool call; it is committed before the framework sees the result.

    Attributes:
        step: The step that asked for it.
        index: Its place among the calls of the step.
        content: What the model reads.
        is_error: Whether the call gave no result.
        parts: The result with its images and files; empty where the text says it all.
        whole: The result's text without a cut, where another call refers to it.
        error: Why it gave none.
        seconds: How long the tool ran.
        state: The run's `ToolContext.state` after the call, where the call changed it.
    """

    row: Literal["tool_end"] = "tool_end"
    step: int
    index: int
    content: str
    is_error: bool = False
    parts: tuple[Part, ...] = ()
    whole: str | None = None
    error: ErrorRecord | None = None
    seconds: float = 0.0
    state: JsonObject | None = None


@dataclass(slots=True, frozen=True, kw_only=True)
class DecisionRow:
    """What somebody decided about a call that waits. It is used once: the call's start or end row uses it up.

    An answer to what the call's MCP server asked is given to the server each time that the call is made and it asks.

    Attributes:
        call_id: The call.
        decision: `approve` runs it, `deny` tells the model the text, `edit` runs it with the text as its arguments,
            `finished` takes the text as its result; `accept`, `decline` and `cancel` answer its MCP server.
        text: The reason, the arguments, the result, or what is accepted as JSON.
    """

    row: Literal["decision"] = "decision"
    call_id: str
    decision: Literal["approve", "deny", "edit", "finished"] | ElicitationAction
    text: str = ""


@dataclass(slots=True, frozen=True, kw_only=True)
class ElicitationRow:
    """What an MCP server asked during a call. The call was given up then, and is not finished.

    Attributes:
        call_id: The call.
        elicitation: What it asked.
    """

    row: Literal["elicitation"] = "elicitation"
    call_id: str
    elicitation: Elicitation


@dataclass(slots=True, frozen=True, kw_only=True)
class EndRow:
    """How the run ended in one process. A run that is resumed ends again.

    Attributes:
        status: As in a result; `forked` for a fork that has not begun.
        output: The final answer.
        error: What ended it; None where it completed.
        ended: Seconds since 1970.
    """

    row: Literal["end"] = "end"
    status: StoredStatus
    output: str | None
    error: ErrorRecord | None
    ended: float


@dataclass(slots=True, frozen=True, kw_only=True)
class TurnRow:
    """One turn of a session: what it added to the conversation.

    Attributes:
        run_id: The run that was the turn.
        messages: The user's messages and what followed them.
    """

    row: Literal["turn"] = "turn"
    run_id: str
    messages: tuple[Message, ...]


@dataclass(slots=True, frozen=True, kw_only=True)
class SummaryRow:
    """What the model summarised of the oldest turns of a session. The turns stay as they are.

    Attributes:
        turns: How many turns.
        message: The message that stands in their place.
    """

    row: Literal["summary"] = "summary"
    turns: int
    message: Message


@dataclass(slots=True, frozen=True, kw_only=True)
class ExchangeRow:
    """One request to a model with its answer, in a cassette.

    A whole answer is kept as its body; a streamed one is put together, since a secret may be cut in two in its pieces.

    Attributes:
        format: The version of the format of the row. In 2 it has an original turn.
        run: The run that asked.
        model: The model that was asked.
        protocol: What the request and the answer were written in.
        fingerprint: That of the conversation that was asked.
        begins: The fingerprint of an earlier exchange, whose conversation this one goes on with; None for none.
        messages: What the conversation holds beyond that, each message normalised as for the fingerprint.
        status: The HTTP status; 0 where the connection broke.
        headers: Those of the answer's headers that tell its id and rate limits.
        body: The body of a whole answer, or of a refusal; JSON, or text where it is none. None for a streamed answer.
        text: The text of a streamed answer.
        calls: The tool calls that it asks for.
        finish_reason: Why it ended, as the provider says.
        usage: Its tokens.
        reasoning: What the provider shows of the model's thinking; None where it shows nothing.
        original: A streamed answer as a turn in the provider's own form, where that holds more than text and calls.
    """

    row: Literal["exchange"] = "exchange"
    format: Literal[1, 2] = 1
    run: str
    model: str
    protocol: ProtocolName
    fingerprint: str
    begins: str | None = None
    messages: tuple[list[Any], ...] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    text: str | None = None
    calls: tuple[AnsweredCall, ...] = ()
    finish_reason: str | None = None
    usage: Usage = field(default_factory=Usage)
    reasoning: str | None = None
    original: JsonObject | None = None


Row: TypeAlias = (
    RunRow
    | AnswerRow
    | ToolStartRow
    | ToolEndRow
    | DecisionRow
    | ElicitationRow
    | EndRow
    | TurnRow
    | SummaryRow
    | ExchangeRow
)

_ROWS: TypeAdapter[Row] = TypeAdapter(
    Annotated[Row, Field(discriminator="row")], config=ConfigDict(defer_build=True, extra="forbid")
)


@functools.cache
def _schema() -> str:
    return json.dumps(_ROWS.json_schema())


def is_word_of_rows(text: str) -> bool:
    """Tell whether a text is a part of the names that rows are made of, so that no row can do without it."""
    return text.isidentifier() and text in _schema()


def write_row(row: Row) -> bytes:
    """Return a row as JSON."""
    try:
        return orjson.dumps(_told(row) if isinstance(row, ExchangeRow) else row, default=_values)
    except orjson.JSONEncodeError:  # integers beyond 64 bits, and halves of surrogate pairs
        return json.dumps(asdict(row), default=_values, ensure_ascii=False).encode("utf-8", "replace")


def _told(row: ExchangeRow) -> dict[str, Any]:
    """Return the fields of an exchange that say something: a cassette is also read by people."""
    values = {name: getattr(row, name) for name in row.__slots__}
    return {name: value for name, value in values.items() if value not in (None, (), {}, Usage())}


def _values(model: BaseModel) -> JsonObject:
    if type(model) is Usage:  # one in each answer, and its fields are numbers
        return {name: value for name, value in model.__dict__.items() if value is not None}
    return model.model_dump(mode="json", exclude_none=True)


def read_row(data: bytes, run_id: str, number: int) -> Row:
    """Return the row that JSON stands for.

    Args:
        data: What `write_row` gave.
        run_id: The run, for messages.
        number: The row's place in the run, for messages.

    Raises:
        JournalError: it is no row, or one of a newer format.
    """
    return read_row_of(data, f"run {run_id}", f"row {number}")


def read_row_of(data: bytes, whole: str, part: str) -> Row:
    """Return the row that JSON stands for; see `read_row`.

    Args:
        data: What `write_row` gave.
        whole: What the row is of, for messages.
        part: How the row is called in it, for messages.

    Raises:
        JournalError: it is no row, or one of a newer format.
    """
    try:
        return _ROWS.validate_json(data)
    except ValidationError as error:
        found: dict[str, Any] = dict(error.errors(include_url=False)[0])
        if found["loc"] in (("run", "format"), ("exchange", "format")):
            raise JournalError(
                f"{whole} was written in format {found['input']!r:.20} of the journal, and this version reads"
                f" {FORMAT}: take a newer version of unified-agents"
            ) from error
        place = ".".join(map(str, found["loc"])) or "the row"
        raise JournalError(f"{part} of {whole} is damaged: {place}: {found['msg']}") from error

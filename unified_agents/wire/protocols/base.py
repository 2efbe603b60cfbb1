"""What a provider's protocol is: it writes a conversation in requests, and reads the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from unified_agents.config.model import ModelParameters
from unified_agents.messages import JsonObject
from unified_agents.redaction.redactor import StreamRedactor
from unified_agents.wire.protocols.answer import Answer


@dataclass(slots=True, eq=False)
class ModelRequest:
    """What a request asks of a model beside its conversation, in Chat Completions terms.

    Attributes:
        model: The model's name.
        system: The system message at the conversation's beginning; None where it has none.
        tools: Function tools, as Chat Completions has them; empty where the model is offered none.
        encoded_tools: The same as JSON, in place of `tools`, for Chat Completions; None where there are none.
        tool_choice: `auto`, `none`, `required` or a tool's name; None leaves it to the provider.
        parallel_tool_calls: Whether one answer may ask for several calls; None leaves it to the provider.
        response_format: `{"type": "json_schema", "json_schema": {"name", "schema", "strict"}}`; None for free text.
        parameters: The sampling parameters; `tool_choice` and `parallel_tool_calls` of them stand above.
        extra: Further fields of the body, which come last.
        stream: Whether the answer is to be streamed.
        learnt: What the server's refusals have taught: words of the protocol's own, from `ProviderProtocol.learn`.
        cache: Whether it marks what the provider shall keep in its prompt cache, where the protocol has marks.
        stored: Whether the server keeps the conversation, where the protocol has that.
        head: What was encoded of it for the request before, and what that depended on.
    """

    model: str
    system: Mapping[str, Any] | None = None
    tools: Sequence[JsonObject] = ()
    encoded_tools: Any = None
    tool_choice: str | None = None
    parallel_tool_calls: bool | None = None
    response_format: JsonObject | None = None
    parameters: ModelParameters = field(default_factory=ModelParameters)
    extra: Mapping[str, Any] = field(default_factory=dict)
    stream: bool = False
    learnt: frozenset[str] = frozenset()
    cache: bool = False
    stored: bool = False
    head: tuple[object, bytes] | None = field(default=None, init=False, repr=False)


class ConversationWriter(Protocol):
    """Writes one conversation in a protocol's form. It grows at its end, and each turn is encoded once."""

    def add(self, message: Mapping[str, Any]) -> None:
        """Add a message in Chat Completions terms. Messages come in call order.

        An assistant turn may have the key `original`, the turn as this provider wrote it: `ProviderProtocol.read` gave
        it as `Answer.original`. It goes back as it came, in place of what else the message says. A turn without it goes
        out in its portable form: text and calls.
        """

    def copy(self) -> Self:
        """Return the conversation so far, to go on with it in another way."""

    def body(self, request: ModelRequest) -> bytes:
        """Return the body of a request about the conversation so far."""


class AnswerReader(Protocol):
    """Puts a streamed answer together, from whatever pieces the network makes of it.

    Attributes:
        first_delta: Whether a text or a call has come.
        done: Whether the answer has ended, so that nothing more needs to be read.
        thoughts: The pieces of what the provider shows of the model's thinking, since they were last taken out. They
            may hold secrets.
    """

    first_delta: bool
    done: bool
    thoughts: list[str]

    @property
    def raw(self) -> bytes:
        """All bytes that came."""

    def feed(self, chunk: bytes) -> list[str]:
        """Take in a piece of the stream, and return the texts of the answer in it.

        Raises:
            ModelError: it reports an error, cannot be read, or is longer than any model's answer.
        """

    def answer(self) -> Answer:
        """Return the whole answer.

        Raises:
            ModelError: the stream ended too early, or what came is no answer.
        """


class ProviderProtocol(Protocol):
    """The form of a provider's requests and answers. One object serves all requests; it has no state.

    Attributes:
        name: `chat_completions`, `responses`, `messages` or `generate_content`.
        headers: Further headers of each request.
    """

    name: str
    headers: Mapping[str, str]

    def path(self, request: ModelRequest) -> str:
        """Return where a request goes, below the base URL."""

    def conversation(self, model: str) -> ConversationWriter:
        """Return what writes a conversation with a model."""

    def learn(self, words: str, learnt: frozenset[str]) -> frozenset[str] | None:
        """Return what is known of a server once it has refused a request; None where its words teach nothing new.

        Args:
            words: What it said.
            learnt: What was known when the request was written.
        """

    def read(self, raw: bytes) -> Answer:
        """Read a whole answer; one that is streamed all the same is put together.

        Raises:
            ModelError: it is no answer of this protocol, or reports an error.
        """

    def reader(self, redactor: StreamRedactor | None = None) -> AnswerReader:
        """Return what reads one streamed answer; the redactor takes secrets out of its texts."""


def with_extra(body: JsonObject, extra: Mapping[str, Any]) -> JsonObject:
    """Return a body with further fields; objects of one name are merged."""
    if not extra:
        return body
    merged = body | dict(extra)
    for name, value in extra.items():
        if isinstance(value, dict) and isinstance(body.get(name), dict):
            merged[name] = with_extra(body[name], value)
    return merged

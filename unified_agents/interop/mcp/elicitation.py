"""What a server asks the user during a call. Importing this loads the `mcp` package."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    INVALID_PARAMS,
    INVALID_REQUEST,
    ElicitRequestFormParams,
    ElicitRequestParams,
    ElicitResult,
    ErrorData,
)
from mcp_types.jsonrpc import JSONRPCRequest
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from unified_agents import wording
from unified_agents.elicitation import Elicitation, ElicitationAnswer
from unified_agents.redaction.redactor import Redactor
from unified_agents.tools.definition import ToolContext
from unified_agents.tools.elicitation_forms import UnansweredElicitationError, checked_elicitation

if TYPE_CHECKING:
    from mcp.client._transport import WriteStream
    from mcp.shared.message import SessionMessage

logger = logging.getLogger("unified_agents.tools.mcp")

MAX_ELICITATIONS = 32
"""How often a server may ask during one call."""

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _OpenCall:
    """A call in flight.

    Attributes:
        answers: What the user has answered, and the server has not been given yet.
        is_askable: Whether the user can be asked more.
        asked: What the server asks that has no answer.
        given_up: Set once the call is over.
        count: How often the server has asked.
    """

    answers: list[ElicitationAnswer]
    is_askable: bool
    asked: asyncio.Future[Elicitation]
    given_up: asyncio.Event = field(default_factory=asyncio.Event)
    count: int = 0

    def take_answer(self, elicitation: Elicitation) -> ElicitationAnswer | None:
        """Return the first answer to this that the server has not been given yet."""
        for number, answer in enumerate(self.answers):
            if answer.elicitation.is_same_as(elicitation):
                return self.answers.pop(number)
        return None


_this_call: contextvars.ContextVar[_OpenCall | None] = contextvars.ContextVar("unified_agents_mcp_call", default=None)


class Elicitations:
    """What a server asks during the calls of one session.

    Args:
        label: The server's name.
        redactor: Takes the server's secrets out of what it asks.
    """

    def __init__(self, label: str, redactor: Redactor) -> None:
        self._label = label
        self._redactor = redactor
        self._calls: set[_OpenCall] = set()

    async def during(self, context: ToolContext, request: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Make a call during which the server may ask.

        Where it asks what has no answer, the call is given up: the server is told first that the call is cancelled,
        and then that the question is.

        Args:
            context: The call.
            request: Makes it.

        Raises:
            UnansweredElicitationError: the server asks what nobody has answered yet.
        """
        answers = context.elicitation_answers
        call = _OpenCall(list(answers or ()), answers is not None, asyncio.get_running_loop().create_future())
        self._calls.add(call)
        token = _this_call.set(call)
        try:
            requesting = asyncio.create_task(request())
            first: set[asyncio.Future[Any]] = {requesting, call.asked}
            try:
                await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            finally:
                requesting.cancel()
                await asyncio.wait([requesting])
            if requesting.cancelled() and call.asked.done():
                raise UnansweredElicitationError(wording.mcp_asks(context.tool, self._label), call.asked.result())
            return requesting.result()
        finally:
            _this_call.reset(token)
            self._calls.discard(call)
            call.given_up.set()

    async def answer(self, context: object, params: ElicitRequestParams) -> ElicitResult | ErrorData:
        """Answer what the server asks, if the user has."""
        if not isinstance(params, ElicitRequestFormParams):
            return ErrorData(code=INVALID_PARAMS, message="the client takes elicitation in form mode only")
        try:
            elicitation = self._read(params)
        except ValueError as error:
            return ErrorData(code=INVALID_PARAMS, message=str(error))
        call = self._asking_call()
        if call is None:
            logger.warning("MCP server %s asks something, and nobody can tell which call it is about", self._label)
            return ElicitResult(action="cancel")
        call.count += 1
        if call.count > MAX_ELICITATIONS:
            return ErrorData(code=INVALID_REQUEST, message=f"one call may ask {MAX_ELICITATIONS} times")
        if (answer := call.take_answer(elicitation)) is not None:
            return ElicitResult(action=answer.action, content=answer.content)
        if call.is_askable:
            if not call.asked.done():
                call.asked.set_result(elicitation)
            await call.given_up.wait()
        return ElicitResult(action="cancel")

    def _read(self, params: ElicitRequestFormParams) -> Elicitation:
        redact = self._redactor.redact
        schema = json.loads(redact(json.dumps(params.requested_schema)))
        return checked_elicitation(self._label, redact(params.message), schema)

    def _asking_call(self) -> _OpenCall | None:
        """Return the call that the server asks about; before protocol 2026-07-28 it does not say which."""
        call = _this_call.get()
        if call is None and len(self._calls) == 1:
            (call,) = self._calls
        return call


def names_the_call(protocol_version: str) -> bool:
    """Tell whether a server of this protocol asks within the call that it is about."""
    return protocol_version in MODERN_PROTOCOL_VERSIONS


class FormsOnly:
    """A stream of what is sent to a server, which says of elicitation that it takes forms: the SDK claims URLs too.

    Args:
        stream: The transport's own.
    """

    def __init__(self, stream: WriteStream[SessionMessage]) -> None:
        self._stream = stream

    async def send(self, item: SessionMessage, /) -> None:
        """Send a message."""
        message = item.message
        if isinstance(message, JSONRPCRequest) and message.params is not None:
            params = message.params
            declared = params.get("capabilities") or (params.get("_meta") or {}).get(CLIENT_CAPABILITIES_META_KEY)
            if declared and declared.get("elicitation"):
                declared["elicitation"].pop("url", None)
        await self._stream.send(item)

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

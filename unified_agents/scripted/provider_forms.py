"""Lets a scripted model speak the protocols of other providers than OpenAI's Chat Completions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from unified_agents.config.providers import ProtocolName
from unified_agents.scripted.model import ScriptedModel
from unified_agents.scripted.rendering import (
    chat_completions_strict,
    generate_content,
    generate_content_strict,
    messages,
    messages_strict,
    responses,
    responses_input,
    responses_strict,
)
from unified_agents.scripted.rendering.chat_completions import (
    JSON_TYPE,
    STREAM_TYPE,
    Envelope,
    RenderedChoice,
    cut,
    error_reply,
)
from unified_agents.scripted.rendering.responses_stored import StoredResponses, not_found
from unified_agents.scripted.values import BadRequestShapeError
from unified_agents.wire.local_upstream import Reply
from unified_agents.wire.upstream import CHAT_PATH

JsonMapping = Mapping[str, Any]


@dataclass(slots=True, frozen=True)
class ProviderForm:
    """A protocol as a scripted model speaks it.

    Attributes:
        name: The protocol.
        chat_request: Returns the request at a path in Chat Completions terms; raises `BadRequestShapeError`.
        whole: Returns an answer as one body, given the answer, what stands beside it, and the request.
        events: Returns it as server-sent events.
        error: Returns the body of an error, given its status, its words and its code.
        problem: Returns why the real API would refuse a request; None where it would not. Is told whether the model
            thinks.
    """

    name: ProtocolName
    chat_request: Callable[[str, JsonMapping], dict[str, Any]]
    whole: Callable[[RenderedChoice | None, Envelope, JsonMapping], bytes]
    events: Callable[[RenderedChoice | None, Envelope, JsonMapping], tuple[bytes, ...]]
    error: Callable[[int, str, str | None], bytes]
    problem: Callable[[JsonMapping, bool], str | None]


def _gemini_request(path: str, body: JsonMapping) -> dict[str, Any]:
    named = generate_content.model_and_stream(path)
    if named is None:
        raise BadRequestShapeError(f"there is no model at {path}")
    return generate_content.chat_request(body, named[0], stream=named[1])


def _thought(choice: RenderedChoice | None) -> str | None:
    return None if choice is None else choice.reasoning


_EMPTY = RenderedChoice(None, (), "stop")

FORMS: Mapping[ProtocolName, ProviderForm] = {
    "responses": ProviderForm(
        "responses",
        lambda _, body: responses_input.chat_request(body),
        lambda choice, envelope, body: responses.whole(choice or _EMPTY, envelope, body, reasoning=_thought(choice))[0],
        lambda choice, envelope, body: responses.events(choice or _EMPTY, envelope, body, reasoning=_thought(choice)),
        lambda status, message, code: error_reply(status, message, code=code).chunks[0],
        lambda body, _: responses_strict.strict_problem(body),
    ),
    "messages": ProviderForm(
        "messages",
        lambda _, body: messages.chat_request(body),
        lambda choice, envelope, _: messages.whole_answer(choice, envelope, reasoning=_thought(choice)),
        lambda choice, envelope, _: messages.answer_events(choice, envelope, reasoning=_thought(choice)),
        lambda status, message, code: messages.error_body(status, message, code=code),
        lambda body, _: messages_strict.strict_problem(body),
    ),
    "generate_content": ProviderForm(
        "generate_content",
        _gemini_request,
        lambda choice, envelope, _: generate_content.whole_answer(choice, envelope, reasoning=_thought(choice)),
        lambda choice, envelope, _: generate_content.answer_events(choice, envelope, reasoning=_thought(choice)),
        lambda status, message, code: generate_content.error_body(status, message, code=code),
        lambda body, thinks: generate_content_strict.strict_problem(body, thinks=thinks),
    ),
}


def form_at(path: str) -> ProviderForm | None:
    """Return the form of the requests that come at a path; None where there is none."""
    if path.endswith("/responses") or path == "responses":
        return FORMS["responses"]
    if path.endswith("/messages") or path == "messages":
        return FORMS["messages"]
    return FORMS["generate_content"] if generate_content.model_and_stream(path) is not None else None


def read_request(path: str, body: JsonMapping) -> tuple[ProtocolName, dict[str, Any]] | None:
    """Return the protocol of a request, and the request in Chat Completions terms; None for one that asks no model.

    Args:
        path: Where it came, below the base URL.
        body: The parsed body.
    """
    form = form_at(path)
    if form is None:
        is_chat = path == CHAT_PATH and isinstance(body.get("messages"), list)
        return ("chat_completions", dict(body)) if is_chat else None
    try:
        return form.name, form.chat_request(path, body)
    except BadRequestShapeError:
        return None


def in_chat_completions(protocol: ProtocolName, body: str) -> str:
    """Return the body of a request in Chat Completions terms; the body itself where it is no request.

    Args:
        protocol: What it is written in.
        body: The JSON text.
    """
    form = FORMS.get(protocol)
    if form is None:
        return body
    try:
        return orjson.dumps(form.chat_request("/models/m:generateContent", orjson.loads(body))).decode()
    except (orjson.JSONDecodeError, BadRequestShapeError):
        return body


class ProviderModel:
    """A scripted model that answers requests in a provider's own form.

    Args:
        model: What it says.
        strict: Whether it refuses with status 400 what the real API refuses.
        spoken: The protocol that an agent asks it in, where it is given as the agent's model.
    """

    def __init__(self, model: ScriptedModel, *, strict: bool = False, spoken: ProtocolName | None = None) -> None:
        self.model = model
        self.strict = strict
        self.spoken = spoken
        self._stored = StoredResponses()

    def reply_at(self, path: str, body: JsonMapping, key: str = "") -> Reply:
        """Answer a request.

        Args:
            path: Where it came; it names the form.
            body: The parsed body.
            key: Names the conversation, as in `ScriptedModel.reply`.
        """
        form = form_at(path)
        if form is None:
            return error_reply(404, f"there is nothing at {path}")
        whole = self._stored.whole(body) if form.name == "responses" else body
        if whole is None:
            return _error(form, 400, not_found(body), "previous_response_not_found")
        body = whole
        try:
            request = form.chat_request(path, body)
        except BadRequestShapeError as error:
            return _error(form, 400, f"the request is wrong: {error}", None)
        if self.strict and (problem := form.problem(body, self.model.thinks)) is not None:
            return _error(form, 400, problem, None)
        due = self.model.due(request, key)
        if isinstance(due, Reply):
            return _in_form(form, due)
        envelope = self.model.envelope(request, due, form.name, body)
        streams = request.get("stream") is True
        chunks = form.events(due.choice, envelope, body) if streams else (form.whole(due.choice, envelope, body),)
        if form.name == "responses":
            self._stored.keep(body, chunks)
        reply = Reply(200, STREAM_TYPE if streams else JSON_TYPE, {}, chunks)
        if due.fault is None:
            return reply
        if due.fault.truncate:
            reply = replace(reply, chunks=cut(reply.chunks), ending="truncate")
        return replace(reply, delay=due.fault.delay, pause=due.fault.pause)

    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        """Answer a Chat Completions request; see `ScriptedModel.reply`."""
        if self.strict and (problem := chat_completions_strict.strict_problem(request)) is not None:
            return error_reply(400, problem)
        return self.model.reply(request, key)

    def forget(self, key: str) -> None:
        """Forget how often faults were served in a conversation."""
        self.model.forget(key)


def _error(form: ProviderForm, status: int, message: str, code: str | None) -> Reply:
    return Reply(status, JSON_TYPE, {}, (form.error(status, message, code),))


def _in_form(form: ProviderForm, reply: Reply) -> Reply:
    """Return an error in the provider's form; what is no error in OpenAI's form stays."""
    if reply.status < 400:
        return reply
    error = orjson.loads(reply.chunks[0])["error"]
    return replace(reply, chunks=(form.error(reply.status, error["message"], error["code"]),))

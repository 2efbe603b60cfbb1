"""A scripted model: it answers Chat Completions requests from a file.

    tool_call_deltas: separate    # or `together`: when streamed, all calls of an answer come in one delta
    repeat_last: false            # true: the last answer comes for ever, a model that never stops
    protocol: tools               # or `react`: the same answers as ReAct text, one call a turn
    answers:                      # one for each model call of a turn
      - tool_calls:
          - {name: add, arguments: {a: 1, b: {"$result": {step: 0, index: 1, path: /rows/0/name}}}}
          - {name: broken, arguments: '{"a": 1,'}      # a string is sent as it is; `id:` may be set too
        usage: {prompt_tokens: 10, completion_tokens: 5}
      - fault: {status: 429, retry_after: 0.05}        # served `times` times before the answer that follows
        times: 2
      - text: {"$template": "The sum is {0}.", values: [{"$result": {step: 0, index: 0}}]}

The model keeps no conversation: the index of the answer that is due is the number of assistant messages after the
last user message of the request. Values that are read from the request: see `unified_agents.scripted.values`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from unified_agents.scripted.format import Answer, Fault, FaultEntry, Script, ScriptedCall, ScriptedUsage
from unified_agents.scripted.mutations import altered
from unified_agents.scripted.rendering.chat_completions import (
    HTML_TYPE,
    JSON_TYPE,
    STREAM_TYPE,
    Call,
    Choice,
    Envelope,
    Rendered,
    cut,
    error_reply,
    in_text,
    render,
)
from unified_agents.scripted.values import BadRequestShapeError, Slot, TextTurn, Turn
from unified_agents.tools.json_pointer import MissingValueError
from unified_agents.tools.json_values import to_json
from unified_agents.wire.http_errors import SCRIPT_ERROR
from unified_agents.wire.local_upstream import Reply

__all__ = ["Answer", "Fault", "FaultEntry", "Reply", "Script", "ScriptedCall", "ScriptedModel", "ScriptedUsage"]

EMPTY = Choice(None, (), "stop")
"""An answer that says nothing."""

_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


class _Place:
    """An answer, ready to be filled."""

    __slots__ = ("answer", "arguments", "static", "text")

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.text = None if answer.text is None else Slot(answer.text)
        self.arguments = [Slot(call.arguments) for call in answer.tool_calls]
        self.static = all(slot.static for slot in (*self.arguments, *([self.text] if self.text else ())))

    def choice(self, turn: Turn) -> Choice:
        calls = tuple(
            Call(
                f"call_{turn.number}_{turn.step}_{index}" if call.id is None else call.id,
                call.name,
                arguments.text(turn),
            )
            for index, (call, arguments) in enumerate(zip(self.answer.tool_calls, self.arguments, strict=True))
        )
        finish_reason = self.answer.finish_reason or ("tool_calls" if calls else "stop")
        return Choice(self.text.text(turn) if self.text else None, calls, finish_reason)


def one_call_a_turn(answer: Answer) -> list[Answer]:
    """An answer as the turns that it takes where each has one call at most."""
    calls = answer.tool_calls
    if len(calls) < 2:
        return [answer]
    rest = [answer.model_copy(update={"tool_calls": (call,), "text": None}) for call in calls[1:]]
    return [answer.model_copy(update={"tool_calls": calls[:1]}), *rest]


class ScriptedModel:
    """Answers requests from a script, in this process.

    Of one conversation it keeps nothing but how often each fault was served. The same request gets the same bytes:
    ids are made from the request, and `created` is fixed. Not for use by several threads at once.

    Attributes:
        script: What it answers from.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self._in_text = script.protocol == "react"
        self._places: list[_Place] = []
        self._firsts: list[int] = []
        self._faults: dict[int, list[FaultEntry]] = {}
        for entry in script.answers:
            if isinstance(entry, FaultEntry):
                self._faults.setdefault(len(self._places), []).append(entry)
            else:
                self._firsts.append(len(self._places))
                self._places.extend(map(_Place, one_call_a_turn(entry) if self._in_text else (entry,)))
        self._served: dict[str, dict[int, int]] = {}
        self._digest = hashlib.blake2b(to_json(script.model_dump()), digest_size=16).digest()
        self._static = lru_cache(maxsize=256)(self._render_static)

    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        """The answer to a Chat Completions request.

        Args:
            request: The parsed body.
            key: Names the conversation: faults are counted for each key and each answer.

        Returns:
            The reply, or an error in OpenAI's shape: 400 when the script has no answer for this request, when a value
            that it refers to is missing there, or when the request is no Chat Completions request.
        """
        try:
            turn = TextTurn.in_text(request, self._firsts) if self._in_text else Turn.of(request)
        except BadRequestShapeError as error:
            return error_reply(400, f"the request is wrong: {error}")
        stream = request.get("stream") is True
        fault = self._due_fault(key, turn.step)
        if fault is not None and (reply := fault_reply(fault, stream)):
            return reply
        if fault is not None and fault.empty_answer:
            return self._dress(request, self._render(EMPTY, stream), None, fault)
        place = self._place(turn.step)
        if place is None:
            reason = f"it has {len(self._places)}, counted from 0: add an answer, or set repeat_last"
            return error_reply(400, f"the script has no answer {turn.step}: {reason}", code=SCRIPT_ERROR)
        try:
            rendered = self._fill(place, turn, stream) if fault is None else self._spoilt(place, turn, request, fault)
        except MissingValueError as error:
            return error_reply(400, f"answer {turn.step} of the script: {error}", code=SCRIPT_ERROR)
        return self._dress(request, rendered, place.answer.usage, fault)

    def forget(self, key: str) -> None:
        """Start counting faults anew for a conversation."""
        self._served.pop(key, None)

    def _due_fault(self, key: str, step: int) -> Fault | None:
        entries = self._faults.get(step)
        if entries is None:
            return None
        counts = self._served.setdefault(key, {})
        served = counts.get(step, 0)
        for entry in entries:
            if served < entry.times:
                counts[step] = counts.get(step, 0) + 1
                return entry.fault
            served -= entry.times
        return None

    def _place(self, step: int) -> _Place | None:
        if step < len(self._places):
            return self._places[step]
        return self._places[-1] if self.script.repeat_last else None

    def _spoilt(self, place: _Place, turn: Turn, request: Mapping[str, Any], fault: Fault) -> Rendered:
        choice = fault_choice(fault, place.choice(turn), request)
        if choice is None:
            raise MissingValueError(f"it cannot have the fault {fault.altered}")
        return self._render(choice, request.get("stream") is True)

    def _fill(self, place: _Place, turn: Turn, stream: bool) -> Rendered:
        if place.static:
            return self._static(place, turn.number, turn.step, stream)
        return self._render(place.choice(turn), stream)

    def _render(self, choice: Choice, stream: bool) -> Rendered:
        choice = in_text(choice) if self._in_text else choice
        return render(choice, stream=stream, together=self.script.tool_call_deltas == "together")

    def _render_static(self, place: _Place, number: int, step: int, stream: bool) -> Rendered:
        return self._render(place.choice(Turn(number, step, ())), stream)

    def _dress(
        self, request: Mapping[str, Any], rendered: Rendered, usage: ScriptedUsage | None, fault: Fault | None
    ) -> Reply:
        envelope = self._envelope(request, rendered, usage)
        if request.get("stream") is True:
            options = request.get("stream_options")
            include_usage = isinstance(options, Mapping) and options.get("include_usage") is True
            reply = Reply(200, STREAM_TYPE, {}, envelope.events(rendered.choices, include_usage=include_usage))
        else:
            reply = Reply(200, JSON_TYPE, {}, envelope.whole(rendered.choices[0]))
        if fault is None:
            return reply
        if fault.truncate:
            reply = replace(reply, chunks=cut(reply.chunks), ending="truncate")
        return replace(reply, delay=fault.delay, pause=fault.pause)

    def _envelope(self, request: Mapping[str, Any], rendered: Rendered, usage: ScriptedUsage | None) -> Envelope:
        content = to_json([request["messages"], request.get("tools")])
        digest = hashlib.blake2b(content, digest_size=12, key=self._digest).hexdigest()
        model = request.get("model")
        return Envelope(
            id=f"chatcmpl-{digest}",
            model=model if isinstance(model, str) else "script",
            prompt_tokens=usage.prompt_tokens if usage else len(content) // 4,
            completion_tokens=usage.completion_tokens if usage else max(1, rendered.size // 4),
        )


def fault_choice(fault: Fault, choice: Choice, request: Mapping[str, Any]) -> Choice | None:
    """What a fault makes of the answer to a request: the same where it alters none; None where it does not fit."""
    if fault.empty_answer:
        return EMPTY
    if fault.finish_reason_length:
        return choice.cut()
    return choice if fault.altered is None else altered(choice, fault.altered, request)


def fault_reply(fault: Fault, stream: bool) -> Reply | None:
    """What a fault sends by itself; None when it only alters the answer, or when it comes."""
    kind = STREAM_TYPE if stream else JSON_TYPE
    if fault.status is not None:
        headers = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after:g}"}
        message = fault.message or f"scripted fault: status {fault.status}"
        return error_reply(fault.status, message, code=_CODES.get(fault.status), headers=headers, delay=fault.delay)
    if fault.disconnect:
        return Reply(0, "", delay=fault.delay, ending="disconnect")
    if fault.stall:
        return Reply(200, kind, delay=fault.delay, ending="stall")
    if fault.html:
        page = b"<!DOCTYPE html><html><body><h1>Bad gateway</h1></body></html>"
        return Reply(200, HTML_TYPE, chunks=(page,), delay=fault.delay)
    if fault.not_json:
        return Reply(200, kind, chunks=(b"data: {not json\n\n",) if stream else (b"{not json",), delay=fault.delay)
    if fault.empty_choices:
        envelope = Envelope("chatcmpl-empty", "script", 0, 0)
        chunks: tuple[bytes, ...] = envelope.events((b"[]",), include_usage=False) if stream else envelope.whole(b"[]")
        return Reply(200, kind, chunks=chunks, delay=fault.delay)
    return None

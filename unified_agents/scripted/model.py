"""A scripted model: it answers Chat Completions requests from a file.

    tool_call_deltas: separate    # or `together`: when streamed, all calls of an answer come in one delta
    repeat_last: false            # true: the last answer comes for ever, a model that never stops
    prompt_cache: false           # true: the usage says what the provider's prompt cache would have saved
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
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from unified_agents.config.providers import ProtocolName
from unified_agents.errors import ConfigError
from unified_agents.scripted.format import Fault, FaultEntry, Script, ScriptedAnswer, ScriptedCall, ScriptedUsage
from unified_agents.scripted.mutations import altered
from unified_agents.scripted.prompt_cache import PromptCache
from unified_agents.scripted.rendering.chat_completions import (
    HTML_TYPE,
    JSON_TYPE,
    STREAM_TYPE,
    Envelope,
    Rendered,
    RenderedCall,
    RenderedChoice,
    as_react_text,
    cut,
    error_reply,
    render,
)
from unified_agents.scripted.values import BadRequestShapeError, ConversationTurn, ReactTurn, Slot
from unified_agents.tools.json_pointer import MissingValueError
from unified_agents.tools.json_values import to_json
from unified_agents.wire.http_errors import SCRIPT_ERROR
from unified_agents.wire.local_upstream import Reply

__all__ = ["Fault", "FaultEntry", "Reply", "Script", "ScriptedAnswer", "ScriptedCall", "ScriptedModel", "ScriptedUsage"]

EMPTY_CHOICE = RenderedChoice(None, (), "stop")
"""An answer without text and without calls."""

ERROR_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


class _CompiledAnswer:
    """An answer of a script whose references are compiled."""

    __slots__ = ("answer", "arguments", "static", "text")

    def __init__(self, answer: ScriptedAnswer) -> None:
        self.answer = answer
        self.text = None if answer.text is None else Slot(answer.text)
        self.arguments = [Slot(call.arguments) for call in answer.tool_calls]
        self.static = all(slot.static for slot in (*self.arguments, *([self.text] if self.text else ())))

    def choice(self, turn: ConversationTurn) -> RenderedChoice:
        calls = tuple(
            RenderedCall(
                f"call_{turn.number}_{turn.step}_{index}" if call.id is None else call.id,
                call.name,
                arguments.text(turn),
            )
            for index, (call, arguments) in enumerate(zip(self.answer.tool_calls, self.arguments, strict=True))
        )
        finish_reason = self.answer.finish_reason or ("tool_calls" if calls else "stop")
        return RenderedChoice(self.text.text(turn) if self.text else None, calls, finish_reason, self.answer.reasoning)


@dataclass(slots=True, frozen=True)
class DueAnswer:
    """The answer that a script has for a request.

    Attributes:
        choice: What it says; None for an answer without any choice.
        usage: The tokens that it reports; None counts them.
        fault: What is wrong with it; None for nothing.
    """

    choice: RenderedChoice | None
    usage: ScriptedUsage | None
    fault: Fault | None


def split_into_single_calls(answer: ScriptedAnswer) -> list[ScriptedAnswer]:
    """Split an answer into answers of one call each, as the ReAct protocol needs them."""
    calls = answer.tool_calls
    if len(calls) < 2:
        return [answer]
    rest = [answer.model_copy(update={"tool_calls": (call,), "text": None}) for call in calls[1:]]
    return [answer.model_copy(update={"tool_calls": calls[:1]}), *rest]


class ScriptedModel:
    """A model that answers requests from a script, in this process.

    Of one conversation it keeps nothing but how often each fault was served. The same request gets the same bytes:
    ids are made from the request, and `created` is fixed. Not for use by several threads at once.

    Attributes:
        script: What it answers from.
        thinks: Whether an answer of the script has `reasoning`.
    """

    def __init__(self, script: Script) -> None:
        if not isinstance(script, Script):
            kind = type(script).__name__
            raise ConfigError(
                f"ScriptedModel: give a Script, by Script.load(…) or Script.model_validate(…), not {kind}"
            )
        self.script = script
        self._is_react = script.protocol == "react"
        self._prompt_cache = PromptCache() if script.prompt_cache else None
        self.thinks = any(not isinstance(entry, FaultEntry) and entry.reasoning for entry in script.answers)
        self._answers: list[_CompiledAnswer] = []
        self._first_calls: list[int] = []
        self._faults: dict[int, list[FaultEntry]] = {}
        for entry in script.answers:
            if isinstance(entry, FaultEntry):
                self._faults.setdefault(len(self._answers), []).append(entry)
            else:
                self._first_calls.append(len(self._answers))
                self._answers.extend(
                    map(_CompiledAnswer, split_into_single_calls(entry) if self._is_react else (entry,))
                )
        self._served: dict[str, dict[int, int]] = {}
        self._digest = hashlib.blake2b(to_json(script.model_dump(exclude={"prompt_cache"})), digest_size=16).digest()
        self._static = lru_cache(maxsize=256)(self._render_static)

    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        """Answer a Chat Completions request.

        Args:
            request: The parsed body.
            key: Names the conversation: faults are counted for each key and each answer.

        Returns:
            The reply, or an error in OpenAI's shape: 400 when the script has no answer for this request, when a value
            that it refers to is missing there, or when the request is no Chat Completions request.
        """
        try:
            turn = self._turn(request)
        except BadRequestShapeError as error:
            return error_reply(400, f"the request is wrong: {error}")
        stream = request.get("stream") is True
        fault = self._due_fault(key, turn.step)
        if fault is not None and (reply := fault_reply(fault, stream)):
            return reply
        if fault is not None and fault.empty_answer:
            return self._complete_reply(request, self._render(EMPTY_CHOICE, stream), None, fault)
        compiled = self._answer_at(turn.step)
        if compiled is None:
            return self._used_up(turn.step)
        try:
            rendered = self._render_answer(compiled, turn, request, fault)
        except MissingValueError as error:
            return error_reply(400, f"answer {turn.step} of the script: {error}", code=SCRIPT_ERROR)
        return self._complete_reply(request, rendered, compiled.answer.usage, fault)

    def due(self, request: Mapping[str, Any], key: str) -> DueAnswer | Reply:
        """Return what a request in Chat Completions terms is to be answered, for another protocol to write it.

        Returns:
            The answer; or a reply for an error, in OpenAI's shape, and for a fault that is no answer.
        """
        turn = self._turn(request)
        fault = self._due_fault(key, turn.step)
        if fault is not None and (fault.empty_choices or fault.empty_answer):
            return DueAnswer(None if fault.empty_choices else EMPTY_CHOICE, None, fault)
        if fault is not None and (reply := fault_reply(fault, request.get("stream") is True)):
            return reply
        compiled = self._answer_at(turn.step)
        if compiled is None:
            return self._used_up(turn.step)
        try:
            choice = self._choice(compiled, turn, request, fault)
        except MissingValueError as error:
            return error_reply(400, f"answer {turn.step} of the script: {error}", code=SCRIPT_ERROR)
        return DueAnswer(as_react_text(choice) if self._is_react else choice, compiled.answer.usage, fault)

    def _turn(self, request: Mapping[str, Any]) -> ConversationTurn:
        return ReactTurn.of_text(request, self._first_calls) if self._is_react else ConversationTurn.of(request)

    def envelope(
        self, request: Mapping[str, Any], due: DueAnswer, protocol: ProtocolName, body: Mapping[str, Any]
    ) -> Envelope:
        """Return what stands beside an answer in another protocol: its id, the model's name and the tokens.

        Args:
            request: The request in Chat Completions terms.
            due: The answer.
            protocol: The protocol.
            body: The request as it came.
        """
        size = 0 if due.choice is None else render(due.choice, stream=False, together=False).size
        return self._envelope(request, Rendered((), size), due.usage, protocol, body)

    def _used_up(self, step: int) -> Reply:
        last = len(self._answers) - 1
        used = "answer 0 is" if last == 0 else f"answers 0 to {last} are"
        reason = f"{used} used up: add an answer, or set repeat_last"
        return error_reply(400, f"the script has no answer {step}: {reason}", code=SCRIPT_ERROR)

    def forget(self, key: str) -> None:
        """Forget how often faults were served in a conversation."""
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

    def _answer_at(self, step: int) -> _CompiledAnswer | None:
        if step < len(self._answers):
            return self._answers[step]
        return self._answers[-1] if self.script.repeat_last else None

    def _render_answer(
        self, compiled: _CompiledAnswer, turn: ConversationTurn, request: Mapping[str, Any], fault: Fault | None
    ) -> Rendered:
        stream = request.get("stream") is True
        if compiled.static and fault is None:
            return self._static(compiled, turn.number, turn.step, stream)
        return self._render(self._choice(compiled, turn, request, fault), stream)

    def _choice(
        self, compiled: _CompiledAnswer, turn: ConversationTurn, request: Mapping[str, Any], fault: Fault | None
    ) -> RenderedChoice:
        choice = compiled.choice(turn)
        if fault is None:
            return choice
        altered = fault_choice(fault, choice, request)
        if altered is None:
            raise MissingValueError(f"it cannot have the fault {fault.altered}")
        return altered

    def _render(self, choice: RenderedChoice, stream: bool) -> Rendered:
        choice = as_react_text(choice) if self._is_react else choice
        return render(choice, stream=stream, together=self.script.tool_call_deltas == "together")

    def _render_static(self, compiled: _CompiledAnswer, number: int, step: int, stream: bool) -> Rendered:
        return self._render(compiled.choice(ConversationTurn(number, step, ())), stream)

    def _complete_reply(
        self, request: Mapping[str, Any], rendered: Rendered, usage: ScriptedUsage | None, fault: Fault | None
    ) -> Reply:
        envelope = self._envelope(request, rendered, usage, "chat_completions", request)
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

    def _envelope(
        self,
        request: Mapping[str, Any],
        rendered: Rendered,
        usage: ScriptedUsage | None,
        protocol: ProtocolName,
        body: Mapping[str, Any],
    ) -> Envelope:
        content = to_json([request["messages"], request.get("tools")])
        digest = hashlib.blake2b(content, digest_size=12, key=self._digest).hexdigest()
        named = request.get("model")
        model = named if isinstance(named, str) else "script"
        envelope = Envelope(
            id=f"chatcmpl-{digest}",
            model=model,
            prompt_tokens=usage.prompt_tokens if usage else len(content) // 4,
            completion_tokens=usage.completion_tokens if usage else max(1, rendered.size // 4),
        )
        if self._prompt_cache is not None and usage is None:
            prompt = self._prompt_cache.take(protocol, model, body)
            envelope.prompt_tokens, envelope.cached_tokens = prompt.tokens, prompt.read
            envelope.cache_write_tokens = prompt.written
        return envelope


def fault_choice(fault: Fault, choice: RenderedChoice, request: Mapping[str, Any]) -> RenderedChoice | None:
    """Apply a fault to the answer to a request, which many faults leave as it is; None where the fault does not fit."""
    if fault.empty_answer:
        return EMPTY_CHOICE
    if fault.finish_reason_length:
        return choice.cut()
    return choice if fault.altered is None else altered(choice, fault.altered, request)


def fault_reply(fault: Fault, stream: bool) -> Reply | None:
    """Make the reply of a fault that needs no answer; None for a fault that alters or delays the answer."""
    kind = STREAM_TYPE if stream else JSON_TYPE
    if fault.status is not None:
        headers = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after:g}"}
        message = fault.message or f"scripted fault: status {fault.status}"
        return error_reply(
            fault.status, message, code=ERROR_CODES.get(fault.status), headers=headers, delay=fault.delay
        )
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

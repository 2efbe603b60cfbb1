"""The text protocol of variant `react`: loops see tool calls, and the model sees plain text.

A loop, of whatever framework, is given one canonical action or answer, with the call under its id beside the
text. The model is sent no `tools`: they stand in the system text, and results go out as user messages.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from unified_agents import wording
from unified_agents.run.calls import Step
from unified_agents.tools.offer import Offer
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.chat_completions_fields import RawCall
from unified_agents.wire.react.parser import ReactParseError, Reading, begins_answer, may_become_mark, read_turn
from unified_agents.wire.steps import call_for_framework

_A_MARK = re.compile(r"(action|answer|observation|thought)([ _*`0-9]*[:：])", re.IGNORECASE)


class TextProtocol:
    """Writes requests of the ReAct protocol, and reads its answers, for one agent."""

    def __init__(self) -> None:
        self._prompts: weakref.WeakKeyDictionary[Offer, str] = weakref.WeakKeyDictionary()

    def prompt(self, offer: Offer) -> str:
        """Return what the model is told of its tools and of the form of its turns; empty without tools."""
        prompt = self._prompts.get(offer)
        if prompt is None:
            tools = [(name, tool.description, tool.parameters) for name, tool in offer.tools.items()]
            prompt = self._prompts[offer] = wording.react_instructions(tools) if tools else ""
        return prompt

    def written(self, messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Return messages as they are sent to the model.

        Args:
            messages: In tool-calling terms, or in text already. Results stand with the turn that they belong to.
        """
        written: list[Mapping[str, Any]] = []
        ignored: tuple[str, ...] = ()
        for message in messages:
            role, content = message.get("role"), message.get("content")
            if role == "assistant" and message.get("tool_calls"):
                text, ignored = _turn(message)
                written.append({"role": "assistant", "content": text})
            elif role == "tool" or wording.is_observation(message):
                observation = content if role == "user" else _observation(content)
                note = wording.react_one_action(ignored) if ignored else None
                written.append({"role": "user", "content": _with_note(observation, note)})
                ignored = ()
            else:
                written.append(message)
        return written

    def read(self, answer: Answer, *, without_tools: bool = False) -> str | None:
        """Put the call or the final answer of a turn into the answer, in place of the text that says so.

        Args:
            answer: What came; left as it is where it cannot be read.
            without_tools: Whether an action is out of place.

        Returns:
            What the model is told of a turn that cannot be read; None for one that can.
        """
        if answer.calls:
            del answer.calls[1:]  # one action a turn, also for a model that calls tools unasked
            return None
        try:
            reading = read_turn(answer.text or "")
        except ReactParseError as error:
            return wording.react_unreadable(str(error))
        if reading.action is None:
            answer.text = reading.answer
            return None
        if without_tools:
            return wording.react_no_action()
        answer.text = reading.kept
        answer.calls = [RawCall("", reading.action.name, reading.action.arguments)]
        return None

    def ignored(self, answer: Answer) -> tuple[str, ...]:
        """Return the actions of an answer, once it was read, that are not carried out."""
        reading = _read(answer.text or "") if answer.calls else None
        return reading.ignored if reading is not None else ()

    def canonical(self, answer: Answer, step: Step, *, hidden: bool = False) -> str:
        """Return a turn in the form that every framework's own parser reads, whatever the model wrote.

        Args:
            answer: What was read.
            step: The step that it became.
            hidden: Whether the framework knows no tool but the reserved one.
        """
        if not step.calls:
            return wording.react_answer("", answer.text or "")
        call, reading = step.calls[0], _read(answer.text or "")
        thought = _plain(reading.thought) if reading is not None else ""
        return wording.react_turn(thought, [call_for_framework(call, by_id=hidden)])


MAX_MARK_CHARS = 500
"""A line whose mark ends later than this is not streamed."""


class FinalText:
    """A filter of a streamed turn: it lets through what follows the final answer's mark, as soon as that is certain.

    Where an answer begins in another way than with its mark on a line of its own, nothing goes out before `rest`.
    """

    def __init__(self) -> None:
        self._line = ""
        self._held: list[str] = []
        self._sent = 0
        self._is_final: bool | None = None

    def feed(self, piece: str) -> str:
        """Take in a piece, and return what may go out by now."""
        if self._is_final is None:
            piece = self._decide(piece)
        if not self._is_final:
            return ""
        piece = piece if self._sent else piece.lstrip()
        self._held.append(piece)
        if not piece.strip():
            return ""
        text = "".join(self._held)
        out = text.rstrip()  # space at the end may be the answer's end, which has none
        self._held = [text[len(out) :]]
        self._sent += len(out)
        return out

    def rest(self, answer: str) -> str:
        """Return what of the final answer has not gone out."""
        return answer[self._sent :]

    def _decide(self, piece: str) -> str:
        if len(self._line) > MAX_MARK_CHARS:  # no mark begins so late: what is left of the line is not read again
            head, newline, piece = piece.partition("\n")
            end = self._line[-2:] + head
            if "```" in end:
                self._is_final = False
                return ""
            self._line = "" if newline else self._line[:MAX_MARK_CHARS] + end[-3:]
            if not newline:
                return ""
        lines = (self._line + piece).split("\n")
        for number, line in enumerate(lines):
            self._is_final, begin = begins_answer(line, ended=number < len(lines) - 1)
            if self._is_final:
                return "\n".join(lines[number:])[begin:]
            if self._is_final is False:
                return ""
        # The last line may still become the mark, so it is read again with the next piece.
        self._line = lines[-1]
        if len(self._line) > MAX_MARK_CHARS and may_become_mark(self._line):
            self._is_final = False
        return ""


def _turn(message: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Return an assistant turn as text, and the actions in it that were not carried out."""
    text, calls = message.get("content") or "", message["tool_calls"]
    reading = _read(text) if isinstance(text, str) else None
    if reading is not None and reading.action is not None:
        return text, reading.ignored if len(calls) == 1 else ()
    actions = [(call["function"]["name"], call["function"].get("arguments") or "{}") for call in calls]
    return wording.react_turn(text if isinstance(text, str) else "", actions), ()


def _read(text: str) -> Reading | None:
    try:
        return read_turn(text)
    except ReactParseError:
        return None


def _observation(content: Any) -> Any:
    if isinstance(content, list):
        return [{"type": "text", "text": wording.OBSERVATION}, *content]
    return wording.observation(content or "")


def _with_note(content: Any, note: str | None) -> Any:
    if note is None:
        return content
    return [*content, {"type": "text", "text": note}] if isinstance(content, list) else f"{content}\n\n{note}"


def _plain(thought: str) -> str:
    """Return a thought without anything that a parser could take for a mark."""
    return _A_MARK.sub(r"\1", " ".join(thought.split()))

"""The wire's side of variant `react`: tool calling on the side of the loops, plain text on the side of the model.

A loop, whatever framework it is of, is given one canonical action or answer, with the call under its id beside the
text. The model is sent no `tools`: they stand in the system text, and results go out as user messages.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from unified_agents import wording
from unified_agents.run.calls import Step
from unified_agents.tools.offer import INVALID_CALL_TOOL, Offer
from unified_agents.wire.conversation import with_system_text
from unified_agents.wire.protocols.chat_completions import Answer, RawCall
from unified_agents.wire.react.parser import ReactParseError, Reading, begins_answer, read_turn

_A_MARK = re.compile(r"(action|answer|observation|thought)([ _*`0-9]*[:：])", re.IGNORECASE)


class TextProtocol:
    """Writes requests of the ReAct protocol, and reads its answers, for one agent."""

    def __init__(self) -> None:
        self._prompts: weakref.WeakKeyDictionary[Offer, str] = weakref.WeakKeyDictionary()

    def prompt(self, offer: Offer) -> str:
        """What the model is told of its tools and of the form of its turns; empty without tools."""
        prompt = self._prompts.get(offer)
        if prompt is None:
            tools = [(name, tool.description, tool.parameters) for name, tool in offer.tools.items()]
            prompt = self._prompts[offer] = wording.react_instructions(tools) if tools else ""
        return prompt

    def messages(
        self, messages: Sequence[Mapping[str, Any]], offer: Offer | None, *, notes: Sequence[str] = ()
    ) -> list[Mapping[str, Any]]:
        """The conversation as the model is sent it.

        Args:
            messages: In tool-calling terms, or in text already.
            offer: The tools that the model is told of; None for none.
            notes: More system text.
        """
        said = [text for text in (*([] if offer is None else [self.prompt(offer)]), *notes) if text]
        written: list[Mapping[str, Any]] = []
        left: tuple[str, ...] = ()
        for message in messages:
            role, content = message.get("role"), message.get("content")
            if role == "assistant" and message.get("tool_calls"):
                text, left = _turn(message)
                written.append({"role": "assistant", "content": text})
            elif role == "tool" or wording.is_observation(message):
                observed = content if role == "user" else _observed(content)
                note = wording.react_one_action(left) if left else None
                written.append({"role": "user", "content": _with_note(observed, note)})
                left = ()
            else:
                written.append(message)
        for text in said:
            written = with_system_text(written, text)
        return written

    def read(self, answer: Answer, *, without_tools: bool = False) -> str | None:
        """Put the call, or the final answer, into an answer, in place of the text that says so.

        Args:
            answer: What came; left as it is where it cannot be read.
            without_tools: Whether an action is out of place.

        Returns:
            What the model shall be told; None when its turn can be read.
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
        """The actions of a read answer that are not carried out."""
        reading = _read(answer.text or "") if answer.calls else None
        return reading.ignored if reading is not None else ()

    def own_turns(self, messages: Sequence[Mapping[str, Any]], steps: Sequence[Step]) -> list[Mapping[str, Any]]:
        """A framework's conversation with each turn of this run as the model wrote it; the last ones are the run's."""
        turns = list(messages)
        places = [place for place, message in enumerate(turns) if message.get("role") == "assistant"]
        for place, step in zip(reversed(places), reversed(steps), strict=False):
            turns[place] = step.message
        return turns

    def canonical(self, answer: Answer, step: Step, *, hidden: bool = False) -> str:
        """A turn for a framework's own parser, which never sees what the model made of the form.

        Args:
            answer: What was read.
            step: The step that it became.
            hidden: Whether the framework knows no tool but the reserved one.
        """
        if not step.calls:
            return wording.react_answer("", answer.text or "")
        call = step.calls[0]
        reading = _read(answer.text or "")
        thought = _plain(reading.thought) if reading is not None else ""
        hidden = hidden or call.problem is not None
        name = INVALID_CALL_TOOL if hidden else call.wire_name
        arguments = "{}" if hidden or not call.arguments.strip() else call.arguments
        return wording.react_turn(thought, [(name, arguments)])


class FinalText:
    """Lets through of a streamed turn what follows the final answer's mark, as soon as that is certain.

    Where an answer begins in another way than with its mark on a line of its own, nothing goes out before `rest`.
    """

    def __init__(self) -> None:
        self._line = ""
        self._held = ""
        self._sent = 0
        self._is_final: bool | None = None

    def feed(self, piece: str) -> str:
        """Take in a piece; returns what may go out."""
        if self._is_final is None:
            piece = self._decide(piece)
        if not self._is_final:
            return ""
        text = self._held + piece
        said = text.rstrip()
        out = said if self._sent else said.lstrip()
        self._held = text[len(said) :] if out or self._sent else ""
        self._sent += len(out)
        return out

    def rest(self, answer: str) -> str:
        """What of the final answer has not gone out."""
        return answer[self._sent :]

    def _decide(self, piece: str) -> str:
        lines = (self._line + piece).split("\n")
        for number, line in enumerate(lines):
            self._is_final, begin = begins_answer(line, ended=number < len(lines) - 1)
            if self._is_final:
                return "\n".join(lines[number:])[begin:]
            if self._is_final is False:
                return ""
        self._line = lines[-1]
        return ""


def _turn(message: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """An assistant turn as text, and the actions in it that were not carried out."""
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


def _observed(content: Any) -> Any:
    if isinstance(content, list):
        return [{"type": "text", "text": wording.OBSERVATION}, *content]
    return wording.observation(content or "")


def _with_note(content: Any, note: str | None) -> Any:
    if note is None:
        return content
    return [*content, {"type": "text", "text": note}] if isinstance(content, list) else f"{content}\n\n{note}"


def _plain(thought: str) -> str:
    """A thought without anything that a parser could take for a mark."""
    return _A_MARK.sub(r"\1", " ".join(thought.split()))

"""The conversation that goes upstream: what a run was given and has recorded, never a framework's copy of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from unified_agents import wording
from unified_agents.messages import JsonObject, Message
from unified_agents.run.calls import Call, Step, ToolOutcome
from unified_agents.run.context import Run
from unified_agents.wire.original_turns import LeftBehind, body_for
from unified_agents.wire.protocols.base import ConversationWriter
from unified_agents.wire.react.protocol import TextProtocol
from unified_agents.wire.request import RequestWriter, with_tool_names


class RunConversation:
    """The conversation of one run as one model gets it. Each message is encoded once, and what is sent grows.

    Args:
        run: The run.
        requests: Writes the requests to the model. What its dialect is now holds for this conversation.
        protocol: The text protocol of variant `react`; None where the model calls tools.
        origin: What the original turns of the model are known by; None where none shall go back.
        place: Where images and files of tool results go; False where they are told of in words.

    Attributes:
        dialect: The optional fields that the server takes.
        system: The system message at the beginning, without what the wire adds to it; None where there is none.
        origin: That of the arguments.
        left_behind: The original turns that stayed behind, because another model wrote them.
    """

    __slots__ = (
        "_origin",
        "_place",
        "_protocol",
        "_run",
        "_steps",
        "_writer",
        "dialect",
        "left_behind",
        "origin",
        "system",
    )

    def __init__(
        self,
        run: Run,
        requests: RequestWriter,
        protocol: TextProtocol | None,
        origin: JsonObject | None,
        place: Literal["tool", "user", False],
    ) -> None:
        self.dialect = requests.dialect
        self.origin = origin
        self.left_behind = LeftBehind()
        self._run = run
        self._protocol = protocol
        self._origin = origin if self.dialect.originals else None
        self._place = place
        self._steps = 0  # how many are written
        self.system, given = _beginning(run)
        self._writer = requests.conversation(self._given(given))

    def writer(self, more: Sequence[Mapping[str, Any]] = (), *, with_open_step: bool = False) -> ConversationWriter:
        """Return what writes the conversation as far as the run has recorded it.

        Args:
            more: Messages that come after it, in this request alone.
            with_open_step: Whether the last step counts too, with those of its calls that have a result.
        """
        writer, steps = self._writer, self._run.steps
        for step in steps[self._steps :]:
            done = _done(step)
            if len(done) < len(step.calls):
                break
            for message in self._messages_of(step, done):
                writer.add(message)
            self._steps += 1
        if with_open_step:
            open_steps = steps[self._steps :]
            more = [*(message for step in open_steps for message in self._messages_of(step, _done(step))), *more]
        if more:
            writer = writer.copy()
            for message in more:
                writer.add(message)
        return writer

    def turn(self, text: str | None, original: JsonObject | None) -> JsonObject:
        """Return an assistant turn without calls, with its original where the model gets that."""
        return self._with_original({"role": "assistant", "content": text}, original)

    def _given(self, messages: Sequence[Message]) -> Sequence[Mapping[str, Any]]:
        """Return the messages that the run was given, as they are written."""
        chat = [self._with_original(message.to_chat(), message.original) for message in messages]
        return with_tool_names(chat) if self._protocol is None else self._protocol.written(chat)

    def _messages_of(self, step: Step, done: Sequence[tuple[Call, ToolOutcome]]) -> Iterable[Mapping[str, Any]]:
        """Return the turn of a step with the calls that have a result, and the results."""
        turn = step.message
        if len(done) == len(step.calls):
            turn = turn if step.original is None else self._with_original(turn, step.original)
        elif done:
            turn = turn | {"tool_calls": [turn["tool_calls"][call.index] for call, _ in done]}
        else:
            return ()
        messages = [turn]
        for call, outcome in done:
            name = step.message["tool_calls"][call.index]["function"]["name"]  # some servers need it
            content = self._content(outcome) if outcome.parts else outcome.content
            messages.append({"role": "tool", "tool_call_id": call.id, "content": content, "name": name})
        if self._protocol is not None:
            return self._protocol.written(messages)
        if self._place == "user":
            attached = [part for call, outcome in done for part in _attached(call, outcome)]
            messages += [{"role": "user", "content": attached}] if attached else []
        return messages

    def _content(self, outcome: ToolOutcome) -> Any:
        """Return a result as its message holds it: with images and files, where they go there."""
        if not self._place or (self._place == "user" and self._protocol is None):
            return outcome.content
        if self._place == "tool":
            return [part.to_chat() for part in outcome.parts]
        return [part.to_user() or {"type": "text", "text": part.as_text()} for part in outcome.parts]

    def _with_original(self, turn: JsonObject, original: JsonObject | None) -> JsonObject:
        if original is None or self._protocol is not None:  # in the text protocol a turn goes back as text
            return turn
        if (body := body_for(self._origin, original)) is None:
            self.left_behind.add(original)
            return turn
        return turn | {"original": body}


def _done(step: Step) -> list[tuple[Call, ToolOutcome]]:
    """Return the calls of a step that have a result, each with it."""
    return [(call, call.outcome) for call in step.calls if call.outcome is not None]


def _beginning(run: Run) -> tuple[JsonObject | None, Sequence[Message]]:
    """Return the system message at a run's beginning, and the messages that it was given after it."""
    given = run.messages
    if run.instructions is not None:
        return {"role": "system", "content": run.instructions}, given
    if given and given[0].role in ("system", "developer"):
        return given[0].to_chat(), given[1:]
    return None, given


def _attached(call: Call, outcome: ToolOutcome) -> list[JsonObject]:
    """Return the images and files of a result that user messages take, after a line that says whose they are."""
    content = [taken for part in outcome.parts if part.type != "text" and (taken := part.to_user()) is not None]
    return [{"type": "text", "text": wording.attached_result(call.wire_name, call.id)}, *content] if content else []

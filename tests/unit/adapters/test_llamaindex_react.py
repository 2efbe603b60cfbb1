"""What variant `react` takes for granted of LlamaIndex's `ReActAgent`, and what it shields it from."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings, strategies as st

pytest.importorskip("llama_index.core")

from llama_index.core.agent.react.output_parser import ReActOutputParser
from llama_index.core.agent.react.types import ActionReasoningStep, ResponseReasoningStep

from unified_agents.messages import JsonObject
from unified_agents.run.calls import Call, Step
from unified_agents.wire.protocols.chat_completions import parse_answer
from unified_agents.wire.react.protocol import TextProtocol

MARKS = st.sampled_from(
    ["Thought:", "Action:", "Action Input:", "Answer:", "Final Answer:", "Observation:", "\n", "{", "}"]
)
TEXTS = st.lists(MARKS | st.text(max_size=5), max_size=8).map(" ".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | MARKS,
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


def handed_on(text: str) -> str:
    """What the framework is given for a model's text; every call is taken for one that can be carried out."""
    body = {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}
    answer, protocol = parse_answer(json.dumps(body).encode()), TextProtocol()
    assert protocol.read(answer) is None
    message: JsonObject = {"role": "assistant", "content": answer.text}
    calls = [Call(0, place, "c", raw.name, raw.name, raw.arguments, None) for place, raw in enumerate(answer.calls)]
    return protocol.canonical(answer, Step(0, message, calls))


@settings(deadline=None, max_examples=200)
@given(TEXTS, st.dictionaries(st.text(min_size=1, max_size=8) | MARKS, VALUES, max_size=3))
def test_its_parser_reads_the_canonical_action(thought: str, arguments: dict[str, object]) -> None:
    line = " ".join(thought.split())
    text = f"Thought: I say {line}\nAction: add\nAction Input: {json.dumps(arguments)}"
    step = ReActOutputParser().parse(handed_on(text))
    assert isinstance(step, ActionReasoningStep)
    assert step.action == "add"


@settings(deadline=None, max_examples=200)
@given(TEXTS)
def test_its_parser_reads_the_canonical_answer(answer: str) -> None:
    step = ReActOutputParser().parse(handed_on(f"Final Answer: .{answer}"))
    assert isinstance(step, ResponseReasoningStep)
    assert step.response == f".{answer}".strip()


@pytest.mark.parametrize(
    "text", ["**Action:** add\n**Action Input:** {}", 'Action:\n```json\n{"action": "add", "action_input": {}}\n```']
)
def test_what_it_would_choke_on(text: str) -> None:
    """The negative control: handed on as it is, the parser fails or takes it for an answer."""
    parser = ReActOutputParser()
    assert isinstance(parser.parse(handed_on(text)), ActionReasoningStep)
    try:
        read = parser.parse(text)
    except ValueError:
        return
    assert not isinstance(read, ActionReasoningStep)

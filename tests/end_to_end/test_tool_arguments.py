"""A tool's function receives the same arguments on every backend, and invalid ones never reach it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from pydantic import BaseModel, Field

from support import BACKENDS, scripted_model
from unified_agents import Tool, create_agent

QUICK: dict[str, Any] = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "phases": [Phase.generate],  # an example runs agents: to make a failing one smaller would take minutes
    "suppress_health_check": list(HealthCheck),
}
NAMES = st.sampled_from(
    ["self", "config", "run_manager", "_x", "Content-Type", "kwargs", "args", "title", "$ref", "größe", "a.b", "input",
     "type", "name", "tool_call_id", "callbacks", "ctx"]
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A schema with values that fit it, and one that does not, with what is said of it."""

    schema: dict[str, Any]
    valid: st.SearchStrategy[Any]
    invalid: Any
    said: str


TREE: dict[str, Any] = {
    "type": "object",
    "properties": {"label": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}},
    "required": ["label"],
    "additionalProperties": False,
}
TREES = st.recursive(
    st.fixed_dictionaries({"label": st.text(max_size=4)}),
    lambda inner: st.fixed_dictionaries({"label": st.text(max_size=4), "children": st.lists(inner, max_size=2)}),
    max_leaves=4,
)
KINDS = [
    Kind({"type": "integer", "minimum": -3}, st.integers(-3, 10**18), "5", "must be an integer"),
    Kind({"type": "integer", "minimum": -3}, st.integers(-3, 9), -4, "must be at least -3"),
    Kind({"type": "number"}, st.floats(-9, 9, allow_nan=False).map(lambda x: x + 0.0), "x", "must be a number"),
    Kind({"type": "string", "maxLength": 8}, st.text(max_size=8), 5, "must be a string"),
    Kind({"type": "string", "pattern": "^[a-z]+$"}, st.from_regex("[a-z]+", fullmatch=True), "A", "must match"),
    Kind({"type": "boolean"}, st.booleans(), "true", "must be true or false"),
    Kind({"enum": ["rot", "grün", 3, None]}, st.sampled_from(["rot", "grün", 3, None]), "blau", 'must be "rot"'),
    Kind({"type": ["string", "null"]}, st.none() | st.text(max_size=3), 3, "a string"),
    Kind({"anyOf": [{"type": "integer"}, {"type": "null"}]}, st.none() | st.integers(), "x", "must be an integer"),
    Kind({"type": "array", "items": {"type": "integer"}, "minItems": 1},
         st.lists(st.integers(), min_size=1, max_size=3), [], "must have at least 1 items"),
    Kind({"$ref": "#/$defs/Tree"}, TREES, {"children": []}, "missing"),
    Kind({"type": "object", "additionalProperties": {"type": "integer"}},
         st.dictionaries(st.text(max_size=3), st.integers(), max_size=2), "x", "must be an object"),
]  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One call of one tool, and what must become of it."""

    parameters: dict[str, Any]
    arguments: dict[str, Any]
    path: str
    said: str

    @property
    def is_valid(self) -> bool:
        return not self.said


@st.composite
def cases(draw: st.DrawFn) -> Case:
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    kinds = {name: draw(st.sampled_from(KINDS)) for name in names}
    required = [name for name in names if draw(st.booleans())]
    parameters = {
        "type": "object",
        "properties": {name: kind.schema for name, kind in kinds.items()},
        "required": required,
        "additionalProperties": False,
        "$defs": {"Tree": TREE},
    }
    arguments = {name: draw(kind.valid) for name, kind in kinds.items() if name in required or draw(st.booleans())}
    fault = draw(st.sampled_from(["none", "none", "wrong", "extra", "missing"]))
    if fault == "wrong":
        name = draw(st.sampled_from(names))
        return Case(parameters, {**arguments, name: kinds[name].invalid}, name, kinds[name].said)
    if fault == "extra":
        return Case(parameters, {**arguments, "surplus": 1}, "surplus", "no such argument")
    if fault == "missing" and required:
        return Case(
            parameters, {key: arguments[key] for key in arguments if key != required[0]}, required[0], "missing"
        )
    return Case(parameters, arguments, "", "")


def run(backend: str, tools: list[Tool], calls: list[tuple[str, Any]]) -> list[Any]:
    """The records of all calls, which the model asks for at once."""
    asked = [{"name": name, "arguments": arguments} for name, arguments in calls]
    model = scripted_model({"tool_calls": asked}, {"text": "done"})
    return list(create_agent(backend=backend, model=model, tools=tools).run_sync("Go.").tool_calls)


def recording(received: dict[str, Any], name: str) -> Callable[..., str]:
    def handler(**arguments: Any) -> str:
        received[name] = arguments
        return "ok"

    return handler


@settings(max_examples=8, **QUICK)
@given(batch=st.lists(cases(), min_size=25, max_size=25))
def test_schema_tools_receive_the_same_everywhere(batch: list[Case]) -> None:
    told: dict[str, list[Any]] = {}
    for backend in BACKENDS:
        received: dict[str, Any] = {}
        tools = [
            Tool(name=f"t{place}", parameters=case.parameters, handler=recording(received, f"t{place}"))
            for place, case in enumerate(batch)
        ]
        calls = run(backend, tools, [(f"t{place}", case.arguments) for place, case in enumerate(batch)])
        told[backend] = [(call.ok, call.content, call.received) for call in calls]
        for place, (case, call) in enumerate(zip(batch, calls, strict=True)):
            if case.is_valid:
                assert received[f"t{place}"] == case.arguments
                assert json.dumps(received[f"t{place}"]) == json.dumps(case.arguments)  # 1 is not 1.0 or true
                assert call.ok
            else:
                assert f"t{place}" not in received
                assert call.error.kind == "invalid_input"
                assert case.path in call.content
                assert case.said in call.content
    assert all(outcome == told[BACKENDS[0]] for outcome in told.values())


def test_the_cases_hold_both_valid_and_invalid_ones() -> None:
    seen: set[str] = set()

    @settings(max_examples=60, **QUICK)
    @given(cases())
    def collect(case: Case) -> None:
        seen.add(case.said)

    collect()
    assert {"", "missing", "no such argument", "must be an integer"} <= seen


class Guest(BaseModel):
    name: str
    age: Annotated[int, Field(ge=0)] = 0


def booking(received: list[Any]) -> Callable[..., str]:
    def book(guest: Guest, seats: Annotated[int, Field(ge=1, le=9)], kind: Literal["a", "b"] = "a") -> str:
        """Book seats."""
        received.append((guest, seats, kind))
        return "booked"

    return book


GUESTS = st.fixed_dictionaries({"name": st.text(max_size=5)}, optional={"age": st.integers(0, 99)})
BOOKINGS = st.fixed_dictionaries(
    {"guest": GUESTS, "seats": st.integers(1, 9)}, optional={"kind": st.sampled_from(["a", "b"])}
)
BAD_BOOKINGS = st.sampled_from(
    [
        ({"guest": {"name": "x", "age": -1}, "seats": 1}, "guest.age: -1 given, must be at least 0"),
        ({"guest": {"name": 5}, "seats": 1}, "guest.name: 5 given, must be a string"),
        ({"guest": {"name": "x"}, "seats": "3"}, 'seats: "3" given, must be an integer'),
        ({"guest": {"name": "x"}}, "seats: missing"),
        ({"guest": {"name": "x"}, "seats": 3, "kind": "c"}, 'kind: "c" given'),
        ({"guest": {"name": "x"}, "seats": 3, "sort": "c"}, 'sort: "c" given, no such argument'),
    ]
)


@settings(max_examples=4, **QUICK)
@given(good=st.lists(BOOKINGS, min_size=10, max_size=10), bad=st.lists(BAD_BOOKINGS, min_size=8, max_size=8))
def test_functions_receive_the_same_everywhere(good: list[Any], bad: list[tuple[Any, str]]) -> None:
    for backend in BACKENDS:
        received: list[Any] = []
        tools: Any = [booking(received)]
        calls = run(backend, tools, [("book", arguments) for arguments in [*good, *(item for item, _ in bad)]])
        wanted = [(Guest(**item["guest"]), item["seats"], item.get("kind", "a")) for item in good]
        assert sorted(map(repr, received)) == sorted(map(repr, wanted))
        assert [call.ok for call in calls] == [True] * len(good) + [False] * len(bad)
        for call, (_, said) in zip(calls[len(good) :], bad, strict=True):
            assert said in call.content


# ---- lenient ----


@pytest.mark.parametrize("backend", BACKENDS)
def test_lenient_takes_what_is_meant_and_says_so(backend: str) -> None:
    received: dict[str, Any] = {}
    parameters = {
        "type": "object",
        "properties": {"count": {"type": "integer"}, "items": {"type": "array", "items": {"type": "number"}}},
        "required": ["count"],
    }
    tools = [
        Tool(name="lenient", parameters=parameters, handler=recording(received, "lenient"), coercion="lenient"),
        Tool(name="strict", parameters=parameters, handler=recording(received, "strict")),
    ]
    arguments = {"count": "5", "items": "[1, 2.5]"}
    calls = [{"name": tool.name, "arguments": arguments} for tool in tools]
    model = scripted_model({"tool_calls": calls}, {"text": "x"})
    result = create_agent(backend=backend, model=model, tools=tools).run_sync("Go.")
    lenient, strict = result.tool_calls
    assert received == {"lenient": {"count": 5, "items": [1, 2.5]}}
    assert set(lenient.coerced) == {'count: "5" taken as 5', 'items: "[1, 2.5]" taken as [1, 2.5]'}
    assert lenient.ok
    assert strict.coerced == ()
    assert not strict.ok
    events = {span.name: [(name, attributes) for name, _, attributes in span.events] for span in result.trace.walk()}
    ((name, attributes),) = events["execute_tool lenient"]
    assert name == "coerced"
    assert set(attributes["paths"]) == {"count", "items"}
    assert "5" not in str(attributes)  # no content of arguments in a trace
    assert events["execute_tool strict"] == []

"""Tools in other people's formats, in and out."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from unified_agents import (
    InvalidInputError,
    Tool,
    ToolContext,
    ToolDefinitionError,
    from_anthropic,
    from_mcp,
    from_openai,
    to_anthropic,
    to_mcp,
    to_openai,
    to_openai_responses,
    tool,
)

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "minLength": 1, "description": "Größe"}},
    "required": ["city"],
    "additionalProperties": False,
}
FUNCTION = {"name": "weather", "description": "The weather.", "parameters": SCHEMA}


def handler(**arguments: Any) -> Any:
    return arguments


@pytest.mark.parametrize(
    "definition",
    [
        {"type": "function", "function": FUNCTION},
        {"type": "function", "function": {**FUNCTION, "strict": True}},
        {"type": "function", **FUNCTION, "strict": False},
        FUNCTION,
    ],
)
def test_every_form_of_openai_is_read(definition: dict[str, Any]) -> None:
    made = from_openai(definition, handler, timeout=5)
    assert (made.name, made.description, made.parameters, made.timeout) == ("weather", "The weather.", SCHEMA, 5)
    assert made.validate('{"city": "Oslo"}') == {"city": "Oslo"}
    with pytest.raises(InvalidInputError, match="city: missing, required"):
        made.validate("{}")


def test_the_other_formats_are_read() -> None:
    assert from_anthropic({"name": "weather", "input_schema": SCHEMA}, handler).parameters == SCHEMA
    assert from_mcp({"name": "weather", "inputSchema": SCHEMA, "annotations": {}}, handler).parameters == SCHEMA


def test_a_function_without_parameters_takes_none() -> None:
    assert from_openai({"name": "now"}, handler).parameters == {"type": "object", "properties": {}}
    assert from_openai({"name": "now", "parameters": None}, handler).description == ""


@pytest.mark.parametrize(
    ("read", "definition"),
    [
        (from_openai, {"type": "web_search"}),
        (from_openai, {"type": "function", "function": "weather"}),
        (from_openai, "weather"),
        (from_openai, {"parameters": SCHEMA}),
        (from_anthropic, {"input_schema": SCHEMA}),
        (from_mcp, ["weather"]),
        (from_mcp, {"name": "weather", "inputSchema": "object"}),
        (from_mcp, {"name": "weather", "inputSchema": {"type": "strin"}}),
        (from_anthropic, {"name": "weather", "input_schema": {"$ref": "https://example.org/schema.json"}}),
    ],
)
def test_what_is_no_tool_is_refused(read: Any, definition: Any) -> None:
    with pytest.raises(ToolDefinitionError) as caught:
        read(definition, handler)
    assert "\n" not in str(caught.value)


def test_a_schema_is_data_and_never_run() -> None:
    evil = {"type": "object", "properties": {"x": {"pattern": "^a$", "default": "__import__('os').abort()"}}}
    made = from_openai({"name": "__import__('os').abort()", "parameters": evil}, handler)
    assert made.parameters == evil
    assert made.validate("{}") == {}


def test_each_format_has_its_own_keys() -> None:
    made = from_openai(FUNCTION, handler)
    assert to_openai(made) == {"type": "function", "function": FUNCTION}
    assert to_openai_responses(made) == {"type": "function", **FUNCTION, "strict": False}
    assert to_anthropic(made) == {"name": "weather", "description": "The weather.", "input_schema": SCHEMA}
    assert to_mcp(made) == {"name": "weather", "description": "The weather.", "inputSchema": SCHEMA}


def test_names_are_mapped_where_a_provider_needs_it() -> None:
    made = Tool(name="wetter.größe " + "x" * 80, parameters={}, handler=handler)
    for name in (to_openai(made)["function"]["name"], to_openai_responses(made)["name"], to_anthropic(made)["name"]):
        assert name.isascii()
        assert len(name) <= 64
        assert name.startswith("wetter_gr")
    assert to_mcp(made)["name"] == made.name


# ---- pydantic models ----


class Order(BaseModel):
    """Order things."""

    model_config = ConfigDict(extra="forbid")

    sku: str = Field(pattern="^[A-Z]+$", description="Which thing.")
    amount: Annotated[int, Field(ge=1)] = 1
    parts: list[Order] = []


def test_a_model_with_a_handler_is_a_tool() -> None:
    def place(order: Order, context: ToolContext) -> tuple[Order, str]:
        return order, context.call_id

    made = Tool.from_model(Order, place, name="place")
    assert made.description == "Order things."
    assert made.parameters["properties"]["sku"] == {
        "type": "string",
        "pattern": "^[A-Z]+$",
        "description": "Which thing.",
    }
    assert made.parameters["required"] == ["sku"]
    assert "description" not in made.parameters
    assert "title" not in made.parameters
    arguments = made.validate('{"sku": "AB", "amount": 2.0, "parts": [{"sku": "C"}]}')
    context = ToolContext(run_id="r", call_id="c7", step=0, tool="place")
    order, call_id = made.handler(**made.arguments_for(arguments, context))
    assert order == Order(sku="AB", amount=2, parts=[Order(sku="C")])
    assert call_id == "c7"


async def test_an_asynchronous_handler_stays_one() -> None:
    async def place(order: Order) -> str:
        """Place an order."""
        return order.sku

    made = Tool.from_model(Order, place, name="place")
    assert made.is_async
    assert made.description == "Place an order."
    assert await made.handler(sku="AB") == "AB"


def test_unpacked_the_handler_gets_keywords() -> None:
    made = Tool.from_model(Order, handler, name="place", unpack=True)
    assert made.handler(**made.validate('{"sku": "AB"}')) == {"sku": "AB"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ('{"sku": "ab"}', 'sku: "ab" given, must match ^[A-Z]+$'),
        ('{"sku": "AB", "amount": "2"}', 'amount: "2" given, must be an integer'),
        ('{"sku": "AB", "colour": 1}', "colour: 1 given, no such argument"),
        ('{"sku": "AB", "parts": [{"sku": 1}]}', "must be a string"),
        ("[]", "must be an object"),
    ],
)
def test_what_does_not_fit_the_model_is_told(arguments: str, said: str) -> None:
    made = Tool.from_model(Order, handler, name="place", unpack=True)
    with pytest.raises(InvalidInputError) as caught:
        made.validate(arguments)
    assert said in "; ".join(caught.value.problems)


@pytest.mark.parametrize(
    ("model", "function", "said"),
    [
        (dict, handler, "pydantic model's class"),
        (Order(sku="A"), handler, "pydantic model's class"),
        (Order, lambda: 1, "must take one argument"),
        (Order, lambda order, other: 1, "must take one argument"),
        (Order, lambda **arguments: 1, "unpack=True"),
        (Order, None, "must be callable"),
    ],
)
def test_bad_models_and_handlers_are_refused(model: Any, function: Any, said: str) -> None:
    with pytest.raises(ToolDefinitionError, match=said):
        Tool.from_model(model, function, name="place")


# ---- coercion ----


LENIENT_SCHEMA = {
    "type": "object",
    "properties": {
        "count": {"type": "integer"},
        "ratio": {"type": "number"},
        "flag": {"type": "boolean"},
        "note": {"type": ["string", "null"]},
        "gap": {"type": "null"},
        "level": {"enum": [1, 2, "three"]},
        "items": {"type": "array", "items": {"type": "integer"}},
        "size": {"type": "object", "properties": {"w": {"type": "integer"}}},
        "either": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    },
}


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ('{"count": "5"}', {"count": 5}),
        ('{"count": " -7 "}', {"count": -7}),
        ('{"count": "5.0"}', {"count": 5}),
        ('{"ratio": "1.5"}', {"ratio": 1.5}),
        ('{"flag": "True"}', {"flag": True}),
        ('{"note": 5}', {"note": "5"}),
        ('{"gap": "null"}', {"gap": None}),
        ('{"level": "2"}', {"level": 2}),
        ('{"items": "[1, 2]"}', {"items": [1, 2]}),
        ('{"items": ["1", 2]}', {"items": [1, 2]}),
        ('{"items": "[\\"1\\"]"}', {"items": [1]}),
        ('{"size": "{\\"w\\": 3}"}', {"size": {"w": 3}}),
        ('{"size": {"w": "3"}}', {"size": {"w": 3}}),
        ('{"either": "9"}', {"either": 9}),
    ],
)
def test_lenient_takes_what_a_text_spells(given: str, taken: dict[str, Any]) -> None:
    lenient = Tool(name="t", parameters=LENIENT_SCHEMA, handler=handler, coercion="lenient")
    strict = Tool(name="t", parameters=LENIENT_SCHEMA, handler=handler)
    assert lenient.validate(given) == taken
    assert lenient.accept(given).coerced
    with pytest.raises(InvalidInputError):
        strict.validate(given)


@pytest.mark.parametrize(
    "given",
    [
        '{"count": "five"}',
        '{"count": "5.5"}',
        '{"count": true}',
        '{"ratio": "nan"}',
        '{"ratio": "1e999"}',
        '{"flag": 1}',
        '{"flag": "yes"}',
        '{"level": "three!"}',
        '{"items": "1, 2"}',
        '{"items": "{}"}',
        "not json",
    ],
)
def test_lenient_guesses_nothing(given: str) -> None:
    with pytest.raises(InvalidInputError):
        Tool(name="t", parameters=LENIENT_SCHEMA, handler=handler, coercion="lenient").validate(given)


def test_what_fits_is_left_alone() -> None:
    lenient = Tool(name="t", parameters=LENIENT_SCHEMA, handler=handler, coercion="lenient")
    accepted = lenient.accept('{"note": "5", "count": 5, "level": "three"}')
    assert accepted.arguments == {"note": "5", "count": 5, "level": "three"}
    assert accepted.coerced == ()


def test_functions_and_models_can_be_lenient() -> None:
    @tool(coercion="lenient")
    def repeat(text: str, times: Annotated[int, Field(ge=1)]) -> str:
        return text * times

    assert repeat.coercion == "lenient"
    accepted = repeat.accept('{"text": 7, "times": "3"}')
    assert accepted.arguments == {"text": "7", "times": 3}
    assert {str(item) for item in accepted.coerced} == {'text: 7 taken as "7"', 'times: "3" taken as 3'}
    with pytest.raises(InvalidInputError, match="times: 0 given, must be at least 1"):
        repeat.validate('{"text": "a", "times": "0"}')
    made = Tool.from_model(Order, handler, name="place", unpack=True, coercion="lenient")
    assert made.validate('{"sku": "A", "parts": [{"sku": "B", "amount": "4"}]}')["parts"][0]["amount"] == 4


def test_another_policy_is_refused() -> None:
    bad: Any = "guess"
    with pytest.raises(ToolDefinitionError, match="strict or lenient"):
        Tool(name="t", parameters={}, handler=handler, coercion=bad)

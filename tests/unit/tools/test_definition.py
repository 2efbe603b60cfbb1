"""What can be a tool, what cannot, and what a tool is."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from pydantic import Field

from support import run_code
from unified_agents.errors import InvalidInputError, ToolDefinitionError
from unified_agents.tools.decorator import as_tool, tool
from unified_agents.tools.definition import Tool, ToolContext
from unified_agents.tools.options import ToolOptions

if TYPE_CHECKING:
    from decimal import Decimal

OBJECT = {"type": "object", "properties": {"a": {"type": "integer"}}}
CONTEXT = ToolContext(run_id="r", call_id="c", step=2, tool="t")


@tool
def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


class Greeter:
    def __init__(self, word: str) -> None:
        self.word = word

    def greet(self, name: str) -> str:
        return f"{self.word} {name}"

    async def __call__(self, name: str) -> str:
        """Greet."""
        return self.greet(name)


def test_a_decorated_function_is_a_tool_and_still_a_function() -> None:
    assert isinstance(add, Tool)
    assert (add.name, add.description, add.timeout, add.is_async) == ("add", "Add two numbers.", 60.0, False)
    assert add(2) == 3
    assert add(2, b=5) == 7
    assert add.handler(1) == 2
    assert repr(add) == "Tool('add')"


def test_options_win_over_the_function() -> None:
    @tool(name="tool with spaces", description="", timeout=None)
    def named(a: int) -> int:
        """Not this."""
        return a

    assert (named.name, named.description, named.timeout) == ("tool with spaces", "", None)


def test_options_may_come_with_the_function() -> None:
    assert tool(add.handler, name="plus", timeout=3).name == "plus"


def test_an_unknown_option_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="retries"):
        tool(retries=3)  # type: ignore[call-overload]


def test_a_tool_cannot_be_changed() -> None:
    for name in ("name", "parameters", "timeout", "handler", "other"):
        with pytest.raises(AttributeError):
            setattr(add, name, 1)


def test_the_schema_given_is_copied() -> None:
    given: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "integer"}}}
    made = Tool(name="t", parameters=given, handler=print)
    given["properties"]["a"]["type"] = "string"
    assert made.parameters == OBJECT


async def _coroutine(a: int) -> int:
    return a


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (_coroutine, True),
        (functools.partial(_coroutine, 1), True),
        (functools.partial(functools.partial(Greeter("hi"))), True),
        (Greeter("hi"), True),
        (Greeter("hi").greet, False),
        (add.handler, False),
        (functools.partial(add.handler, 1), False),
    ],
)
def test_is_async(handler: Callable[..., Any], expected: bool) -> None:
    assert tool(handler, name="t").is_async is expected


def test_bound_methods_and_callables_hide_self() -> None:
    assert list(tool(Greeter("hi").greet).parameters["properties"]) == ["name"]
    made = tool(Greeter("hi"), name="greeter")
    assert list(made.parameters["properties"]) == ["name"]
    assert made.description == "Greet."


def test_a_partial_keeps_its_name_and_hides_what_is_bound() -> None:
    def search(query: str, key: str, limit: int) -> str:
        """Search."""
        return query + key + str(limit)

    made = tool(functools.partial(search, key="secret"))
    assert (made.name, made.description) == ("search", "Search.")
    assert list(made.parameters["properties"]) == ["query", "limit"]
    assert made.handler(**made.validate('{"query": "q", "limit": 3}')) == "qsecret3"


def test_as_tool() -> None:
    assert as_tool(add) is add
    assert as_tool(add.handler).name == "add"


@pytest.mark.parametrize("value", [None, 3, "search", {"name": "x"}, [add]])
def test_as_tool_refuses_what_is_no_function(value: object) -> None:
    with pytest.raises(ToolDefinitionError, match="give a Tool or a typed function"):
        as_tool(value)


def test_the_context_is_injected_and_hidden() -> None:
    @tool
    def where(a: int, ctx: ToolContext, again: ToolContext | None = None) -> tuple[int, Any, Any]:
        return a, ctx, again

    assert list(where.parameters["properties"]) == ["a"]
    assert where.parameters["required"] == ["a"]
    assert where.handler(**where.arguments_for(where.validate('{"a": 1}'), CONTEXT)) == (1, CONTEXT, CONTEXT)


def test_without_a_context_parameter_nothing_is_added() -> None:
    assert add.arguments_for({"a": 1}, CONTEXT) == {"a": 1}


def test_the_handler_of_a_schema_may_take_the_context() -> None:
    def handler(ctx: ToolContext, **arguments: Any) -> tuple[Any, Any]:
        return ctx, arguments

    made = Tool(name="t", parameters=OBJECT, handler=handler)
    arguments = made.arguments_for(made.validate('{"a": 1, "ctx": "forged"}'), CONTEXT)
    assert handler(**arguments) == (CONTEXT, {"a": 1})
    with pytest.raises(ToolDefinitionError, match="'ctx' is an argument and a ToolContext"):
        Tool(name="t", parameters={"properties": {"ctx": {}}}, handler=handler)


def test_the_schema_form_has_no_description_by_default() -> None:
    assert Tool(name="t", parameters=OBJECT, handler=add.handler).description == ""


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_name_is_a_text(name: Any) -> None:
    with pytest.raises(ToolDefinitionError, match="name"):
        Tool(name=name, parameters=OBJECT, handler=print)


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan"), float("inf"), True, "60"])
def test_a_timeout_is_seconds(timeout: Any) -> None:
    with pytest.raises(ToolDefinitionError, match="timeout"):
        Tool(name="t", parameters=OBJECT, handler=print, timeout=timeout)


def test_a_handler_is_callable() -> None:
    with pytest.raises(ToolDefinitionError, match="callable"):
        Tool(name="t", parameters=OBJECT, handler="print")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"type": "string"}, "type 'object'"),
        ({"type": ["object", "null"]}, "type 'object'"),
        ({"type": "object", "properties": {"a": {"type": "banana"}}}, r"properties\.a\.type"),
        ({"type": "object", "required": "a"}, "required"),
        ({"type": "object", "properties": {"a": {"pattern": "("}}}, "regex"),
        ({"type": "object", "properties": {"a": {"default": {1, 2}}}}, "plain JSON"),
        ({"type": "object", "properties": {"a": {"default": float("nan")}}}, "plain JSON"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/missing"}}}, "missing"),
        ([], "JSON Schema"),
        (True, "JSON Schema"),
    ],
)
def test_bad_schemas_are_refused(parameters: Any, said: str) -> None:
    with pytest.raises(ToolDefinitionError, match=said) as caught:
        Tool(name="t", parameters=parameters, handler=print)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "reference",
    ["http://127.0.0.1:1/x.json", "https://127.0.0.1:1/x.json#/a", "file:///etc/hostname", "other.json"],
)
@pytest.mark.parametrize(
    ("keyword", "base"),
    [
        ("$ref", {}),
        ("$dynamicRef", {}),
        ("$ref", {"$id": "file:///tmp/schema.json"}),
        ("$ref", {"$schema": "http://json-schema.org/draft-07/schema#"}),
    ],
)
def test_other_documents_are_never_fetched(reference: str, keyword: str, base: dict[str, str]) -> None:
    with pytest.raises(ToolDefinitionError, match="no valid JSON Schema"):
        Tool(name="t", parameters={**base, "type": "object", "properties": {"a": {keyword: reference}}}, handler=print)


def test_a_schema_may_refer_to_itself() -> None:
    tree = {"type": "object", "properties": {"child": {"$ref": "#"}, "n": {"$ref": "#/$defs/n"}}}
    made = Tool(name="t", parameters={**tree, "$defs": {"n": {"type": "integer"}}}, handler=print)
    assert made.validate('{"child": {"n": 1}}') == {"child": {"n": 1}}


def _unannotated(a: int, b) -> None: ...  # type: ignore[no-untyped-def]


def _star(*parts: int) -> None: ...


def _positional(a: int, /) -> None: ...


def _unresolvable(amount: Decimal) -> None: ...


def _unknown_name(a: list[Nowhere]) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def _callback(ok: int, done: Callable[[], int]) -> None: ...


def _own_class(ok: int, greeter: Greeter) -> None: ...


def _wrong_bound(ok: int, name: Annotated[str, Field(pattern="(")]) -> None: ...


def _mixed_context(ctx: ToolContext | int) -> None: ...


def _generator(a: int) -> Iterator[int]:
    yield a


async def _async_generator(a: int) -> AsyncIterator[int]:
    yield a


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (_unannotated, "'b' has no annotation"),
        (Greeter.greet, r"'self' has no annotation.*bound method"),
        (_star, r"\*parts"),
        (_positional, "'a' is positional-only"),
        (_unresolvable, "'amount'.*'Decimal' cannot be resolved.*TYPE_CHECKING"),
        (_unknown_name, "'a'.*Nowhere"),
        (_callback, "'done'"),
        (_own_class, "'greeter'"),
        (_wrong_bound, "'name'"),
        (_mixed_context, "'ctx' mixes ToolContext"),
        (_generator, "generator"),
        (_async_generator, "generator"),
        (Greeter, "class"),
        (lambda: 1, "name="),
        (Greeter("hi"), "name="),
        (add, "already"),
        (len, "positional-only"),
        (3, "no function"),
    ],
)
def test_bad_functions_are_refused_when_they_are_decorated(function: Any, said: str) -> None:
    with pytest.raises(ToolDefinitionError, match=said) as caught:
        tool(function)
    assert "\n" not in str(caught.value)


def test_a_lambda_with_a_name_needs_no_more() -> None:
    assert tool(lambda: 1, name="one").parameters == {
        "type": "object",
        "properties": {},
        "additionalProperties": False,
    }


def test_the_returned_type_is_not_looked_at() -> None:
    @tool
    def price(a: int) -> Decimal:
        raise NotImplementedError

    assert price.validate('{"a": 1}') == {"a": 1}


def test_importing_is_light() -> None:
    code = (
        "import sys, unified_agents.tools.definition; print({'griffe', 'jsonschema_rs', 'asyncio'} & set(sys.modules))"
    )
    done = run_code(code, check=True)
    assert done.stdout.strip() == "set()"


def test_a_docstring_without_sections_does_not_load_the_parser() -> None:
    code = (
        "import sys; from unified_agents.tools.decorator import tool\n"
        "def f(a: int): 'Plain: text.'\n"
        "t = tool(f); t.parameters; t.description; print('griffe' in sys.modules)"
    )
    done = run_code(code, check=True)
    assert done.stdout.strip() == "False"


def test_other_options_make_another_tool() -> None:
    made = tool(_typed, timeout=5.0, max_result_chars=10)
    other = made.with_options(ToolOptions(timeout=None, coercion="lenient", idempotent=True))
    assert (other.timeout, other.coercion, other.options.idempotent) == (None, "lenient", True)
    assert other.max_result_chars == 100_000
    assert other.validate('{"count": "3"}') == {"count": 3}
    assert (made.timeout, made.coercion, made.max_result_chars, made.options.idempotent) == (5.0, "strict", 10, False)
    with pytest.raises(InvalidInputError):
        made.validate('{"count": "3"}')
    with pytest.raises(ToolDefinitionError, match="timeout must be seconds"):
        made.with_options(ToolOptions(timeout=0))


def _typed(count: int) -> int:
    return count

"""What is wrong with the arguments of a tool call."""

from __future__ import annotations

from collections.abc import Sequence

from unified_agents.wording.common import shortened


def invalid_arguments(tool: str, problems: Sequence[str]) -> str:
    """The arguments do not fit the tool's schema."""
    lines = "\n".join(f"- {problem}" for problem in problems)
    return shortened(
        f"Error: the arguments of tool {tool!r} are not valid, and it was not run.\n{lines}\n"
        "Correct them and call it again."
    )


def problems_in_one_line(tool: str, problems: Sequence[str]) -> str:
    """The same as `invalid_arguments`, for who calls `Tool.validate` in Python."""
    return f"invalid arguments for tool {tool!r}: {'; '.join(problems)}"


ALL_ARGUMENTS = "arguments"
"""Stands in the place of a path, where all arguments are meant."""


def problem(place: str, given: str, allowed: str) -> str:
    """A line on one argument: where it is, what was given, what is allowed."""
    return f"{place}: {given}, {allowed}"


def more_problems(count: int) -> str:
    """Stands after the first lines, where there are too many."""
    return f"and {count} more"


def given(value: str) -> str:
    """What was given, as JSON."""
    return f"{value} given"


def given_name(name: str) -> str:
    """What was given as the name of a value."""
    return f"the name {name} given"


def missing() -> str:
    """Nothing was given."""
    return "missing"


def required() -> str:
    """What is allowed: anything but nothing."""
    return "required"


def no_such_argument(known: Sequence[str]) -> str:
    """There is no argument of that name."""
    return f"no such argument; there are {', '.join(known)}" if known else "no such argument; there are none"


def not_allowed() -> str:
    """Nothing may stand there."""
    return "not allowed here"


_TYPES = {
    "integer": "an integer",
    "number": "a number",
    "string": "a string",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def of_type(names: Sequence[str]) -> str:
    """What the keyword `type` asks for."""
    return "must be " + " or ".join(_TYPES[name] for name in names)


def one_of(values: Sequence[str]) -> str:
    """What the keywords `enum` and `const` ask for; the values are JSON."""
    return "must be " + " or ".join(values)


RULES = {
    "minimum": "must be at least {}",
    "exclusiveMinimum": "must be greater than {}",
    "maximum": "must be at most {}",
    "exclusiveMaximum": "must be less than {}",
    "multipleOf": "must be a multiple of {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "additionalItems": "must have at most {} items",
    "uniqueItems": "must not have an item twice",
    "minProperties": "must have at least {} properties",
    "maxProperties": "must have at most {} properties",
    "pattern": "must match {}",
    "format": "must be a valid {}",
    "contentEncoding": "must be encoded in {}",
    "contentMediaType": "must be text of the type {}",
}
"""What each of these keywords of JSON Schema asks for."""


def rule(keyword: str, limit: object) -> str:
    """What one of the keywords in `RULES` asks for."""
    return RULES[keyword].format(limit)


def either(rules: Sequence[str]) -> str:
    """One of these rules must be kept."""
    first, *others = rules
    if all(rule.startswith("must be ") for rule in rules):
        others = [rule.removeprefix("must be ") for rule in others]
    return " or ".join([first, *others])


def must_not(rule: str) -> str:
    """The opposite of a rule."""
    return f"must not {rule.removeprefix('must ')}"


def fits(schema: str) -> str:
    """A JSON Schema that has no shorter words must be kept."""
    return f"must fit the schema {schema}"


def fits_one(schemas: Sequence[str]) -> str:
    """The keyword `oneOf`: these fit, and only one may."""
    return f"must fit only one of the schemas {' and '.join(schemas)}"


def holds_at_least(count: int, schema: str) -> str:
    """The keywords `contains` and `minContains`."""
    return f"must have at least {count} items that fit the schema {schema}"


def holds_at_most(count: int, schema: str) -> str:
    """The keywords `contains` and `maxContains`."""
    return f"must have at most {count} items that fit the schema {schema}"


def without_items(items: Sequence[str]) -> str:
    """The keyword `unevaluatedItems`, where nothing is allowed."""
    return f"must not have the items {', '.join(items)}"


def items_fit(items: Sequence[str], schema: str) -> str:
    """The keyword `unevaluatedItems`, where a schema is to be kept."""
    return f"must have in the place of {', '.join(items)} items that fit the schema {schema}"


def validators_words(message: str) -> str:
    """What pydantic says that has no words here, or a validator of the user's own."""
    message = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return message.replace("Input should ", "must ", 1)


def broken_json(value: str, reason: str) -> str:
    """A problem: the arguments are no JSON."""
    return problem(ALL_ARGUMENTS, given(value), f"must be a JSON object: {reason}")


def half_a_pair() -> str:
    """Why a text is no JSON: it cannot be encoded."""
    return "half a surrogate pair"


def key_given_twice(key: str) -> str:
    """Why a text is not taken as JSON: one value would hide another."""
    return f"the key {key} is given twice"


def number_out_of_range(number: str) -> str:
    """Why a text is not taken as JSON: a number would become infinite."""
    return f"the number {number:.40} is out of range"


def no_json_values(reason: str) -> str:
    """A problem: arguments that were given in Python have no JSON form."""
    return f"{ALL_ARGUMENTS}: must be JSON values: {reason}"


def validator_broke(tool: str, error: BaseException) -> str:
    """A validator of the tool's own types raised what no validator should."""
    return shortened(f"tool {tool!r}: a validator of its argument types raised {type(error).__name__}: {error}")

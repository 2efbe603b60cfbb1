"""Messages about the arguments of a tool call that are not valid."""

from __future__ import annotations

from collections.abc import Sequence

from unified_agents.text import text_of
from unified_agents.wording.common import shortened


def invalid_arguments(tool: str, problems: Sequence[str]) -> str:
    """Tell the model that the arguments do not fit the tool's schema."""
    lines = "\n".join(f"- {problem}" for problem in problems)
    return shortened(
        f"Error: the arguments of tool {tool!r} are not valid, and it was not run.\n{lines}\n"
        "Correct them and call it again."
    )


def problems_in_one_line(tool: str, problems: Sequence[str]) -> str:
    """Say the same as `invalid_arguments` on one line, for callers of `Tool.validate`."""
    return f"invalid arguments for tool {tool!r}: {'; '.join(problems)}"


ALL_ARGUMENTS = "arguments"
"""The place of a problem that concerns all arguments."""


def problem(place: str, given: str, allowed: str) -> str:
    """Describe a problem of one argument: its place, what was given, and what is allowed."""
    return f"{place}: {given}, {allowed}"


def more_problems(count: int) -> str:
    """Say how many problems are left out after the first ones."""
    return f"and {count} more"


def given(value: str) -> str:
    """Name the value that was given, as JSON."""
    return f"{value} given"


def given_name(name: str) -> str:
    """Name a property that was given."""
    return f"the name {name} given"


def missing() -> str:
    """Say that no value was given."""
    return "missing"


def required() -> str:
    """Say that a value is required."""
    return "required"


def no_such_argument(known: Sequence[str]) -> str:
    """Say that no argument has that name, and which names there are."""
    return f"no such argument; there are {', '.join(known)}" if known else "no such argument; there are none"


def not_allowed() -> str:
    """Say that no value is allowed there."""
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
    """Describe what the keyword `type` requires."""
    return "must be " + " or ".join(_TYPES[name] for name in names)


def one_of(values: Sequence[str]) -> str:
    """Describe what the keywords `enum` and `const` require; the values are JSON."""
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
"""What each of these keywords of JSON Schema requires."""


def rule(keyword: str, limit: object) -> str:
    """Describe what a keyword in `RULES` requires."""
    return RULES[keyword].format(limit)


def either(rules: Sequence[str]) -> str:
    """Describe that one of several rules must be kept."""
    first, *others = rules
    if all(rule.startswith("must be ") for rule in rules):
        others = [rule.removeprefix("must be ") for rule in others]
    return " or ".join([first, *others])


def must_not(rule: str) -> str:
    """Describe the opposite of a rule."""
    return f"must not {rule.removeprefix('must ')}"


def fits(schema: str) -> str:
    """Describe a JSON Schema that must be kept and has no shorter description."""
    return f"must fit the schema {schema}"


def fits_one(schemas: Sequence[str]) -> str:
    """Describe what the keyword `oneOf` requires, where several schemas fit and only one may."""
    return f"must fit only one of the schemas {' and '.join(schemas)}"


def holds_at_least(count: int, schema: str) -> str:
    """Describe what the keywords `contains` and `minContains` require."""
    return f"must have at least {count} items that fit the schema {schema}"


def holds_at_most(count: int, schema: str) -> str:
    """Describe what the keywords `contains` and `maxContains` require."""
    return f"must have at most {count} items that fit the schema {schema}"


def without_items(items: Sequence[str]) -> str:
    """Describe what the keyword `unevaluatedItems` requires, where no such items are allowed."""
    return f"must not have the items {', '.join(items)}"


def items_fit(items: Sequence[str], schema: str) -> str:
    """Describe what the keyword `unevaluatedItems` requires, where such items must fit a schema."""
    return f"must have in the place of {', '.join(items)} items that fit the schema {schema}"


def validators_words(message: str) -> str:
    """Adapt a message of pydantic, or of a user's own validator, that has no text here."""
    message = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return message.replace("Input should ", "must ", 1)


def broken_json(value: str, reason: str) -> str:
    """Describe arguments that are no JSON."""
    return problem(ALL_ARGUMENTS, given(value), f"must be a JSON object: {reason}")


def half_a_pair() -> str:
    """Say that a text is no JSON because it cannot be encoded."""
    return "half a surrogate pair"


def key_given_twice(key: str) -> str:
    """Say that a text is not taken as JSON because one value would hide another."""
    return f"the key {key} is given twice"


def number_out_of_range(number: str) -> str:
    """Say that a text is not taken as JSON because a number would become infinite."""
    return f"the number {number:.40} is out of range"


def no_json_values(reason: str) -> str:
    """Describe arguments that were given in Python and have no JSON form."""
    return f"{ALL_ARGUMENTS}: must be JSON values: {reason}"


def validator_broke(tool: str, error: BaseException) -> str:
    """Say that a validator of the tool's own types raised an error that no validator should raise."""
    return shortened(
        f"tool {tool!r}: a validator of its argument types raised {type(error).__name__}: {text_of(error)}"
    )

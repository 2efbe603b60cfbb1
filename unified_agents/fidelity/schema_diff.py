"""Comparing a tool's canonical schema with the one that reached the model, keyword by keyword."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from unified_agents.messages import JsonObject
from unified_agents.tools.definition import Tool
from unified_agents.tools.json_pointer import MissingValueError, escape_token, resolve_reference

ChangeKind: TypeAlias = Literal["lost", "added", "changed"]

NAMED_SCHEMAS = frozenset({"properties", "patternProperties", "dependentSchemas"})
"""Keywords whose value is an object of schemas by name."""
_LISTED = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SINGLE = frozenset(
    {
        "items",
        "additionalItems",
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_SETS = frozenset({"required", "enum", "type"})
_DEFINITIONS = frozenset({"$defs", "definitions"})
_MAY_GO = frozenset({"title", "$schema"}) | _DEFINITIONS
"""Names for people, the draft, and definitions, which count where something refers to them."""
MAX_REFERENCE_CHAIN = 50
"""References to references that are followed; a longer chain can only be a circle."""


_WHY_LOST = {
    "type": "the type is said in another way, or not at all",
    **{name: f"the model is not told the {name}" for name in ("description", "default", "examples", "required")},
    "additionalProperties": "the model is not told what else an object may hold",
    **dict.fromkeys(("enum", "const"), "the model is not told which values there are"),
}
"""By keyword, what its loss means."""


class FidelityModel(BaseModel):
    """The base of what a fidelity report is made of."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class SchemaChange(FidelityModel):
    """One keyword of a tool's schema that did not reach the model as its author wrote it.

    Attributes:
        kind: `lost`, `added` or `changed`.
        path: The JSON Pointer of the schema that has the keyword, as `/properties/city`; "" is the schema itself.
        keyword: The keyword, or the name of a property that is lost or added as a whole.
        before: Its value in the tool's canonical schema; None where there was none.
        after: Its value on the wire; None where there is none.
        why: What seems to have happened.
    """

    kind: ChangeKind
    path: str
    keyword: str
    before: Any = None
    after: Any = None
    why: str

    @property
    def place(self) -> str:
        """Path and keyword as one JSON pointer."""
        return f"{self.path}/{escape_token(self.keyword)}"

    @property
    def keeps_text(self) -> bool:
        """Whether it is a description that the model reads all the same, with other text around it."""
        return self.kind == "changed" and self.keyword == "description" and _contains_text(self.after, self.before)

    @property
    def counted_as(self) -> str:
        """Return the keyword to count the change under: `properties` where a whole parameter is lost or added."""
        container = self.path.rpartition("/")[2]
        return container if container in NAMED_SCHEMAS and not self._within_a_named() else self.keyword

    def _within_a_named(self) -> bool:
        # A parameter may itself be called `properties`.
        return self.path.rpartition("/")[0].rpartition("/")[2] in NAMED_SCHEMAS


def compare_function(tool: Tool, function: Mapping[str, Any]) -> tuple[SchemaChange, ...]:
    """Compare a tool with its `function` in a Chat Completions request; see `compare_schemas`.

    The tool's own description is at `/description`, its schema at `/parameters`. A parameter's description that is
    missing there, and stands in the function's description, is changed and not lost: the model reads it.
    """
    texts = [{"description": text} if text else {} for text in (tool.description, function.get("description"))]
    schema = function.get("parameters") or {}
    told = function.get("description")
    changes = compare_schemas(tool.parameters, schema, at="/parameters")
    return (*compare_schemas(*texts), *(_told_elsewhere(change, told) for change in changes))


def _told_elsewhere(change: SchemaChange, description: Any) -> SchemaChange:
    # A framework that sends a whole docstring tells the model of the parameters there.
    is_lost = change.kind == "lost" and change.keyword == "description"
    if not is_lost or not _contains_text(description, change.before):
        return change
    update = {"kind": "changed", "after": description, "why": "it stands in the tool's own description"}
    return change.model_copy(update=update)


def _contains_text(whole: Any, part: Any) -> bool:
    """Tell whether a text holds another one, however lines are broken and indented."""
    if not isinstance(whole, str) or not isinstance(part, str):
        return False
    return " ".join(part.split()) in " ".join(whole.split())


def compare_schemas(source: JsonObject, reached: JsonObject, *, at: str = "") -> tuple[SchemaChange, ...]:
    """Compare a tool's canonical schema with the one on the wire.

    `title` and `$schema` may go, but not come; the order of `required`, `enum` and `type` means nothing; a `$ref` may
    be replaced with what it refers to. Everything else counts. A schema that several places refer to is compared once.

    Args:
        source: The canonical schema.
        reached: The schema on the wire.
        at: What paths begin with.

    Returns:
        One entry for each keyword that was lost, added or changed; empty when nothing was. A parameter or a branch
        that is missing as a whole is one entry.
    """
    if source == reached and _same("", source, reached):
        return ()
    return tuple(_Comparison(source, reached).of(source, reached, at))


def keyword_count(schema: Any) -> int:
    """Count the keywords of a schema and of its parts; those that may go are not counted."""
    if not isinstance(schema, Mapping):
        return 0
    return sum(
        (keyword not in _MAY_GO) + sum(map(keyword_count, _parts(keyword, value))) for keyword, value in schema.items()
    )


def _parts(keyword: str, value: Any) -> Sequence[Any]:
    if keyword in NAMED_SCHEMAS | _DEFINITIONS and isinstance(value, Mapping):
        return list(value.values())
    if keyword in _LISTED | _SINGLE:
        return value if _is_list(value) else [value]
    return ()


class _Comparison:
    """One comparison of two schemas; each reference is looked up in its own document."""

    __slots__ = ("_reached", "_seen", "_source")

    def __init__(self, source: JsonObject, reached: JsonObject) -> None:
        self._source = source
        self._reached = reached
        self._seen: set[tuple[int, int]] = set()

    def of(self, before: Any, after: Any, path: str) -> Iterator[SchemaChange]:
        """Yield the changes from one schema to another."""
        if not isinstance(before, Mapping) or not isinstance(after, Mapping):
            if _plain(before) != _plain(after):
                place, _, keyword = path.rpartition("/")
                yield _change("changed", place, keyword, before, after)
            return
        pair = (id(before), id(after))
        if pair in self._seen:
            return
        self._seen.add(pair)
        before, after = _followed(before, self._source), _followed(after, self._reached)
        for keyword, value in before.items():
            if keyword not in after and keyword not in _MAY_GO:
                yield _change("lost", path, keyword, value, None)
        for keyword, value in after.items():
            if keyword in _DEFINITIONS:
                continue
            if keyword in before:
                yield from self._keyword(keyword, before[keyword], value, path)
            else:
                yield _change("added", path, keyword, None, value)

    def _keyword(self, keyword: str, before: Any, after: Any, path: str) -> Iterator[SchemaChange]:
        place = f"{path}/{keyword}"
        if keyword in NAMED_SCHEMAS and isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from self._named(before, after, place)
        elif keyword in _LISTED | _SINGLE and _is_list(before) and _is_list(after) and len(before) == len(after):
            for index, (one, other) in enumerate(zip(before, after, strict=True)):
                yield from self.of(one, other, f"{place}/{index}")
        elif keyword in _SINGLE and not _is_list(before) and not _is_list(after):
            yield from self.of(before, after, place)
        elif not _same(keyword, before, after):
            yield _change("changed", path, keyword, before, after)

    def _named(self, before: Mapping[str, Any], after: Mapping[str, Any], place: str) -> Iterator[SchemaChange]:
        for name in before:
            if name not in after:
                yield _change("lost", place, name, before[name], None)
        for name, value in after.items():
            if name in before:
                yield from self.of(before[name], value, f"{place}/{escape_token(name)}")
            else:
                yield _change("added", place, name, None, value)


def _plain(schema: Any) -> Any:
    return {} if schema is True else schema


def _followed(schema: Mapping[str, Any], root: JsonObject) -> Mapping[str, Any]:
    """Return a schema with its reference replaced by what it refers to."""
    for _ in range(MAX_REFERENCE_CHAIN):
        reference = schema.get("$ref")
        target = _target(root, reference) if isinstance(reference, str) else None
        if not isinstance(target, Mapping):
            return schema
        beside = {name: value for name, value in schema.items() if name != "$ref"}
        schema = {**target, **beside} if beside else target
    return schema


def _target(root: JsonObject, reference: str) -> Any:
    """What a JSON pointer in the same document means; None for every other reference."""
    try:
        return resolve_reference(root, reference)
    except MissingValueError:
        return None


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _same(keyword: str, before: Any, after: Any) -> bool:
    if keyword in _SETS and _is_list(before) and _is_list(after):
        return sorted(map(_text, before)) == sorted(map(_text, after))
    return _text(before) == _text(after)


def _text(value: Any) -> str:
    # Python's own comparison takes True for 1.
    return json.dumps(value, sort_keys=True, default=repr)


def _change(kind: ChangeKind, path: str, keyword: str, before: Any, after: Any) -> SchemaChange:
    return SchemaChange(
        kind=kind, path=path, keyword=keyword, before=before, after=after, why=_why(kind, path, keyword, before, after)
    )


def _why(kind: ChangeKind, path: str, keyword: str, before: Any, after: Any) -> str:
    if path.rpartition("/")[2] in NAMED_SCHEMAS:
        return "the parameter is left out" if kind == "lost" else "a parameter that the tool does not have"
    if kind == "lost":
        return _WHY_LOST.get(keyword, "the translation does not carry this keyword")
    if kind == "added":
        return _why_added(keyword, after)
    if keyword == "type":
        return f"the type is widened or replaced: {before} became {after}"
    if keyword == "description" and _contains_text(after, before):
        return "text was put around the description"
    if keyword == "required":
        return "other arguments are asked for than the tool requires"
    return "the value was written anew"


def _why_added(keyword: str, after: Any) -> str:
    if keyword == "default" and after is None:
        return "an argument that may be left out is given the default null"
    if keyword == "anyOf" and {"type": "null"} in after:
        return "an argument that may be left out is said to take null"
    if keyword == "additionalProperties":
        return "the object is opened or closed, which its author did not say"
    return "the translation adds this keyword"

"""What pydantic finds wrong with settings, on one line for those who wrote them. No value that was given is shown."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from unified_agents.text import closest, closest_key

_MANY = 10
_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "path_type": "a path",
    "tuple_type": "a list",
    "list_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping of keys",
    "mapping_type": "a mapping of keys",
    "model_type": "a mapping of keys",
    "model_attributes_type": "a mapping of keys",
}
_BOUNDS = {
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "string_pattern_mismatch": "must match {pattern}",
}


def complaints(model: type[BaseModel], error: ValidationError, keys_elsewhere: Iterable[str] = ()) -> str:
    """Everything that does not fit, with its place and, where there is one, the remedy.

    Args:
        model: What the values should have become.
        error: What pydantic says.
        keys_elsewhere: Keys of an agent's file, which users put into other files by mistake.
    """
    faults = _chosen([_Fault.of(model, fault) for fault in error.errors(include_url=False)])
    return "; ".join(_line(fault, keys_elsewhere) for fault in faults)


@dataclass(slots=True, frozen=True)
class _Fault:
    """A fault at its place in what was written: pydantic's names for the members of a union are no part of that.

    Attributes:
        path: The keys and indices that lead there.
        kind: Pydantic's own name for what is wrong.
        message: Pydantic's own message.
        context: Pydantic's values for it.
        given: What stands there; never to be shown.
        forks: For each union on the way, the length of the path there and which member this is about.
        owners: The models that the last key could belong to.
        field: The field that the path ends at.
        others: The same place as other members of the union see it.
    """

    path: tuple[int | str, ...]
    kind: str
    message: str
    context: Mapping[str, Any]
    given: object
    forks: tuple[tuple[int, str], ...]
    owners: tuple[type[BaseModel], ...]
    field: FieldInfo | None
    others: tuple[_Fault, ...] = ()

    @classmethod
    def of(cls, model: type[BaseModel], fault: Mapping[str, Any]) -> _Fault:
        path: list[int | str] = []
        forks: list[tuple[int, str]] = []
        owners: list[type[BaseModel]] = []
        field: FieldInfo | None = None
        here: list[Any] = [model]
        for part in fault["loc"]:
            if part == "[key]":
                continue
            if len(here) > 1 and (not forks or forks[-1][0] != len(path)):
                forks.append((len(path), str(part)))
                here = [kind for kind in here if getattr(kind, "__name__", " ") in str(part)] or here
                continue
            owners = [kind for kind in here if _is_model(kind)]
            found = [field for owner in owners if (field := _fields(owner).get(str(part)))]
            field = found[0] if found else None
            here = _members(found[0].annotation) if found else _inside(here)
            path.append(part)
        return cls(
            path=tuple(path),
            kind="unknown_word" if fault["loc"][-1:] == ("[key]",) else fault["type"],
            message=fault["msg"],
            context=fault.get("ctx", {}),
            given=fault["input"],
            forks=tuple(forks),
            owners=tuple(owners),
            field=field,
        )


def _chosen(faults: Sequence[_Fault]) -> list[_Fault]:
    """What is worth telling: of a union what is about the member that was meant, of a list not that it is too short."""
    for level in range(max((len(fault.forks) for fault in faults), default=0)):
        unions: dict[object, list[_Fault]] = {}
        for number, fault in enumerate(faults):
            at = fault.path[: fault.forks[level][0]] if level < len(fault.forks) else None
            unions.setdefault(("alone", number) if at is None else at, []).append(fault)
        faults = [fault for group in unions.values() for fault in _of_union(group, level)]
    return [
        fault
        for fault in faults
        if fault.kind != "too_short"
        or not any(len(other.path) > len(fault.path) == _common(other.path, fault.path) for other in faults)
    ]


def _of_union(faults: list[_Fault], level: int) -> list[_Fault]:
    if len(faults) == 1 or level >= len(faults[0].forks):
        return faults
    at = faults[0].forks[level][0]
    members: dict[str, list[_Fault]] = {}
    for fault in faults:
        members.setdefault(fault.forks[level][1], []).append(fault)
    near = [group for group in members.values() if any(len(fault.path) > at for fault in group)]
    if not near:
        first, *others = faults
        return [replace(first, others=tuple(others))]
    unknown = [{fault.path for fault in group if fault.kind == "extra_forbidden"} for group in near]
    if len(near) > 1 and (common := set.intersection(*unknown)):
        known = tuple(dict.fromkeys(one for group in near for fault in group for one in fault.owners))
        return [replace(fault, owners=known) for fault in near[0] if fault.path in common]
    return min(near, key=len)


def _line(fault: _Fault, keys_elsewhere: Iterable[str]) -> str:
    place = ".".join(map(str, fault.path))
    if fault.kind == "extra_forbidden":
        return f"{place}: unknown key; {_remedy(fault, keys_elsewhere)}"
    said = _said(fault)
    return f"{place}: {said}" if place else said


def _remedy(fault: _Fault, keys_elsewhere: Iterable[str]) -> str:
    key = str(fault.path[-1])
    deeper = list(dict.fromkeys(place for owner in fault.owners for place in _places(owner, key)))
    if deeper:
        return f"put it under {' or '.join(deeper)}"
    known = list(dict.fromkeys(name for owner in fault.owners for name in _fields(owner)))
    close = closest_key(key, known)
    if close is not None:
        return f"did you mean {close!r}?"
    if len(fault.path) == 1 and key in keys_elsewhere:
        return "it belongs in an agent's file"
    return f"known keys: {', '.join(known)}" if known else "remove it"


def _places(owner: type[BaseModel], key: str) -> list[str]:
    """The fields of a model whose own keys, or whose fields' keys, have this one; none deeper than need be."""
    inner = [(name, kind) for name, field in _fields(owner).items() for kind in _members(field.annotation)]
    models = [(name, kind) for name, kind in inner if _is_model(kind) and kind is not owner]
    direct = [name for name, kind in models if key in _fields(kind)]
    return direct or [f"{name}.{place}" for name, kind in models for place in _places(kind, key)]


def _said(fault: _Fault) -> str:
    faults = (fault, *fault.others)
    words = [word for one in faults for word in _words(one)]
    wanted = [_WANTED[one.kind] for one in faults if one.kind in _WANTED]
    if not words and not wanted:
        return _plain(fault)
    close = closest(str(fault.path[-1]) if fault.kind == "unknown_word" else _text(fault.given), map(_bare, words))
    hint = f"did you mean {close[0]!r}?" if close else ""
    if hint and len(words) > _MANY:
        return hint
    told = "give " + _either([*words, *dict.fromkeys(wanted)]) + _example(fault)
    return f"{told}; {hint}" if hint else told


def _plain(fault: _Fault) -> str:
    if fault.kind in _BOUNDS:
        return _BOUNDS[fault.kind].format_map(fault.context)
    if fault.kind == "missing":
        return "is missing" + (f"; give it{_example(fault)}" if _example(fault) else "")
    if fault.kind in {"too_short", "string_too_short"}:
        least = fault.context["min_length"]
        return "must not be empty" if least == 1 else f"is too short: {least} are needed"
    said = fault.message.removeprefix("Value error, ").replace("Input should ", "must ", 1)
    return re.sub(r"\s+", " ", said)


def _words(fault: _Fault) -> list[str]:
    """The words that may stand there, where it is for some words only, each as pydantic writes it."""
    return re.split(r", | or ", fault.context["expected"]) if "expected" in fault.context else []


def _example(fault: _Fault) -> str:
    examples = fault.field.examples if fault.field is not None else None
    return f", such as {examples[0]}" if examples else ""


def _either(parts: Sequence[str]) -> str:
    return " or ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part)


def _bare(word: str) -> str:
    return word.strip("'")


def _text(given: object) -> str:
    return given if isinstance(given, str) else ""


def _common(one: Sequence[object], other: Sequence[object]) -> int:
    """How many parts two paths begin with in common."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _members(annotation: Any) -> list[Any]:
    """The members of a union, but None; anything else alone."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin is Union or origin is types.UnionType:
        return [one for part in get_args(annotation) if part is not types.NoneType for one in _members(part)]
    return [annotation]


def _inside(kinds: Iterable[Any]) -> list[Any]:
    """What lists and mappings of these kinds hold."""
    return [one for kind in kinds for held in _held(kind) for one in _members(held)]


def _held(kind: Any) -> Iterator[Any]:
    origin, arguments = get_origin(kind), get_args(kind)
    if not isinstance(origin, type) or not arguments:
        return
    if issubclass(origin, Mapping):
        yield arguments[1]
    elif issubclass(origin, Sequence | Set):
        yield arguments[0]

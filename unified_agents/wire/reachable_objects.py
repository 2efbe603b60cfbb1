"""Finds the objects that an object is made of, such as the model clients of a framework's agent."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from types import BuiltinFunctionType, CellType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any

MAX_OBJECTS = 200_000
"""So many objects are looked at; an agent has some thousands."""

_PLAIN = (str, bytes, bytearray, int, float, complex, bool, type(None), type, ModuleType, BuiltinFunctionType)


def reachable_objects(roots: Iterable[object]) -> Iterator[object]:
    """Yield the objects that others are made of, nearest first: attributes, items, and what functions have closed over.

    Classes, modules and the globals of functions are left out: through them everything could be reached.
    """
    waiting, seen = deque(roots), set[int]()
    kept: list[object] = []  # an object that is freed meanwhile must not give its id to another
    while waiting and len(seen) < MAX_OBJECTS:
        value = waiting.popleft()
        if id(value) in seen or isinstance(value, _PLAIN):
            continue
        seen.add(id(value))
        kept.append(value)
        yield value
        waiting.extend(_parts(value))


def _parts(value: Any) -> Iterator[object]:
    if isinstance(value, Mapping) and type(value).__module__ in ("builtins", "collections", "types"):
        yield from list(value.values())
    elif isinstance(value, list | tuple | set | frozenset | deque):
        yield from list(value)
    elif isinstance(value, MethodType):
        yield from (value.__self__, value.__func__)
    elif isinstance(value, partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, FunctionType):
        yield from value.__closure__ or ()
        yield from value.__defaults__ or ()
        yield from (value.__kwdefaults__ or {}).values()
    elif isinstance(value, CellType):
        try:
            yield value.cell_contents
        except ValueError:
            return  # it is empty
    yield from _attributes(value)


def _attributes(value: object) -> Iterator[object]:
    """Yield what an object keeps, without calling anything of it."""
    own = getattr(value, "__dict__", None)
    if isinstance(own, dict):
        yield from list(own.values())
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else tuple(slots):
            descriptor = kind.__dict__.get(name if not name.startswith("__") else f"_{kind.__name__.lstrip('_')}{name}")
            if isinstance(descriptor, MemberDescriptorType):
                try:
                    yield descriptor.__get__(value)
                except AttributeError:
                    continue  # it is not set

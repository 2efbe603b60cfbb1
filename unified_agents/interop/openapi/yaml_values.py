"""YAML with the values of JSON only, as OpenAPI wants it: `no`, `12:30` and `2020-01-01` stay texts.

The values are built from the parser's events, in a seventh of the time of yaml's own constructors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml

from unified_agents.config.yaml_loader import yaml_faults
from unified_agents.errors import ConfigError

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the fast one, where it was compiled
_MAX_VALUES = 3_000_000
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**64 - 1
"""A larger integer becomes a float, as the parser of JSON does it: what sends requests takes none."""
_MERGE = "<<"
_TEXT_TAG = "tag:yaml.org,2002:str"
_END_EVENTS = (yaml.MappingEndEvent, yaml.SequenceEndEvent)


def parse_json_values(data: bytes, where: str) -> Any:
    """Parse a YAML text.

    Args:
        data: The text, in UTF-8 or UTF-16.
        where: The file, for messages.

    Raises:
        ConfigError: it is no YAML, has a key twice, is nested too deeply, or its aliases stand for very many values.
    """
    with yaml_faults(where):
        value = _ValueBuilder(yaml.parse(data, Loader=_LOADER)).document()
    if _is_too_large(value):
        raise ConfigError(f"{where}: its aliases stand for more than {_MAX_VALUES:,} values: write them out")
    return value


class _ValueBuilder:
    """A builder of values from the events of the YAML parser."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._anchors: dict[str, Any] = {}

    def document(self) -> Any:
        """Return the value of the only document.

        Raises:
            YAMLError: there are several documents.
        """
        value = None
        for event in self._events:
            if isinstance(event, yaml.NodeEvent):
                value = self._value(event)
            elif isinstance(event, yaml.DocumentEndEvent):
                break
        if any(isinstance(event, yaml.DocumentStartEvent) for event in self._events):
            raise yaml.YAMLError("it holds more than one document")
        return value

    def _value(self, event: Any) -> Any:  # events of a kind each, with fields that yaml does not type
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                self._refuse(event, f"the alias *{event.anchor} stands before or within what it means")
            return self._anchors[event.anchor]
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
        elif isinstance(event, yaml.MappingStartEvent):
            value = self._mapping()
        else:
            value = [self._value(item) for item in self._until_end()]
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        return value

    def _mapping(self) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        merged: list[dict[str, Any]] = []
        for key in self._until_end():
            if not isinstance(key, yaml.ScalarEvent):
                self._refuse(key, "a key must be text")
            value = self._value(next(self._events))
            if key.value == _MERGE and key.implicit[0]:
                merged += value if isinstance(value, list) else [value]
            elif key.value in mapping:
                self._refuse(key, f"the key {key.value!r} is given twice")
            else:
                mapping[key.value] = value
        for other in merged:
            mapping = {**other, **mapping} if isinstance(other, dict) else mapping
        return mapping

    def _until_end(self) -> Iterator[Any]:
        while not isinstance(event := next(self._events), _END_EVENTS):
            yield event

    def _refuse(self, event: Any, problem: str) -> NoReturn:
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def _scalar(event: yaml.ScalarEvent) -> Any:
    text: str = event.value
    if not event.implicit[0] or event.tag == _TEXT_TAG:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if number := _NUMBER.fullmatch(text):
        return float(text) if number[1] or number[2] or not _MIN_INTEGER <= int(text) <= _MAX_INTEGER else int(text)
    return text


def _is_too_large(value: Any) -> bool:
    waiting = [value]
    count = 0
    while waiting and count <= _MAX_VALUES:
        value = waiting.pop()
        if isinstance(value, dict | list):
            waiting.extend(value.values() if isinstance(value, dict) else value)
            count += len(value)
    return count > _MAX_VALUES

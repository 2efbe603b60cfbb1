"""Documents in several files, and references to an enclosing schema, as references within one document."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from unified_agents.errors import ConfigError
from unified_agents.messages import JsonObject
from unified_agents.tools.json_pointer import escape_token

FILES_KEY = "x-unified-agents-files"
"""The key of the document under which its other files stand, by their paths from its folder."""
MAX_BYTES = 100_000_000
"""Bytes of all the other files of a document."""

_LITERAL_KEYWORDS = frozenset({"example", "examples", "default", "const", "enum"})
_OUTWARD = re.compile(rb"""\$ref["']?\s*:\s*["']?[^#"'\s]""")
_RECURSION = re.compile(rb"\$(recursive|dynamic)Ref")
_SCHEMAS_BY_NAME = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})

Parse = Callable[[Path, bytes], Any]


def has_outward_references(data: bytes) -> bool:
    """Tell whether a document's text seems to refer to other documents."""
    return _OUTWARD.search(data) is not None


def has_recursive_references(data: bytes) -> bool:
    """Tell whether a document's text has `$recursiveRef` or `$dynamicRef`."""
    return _RECURSION.search(data) is not None


class FileBundler:
    """A reader of the files that a document refers to, in its own folder and below it.

    Args:
        path: The document's file.
        root: The document, which is changed: a reference to such a file becomes one to its place under `FILES_KEY`.
        parse: Reads a file.

    Attributes:
        unread: Why a file that is named in a reference was not read, by the reference.
    """

    def __init__(self, path: Path, root: JsonObject, parse: Parse) -> None:
        self._path = path.resolve()
        self._root = root
        self._parse = parse
        self._files: JsonObject = {}
        self._bytes = 0
        self.unread: dict[str, str] = {}

    def bundle(self) -> None:
        """Read all files that are referred to, and those that they refer to in turn."""
        waiting: list[tuple[Any, Path]] = [(self._root, self._path)]
        seen: set[int] = set()  # YAML's aliases may make one object stand in many places
        while waiting:
            value, file = waiting.pop()
            if id(value) in seen or not isinstance(value, dict | list):
                continue
            seen.add(id(value))
            if isinstance(value, dict) and isinstance(reference := value.get("$ref"), str):
                waiting += self._rewritten(value, reference, file)
            waiting += [(part, file) for part in _parts(value)]
        if self._files:
            self._root[FILES_KEY] = self._files

    def _rewritten(self, holder: JsonObject, reference: str, file: Path) -> Iterator[tuple[Any, Path]]:
        """Rewrite one reference, and yield the file that it leads to where that is read for the first time."""
        place, _, pointer = reference.partition("#")
        if "://" in place or place.startswith("//") or (not place and file == self._path):
            return
        target = (file.parent / unquote(place)).resolve() if place else file
        if target == self._path:
            holder["$ref"] = f"#{pointer}"
            return
        if not target.is_relative_to(self._path.parent):
            self.unread[reference] = "is outside of the document's folder, and is not read"
            return
        name = target.relative_to(self._path.parent).as_posix()
        if name not in self._files:
            try:
                self._files[name] = self._read(target)
            except (OSError, ConfigError) as error:
                self.unread[reference] = f"cannot be read: {getattr(error, 'strerror', None) or error}"
                return
            yield self._files[name], target
        holder["$ref"] = f"#/{FILES_KEY}/{quote(escape_token(name), safe='~')}{pointer}"

    def _read(self, target: Path) -> Any:
        if not target.is_file():
            raise ConfigError("there is no such file")
        self._bytes += target.stat().st_size
        if self._bytes > MAX_BYTES:
            raise ConfigError(f"the files are longer than {MAX_BYTES:,} bytes together")
        return self._parse(target, target.read_bytes())


def _parts(value: Any) -> Iterator[Any]:
    """Yield the parts of a value in which references may stand; properties may have any name."""
    if isinstance(value, list):
        yield from value
        return
    for key, part in value.items():
        if key in _SCHEMAS_BY_NAME and isinstance(part, dict):
            yield from part.values()
        elif key not in _LITERAL_KEYWORDS:
            yield part


def resolve_recursion(root: JsonObject) -> None:
    """Make `$recursiveRef` and `$dynamicRef` references to the nearest schema around them that has their anchor.

    What has no such schema is left as it is.

    Args:
        root: The document, which is changed.
    """
    waiting: list[tuple[Any, str, dict[str, str]]] = [(root, "#", {})]
    seen: set[int] = set()
    while waiting:
        value, pointer, anchors = waiting.pop()
        if id(value) in seen or not isinstance(value, dict | list):
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            if value.pop("$recursiveAnchor", None) is True:
                anchors = {**anchors, "#": pointer}
            if isinstance(name := value.pop("$dynamicAnchor", None), str):
                anchors = {**anchors, f"#{name}": pointer}
            for key in ("$recursiveRef", "$dynamicRef"):
                if (target := anchors.get(str(value.get(key)))) is not None:
                    del value[key]
                    value["$ref"] = target
        named = value.items() if isinstance(value, dict) else enumerate(value)
        waiting += [(part, f"{pointer}/{quote(escape_token(str(key)), safe='~')}", anchors) for key, part in named]

"""An OpenAPI document, its operations and its references."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from unified_agents.errors import ConfigError
from unified_agents.interop.openapi.bundling import (
    FileBundler,
    has_outward_references,
    has_recursive_references,
    resolve_recursion,
)
from unified_agents.interop.openapi.swagger import convert_operation, convert_root
from unified_agents.messages import JsonObject
from unified_agents.tools.json_pointer import MissingValueError, resolve_reference

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

_DIALECTS = ("https://spec.openapis.org/oas/3.1/dialect/", "https://json-schema.org/draft/2020-12/schema")


class Document:
    """A document that has been read. Its references are looked up where an operation needs them.

    Args:
        source: The file, YAML or JSON, whose `$ref` may lead to files in its folder; or the document itself.

    Attributes:
        where: The document's name in messages.

    Raises:
        ConfigError: it cannot be read, or is no OpenAPI 3.0 or 3.1 and no Swagger 2.0.
    """

    def __init__(self, source: Path | Mapping[str, Any]) -> None:
        self.where = document_label(source)
        self.root, self._unread = _read(source)
        version = self.root.get("openapi")
        self._is_swagger = version is None and self.root.get("swagger") in {"2.0", 2.0}
        if self._is_swagger:
            self.root, version = convert_root(self.root), "3.0.0"
        if not isinstance(version, str) or not version.startswith(("3.0.", "3.1.")):
            found = f"version {version or self.root.get('swagger')!r}" if version or "swagger" in self.root else "none"
            raise ConfigError(f"{self.where}: must be an OpenAPI 3.0 or 3.1 document, found {found}: convert it first")
        dialect = self.root.get("jsonSchemaDialect")
        if dialect is not None and not str(dialect).startswith(_DIALECTS):
            raise ConfigError(f"{self.where}: jsonSchemaDialect {dialect!r} is not supported: use JSON Schema 2020-12")
        self.is_3_0 = version.startswith("3.0.")
        self._targets: dict[str, Any] = {}

    @property
    def servers(self) -> list[Any]:
        """The document's `servers`; empty where it has none."""
        return as_list(self.root.get("servers"))

    def path_items(self) -> Iterator[tuple[str, Any]]:
        """Yield each path and its entry, in the document's order; extensions beside the paths are none.

        Raises:
            ConfigError: `paths` is no object.
        """
        for path, entry in self._object(self.root.get("paths") or {}, "paths").items():
            if not path.startswith("x-"):
                yield path, entry

    def path_item(self, path: str, entry: Any) -> JsonObject:
        """Return the item of a path, which may be a reference with further keys beside it.

        Raises:
            ConfigError: it is no object, or its reference leads nowhere.
        """
        beside = {key: value for key, value in self._object(entry, f"paths.{path}").items() if key != "$ref"}
        return {**self.resolve(entry), **beside}

    def operation(self, path: str, method: str, item: JsonObject) -> tuple[JsonObject, JsonObject]:
        """Return a path's item and one of its operations, in the form of OpenAPI 3.

        Raises:
            ConfigError: it is no object.
        """
        operation = self._object(item[method], f"paths.{path}.{method}")
        if self._is_swagger:
            return {}, convert_operation(operation, item, self.root, self.resolve)
        return item, operation

    def resolve(self, value: Any) -> JsonObject:
        """Return an object, or the one that its `$ref` leads to.

        Raises:
            ConfigError: the references lead in a circle, or not to an object.
        """
        return self._object(self.follow(value), f"what {value!r:.80} stands for")

    def follow(self, value: Any) -> Any:
        """Return a value, or the one that its `$ref` leads to.

        Raises:
            ConfigError: the references lead in a circle.
        """
        seen: list[str] = []
        while isinstance(value, dict) and isinstance(reference := value.get("$ref"), str):
            if reference in seen:
                raise ConfigError(f"{self.where}: $ref {reference!r} leads back to itself: write what is meant")
            seen.append(reference)
            value = self.target(reference)
        return value

    def target(self, reference: str) -> Any:
        """Return the value that a `$ref` points to.

        Raises:
            ConfigError: it is in another document, or nowhere.
        """
        if reference not in self._targets:
            self._targets[reference] = self._find(reference)
        return self._targets[reference]

    def _find(self, reference: str) -> Any:
        document, hash_, pointer = reference.partition("#")
        if reference in self._unread:
            raise ConfigError(f"{self.where}: $ref {reference!r} {self._unread[reference]}")
        if document or not hash_:
            raise ConfigError(
                f"{self.where}: $ref {reference!r} is another document, which is never fetched: put it into this file"
            )
        if not pointer.startswith("/"):
            raise ConfigError(f"{self.where}: $ref {reference!r} must be a path, such as #/components/schemas/Name")
        try:
            return resolve_reference(self.root, reference)
        except MissingValueError as error:
            raise ConfigError(
                f"{self.where}: $ref {reference!r} leads nowhere: {error.token!r} is not there"
            ) from error

    def _object(self, value: Any, place: str) -> JsonObject:
        if not isinstance(value, dict):
            raise ConfigError(f"{self.where}: {place} must be an object, not {type(value).__name__}")
        return value


def as_list(value: Any) -> list[Any]:
    """Return a list as it is; an empty one for every other value."""
    return value if isinstance(value, list) else []


def document_label(source: Path | Mapping[str, Any]) -> str:
    """Return the name of a document in messages: its file, or its title."""
    if isinstance(source, Path):
        return str(source)
    info = source.get("info")
    return str((info.get("title") if isinstance(info, Mapping) else None) or "an OpenAPI document")


def _read(source: Path | Mapping[str, Any]) -> tuple[JsonObject, Mapping[str, str]]:
    """Return a document, and why each other file that it refers to was not read, by the reference."""
    if isinstance(source, Path):
        try:
            data = source.read_bytes()
        except OSError as error:
            raise ConfigError(f"{source}: cannot be read: {error.strerror}") from error
        root = _parse(source, data)
    else:
        root, data = _copy(source)
    if not isinstance(root, dict):
        raise ConfigError(f"{source}: must be an OpenAPI document, not {type(root).__name__}")
    unread: Mapping[str, str] = {}
    if isinstance(source, Path) and has_outward_references(data):
        bundler = FileBundler(source, root, _parse)
        bundler.bundle()
        unread = bundler.unread
    if has_recursive_references(data):
        resolve_recursion(root)
    return root, unread


def _copy(source: Mapping[str, Any]) -> tuple[Any, bytes]:
    """Return a copy of a document's values, and its text."""
    try:
        data = json.dumps(source).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{document_label(source)}: must hold values of JSON only: {error}") from error
    return orjson.loads(data), data


def _parse(path: Path, data: bytes) -> Any:
    if data.lstrip().startswith(b"{"):
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as error:
            if path.suffix == ".json":
                raise ConfigError(f"{path}: not valid JSON: {error}") from error
    from unified_agents.interop.openapi.yaml_values import parse_json_values  # noqa: PLC0415  # only who has YAML pays for it

    return parse_json_values(data, str(path))

"""An OpenAPI document: reading it, and following its references."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from unified_agents.errors import ConfigError
from unified_agents.messages import JsonObject
from unified_agents.tools.json_pointer import MissingValueError, resolve_reference

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

_VALUES = frozenset({"example", "examples", "default", "const", "enum"})
_DIALECTS = ("https://spec.openapis.org/oas/3.1/dialect/", "https://json-schema.org/draft/2020-12/schema")


class Document:
    """A document that has been read and whose references have all been found in it.

    Args:
        path: The file, YAML or JSON.

    Raises:
        ConfigError: it cannot be read, is no OpenAPI 3.0 or 3.1, or refers to what is not in it.
    """

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self.root = _read(path)
        version = self.root.get("openapi")
        if not isinstance(version, str) or not version.startswith(("3.0.", "3.1.")):
            found = f"version {version or self.root.get('swagger')!r}" if version or "swagger" in self.root else "none"
            raise ConfigError(f"{self.where}: must be an OpenAPI 3.0 or 3.1 document, found {found}: convert it first")
        dialect = self.root.get("jsonSchemaDialect")
        if dialect is not None and not str(dialect).startswith(_DIALECTS):
            raise ConfigError(f"{self.where}: jsonSchemaDialect {dialect!r} is not supported: use JSON Schema 2020-12")
        self.is_3_0 = version.startswith("3.0.")
        self._targets: dict[str, Any] = {}
        self._check_references()

    @property
    def servers(self) -> Any:
        """The document's servers, as they stand there."""
        return self.root.get("servers") or []

    def operations(self) -> Iterator[tuple[str, str, JsonObject, JsonObject]]:
        """Method, path, the path's item and the operation, in the document's order.

        Raises:
            ConfigError: a path or an operation is no object.
        """
        for path, entry in self._object(self.root.get("paths") or {}, "paths").items():
            item = self.resolve(self._object(entry, f"paths.{path}"))
            for method, operation in item.items():
                if method in METHODS:
                    yield method, path, item, self._object(operation, f"paths.{path}.{method}")

    def resolve(self, value: Any) -> JsonObject:
        """What an object is, or what its `$ref` leads to.

        Raises:
            ConfigError: the references lead in a circle, or not to an object.
        """
        return self._object(self.follow(value), f"what {value!r:.80} stands for")

    def follow(self, value: Any) -> Any:
        """A value, or what its `$ref` leads to.

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
        """What a `$ref` points to.

        Raises:
            ConfigError: it is in another document, or nowhere.
        """
        if reference not in self._targets:
            self._targets[reference] = self._find(reference)
        return self._targets[reference]

    def _find(self, reference: str) -> Any:
        document, hash_, pointer = reference.partition("#")
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

    def _check_references(self) -> None:
        waiting: list[Any] = [self.root]
        seen: set[int] = set()  # YAML's aliases may make one object stand in many places, or within itself
        while waiting:
            value = waiting.pop()
            if id(value) in seen:
                continue
            if isinstance(value, dict):
                seen.add(id(value))
                if isinstance(reference := value.get("$ref"), str):
                    self.target(reference)
                waiting.extend(item for key, item in value.items() if key not in _VALUES)
            elif isinstance(value, list):
                seen.add(id(value))
                waiting.extend(value)

    def _object(self, value: Any, place: str) -> JsonObject:
        if not isinstance(value, dict):
            raise ConfigError(f"{self.where}: {place} must be an object, not {type(value).__name__}")
        return value


def _read(path: Path) -> Mapping[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    value = _parse(path, data)
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: must be an OpenAPI document, not {type(value).__name__}")
    return value


def _parse(path: Path, data: bytes) -> Any:
    if data.lstrip().startswith(b"{"):
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as error:
            if path.suffix == ".json":
                raise ConfigError(f"{path}: not valid JSON: {error}") from error
    from unified_agents.interop.openapi.yaml_values import parse_json_values  # noqa: PLC0415  # only who has YAML pays for it

    return parse_json_values(data, str(path))

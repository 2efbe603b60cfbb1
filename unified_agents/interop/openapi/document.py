"""An OpenAPI document, its operations and its references."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from unified_agents.errors import ConfigError
from unified_agents.messages import JsonObject
from unified_agents.tools.json_pointer import MissingValueError, resolve_reference

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

_DIALECTS = ("https://spec.openapis.org/oas/3.1/dialect/", "https://json-schema.org/draft/2020-12/schema")


class Document:
    """A document that has been read. Its references are looked up where an operation needs them.

    Args:
        path: The file, YAML or JSON.

    Raises:
        ConfigError: it cannot be read, or is no OpenAPI 3.0 or 3.1.
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

    @property
    def servers(self) -> list[Any]:
        """The document's `servers`; empty where it has none."""
        return as_list(self.root.get("servers"))

    def path_items(self) -> Iterator[tuple[str, Any]]:
        """Yield each path and its entry, in the document's order.

        Raises:
            ConfigError: `paths` is no object.
        """
        yield from self._object(self.root.get("paths") or {}, "paths").items()

    def path_item(self, path: str, entry: Any) -> JsonObject:
        """Return the item of a path, which may be a reference.

        Raises:
            ConfigError: it is no object, or its reference leads nowhere.
        """
        return self.resolve(self._object(entry, f"paths.{path}"))

    def operation(self, path: str, method: str, item: JsonObject) -> JsonObject:
        """Return an operation of a path's item.

        Raises:
            ConfigError: it is no object.
        """
        return self._object(item[method], f"paths.{path}.{method}")

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

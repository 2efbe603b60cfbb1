"""The tools of a document: one for each of its operations."""

from __future__ import annotations

import fnmatch
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from yarl import URL

from unified_agents.errors import ConfigError, ToolFailedError
from unified_agents.interop.openapi.client import OpenApiClient
from unified_agents.interop.openapi.config import OpenApiConfig
from unified_agents.interop.openapi.credentials import Credentials
from unified_agents.interop.openapi.document import METHODS, Document, as_list
from unified_agents.interop.openapi.operation import Operation, OperationContext, parse_server_url, server_url
from unified_agents.interop.openapi.public_resolver import check_target
from unified_agents.interop.openapi.schemas import SchemaTranslator
from unified_agents.interop.source import OpenSource
from unified_agents.tools.definition import Tool

logger = logging.getLogger("unified_agents.tools")

_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""RFC 9110, section 9.2.2."""
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9]+")


def open_openapi(config: OpenApiConfig) -> OpenSource:
    """Read a document, and make a tool of each of its operations.

    A tool's name is the `operationId`; without one, or where another operation has the same, method and path. An
    operation that cannot be a tool is left out with a warning, and stands in the source's `skipped` with the reason.
    No connection is opened yet; a call after `aclose` opens new ones.

    Raises:
        ConfigError: the file is no OpenAPI 3.0 or 3.1 and no Swagger 2.0 document; it has operations, and none of them
            can be a tool; a secret is missing; or its server is none that calls may go to.
    """
    document = Document(config.openapi)
    credentials = Credentials(config.auth, document, config.headers, config.arguments)
    base_url = _base_url(config, document)
    servers = [base_url] if base_url is not None else _own_servers(document)
    own_hosts = list(dict.fromkeys(url.host or "" for url in servers))
    if config.allow_hosts is None and len(own_hosts) > 1:
        raise ConfigError(f"{document.where}: its servers are {', '.join(own_hosts)}: give allow_hosts, or base_url")
    hosts = frozenset(map(str.lower, own_hosts if config.allow_hosts is None else config.allow_hosts))
    try:
        check_target(servers[0], hosts, config.allow_private)
    except ToolFailedError as error:
        raise ConfigError(f"{document.where}: {error}") from error
    credentials.check_token_hosts(config.auth, hosts, document.where)
    client = OpenApiClient(config, hosts, credentials.redactor)
    is_overridden = config.base_url is not None
    context = OperationContext(document, SchemaTranslator(document), credentials, client, base_url, is_overridden)
    tools, skipped = _usable_tools(context, config)
    return OpenSource(tuple(tools), client.aclose, skipped)


@dataclass(slots=True, frozen=True)
class _Entry:
    """An operation of a document, or why it cannot be read."""

    method: str
    path: str
    operation: Operation | ConfigError

    @property
    def tags(self) -> list[Any]:
        return self.operation.tags if isinstance(self.operation, Operation) else []


def _usable_tools(context: OperationContext, config: OpenApiConfig) -> tuple[list[Tool], dict[str, str]]:
    """Return the tools, and why each operation that cannot be one is left out, by name.

    Raises:
        ConfigError: there are operations, and none can be a tool; or a filter fits none.
    """
    where = context.document.where
    tools: list[Tool] = []
    skipped: dict[str, str] = {}
    used: list[Operation] = []
    for name, entry in _filtered(list(_named(_entries(context), where)), config, where):
        try:
            if isinstance(entry.operation, ConfigError):
                raise entry.operation
            entry.operation.check_server()
            tool = _tool(name, entry.operation, config)
            tool.parameters  # noqa: B018  # makes the schema, and finds what is wrong with it
        except ConfigError as error:
            skipped[name] = str(error)
            logger.warning("%s: the operation %s is left out: %s", where, name, error)
        else:
            tools.append(tool)
            used.append(entry.operation)
    if skipped and not tools:
        name, reason = next(iter(skipped.items()))
        raise ConfigError(f"{where}: none of its {len(skipped)} operations can be a tool: {name}: {reason}")
    if used:
        _warn_of_unused(config, used, where)
    return tools, skipped


def _warn_of_unused(config: OpenApiConfig, operations: Sequence[Operation], where: str) -> None:
    for name in config.auth:
        if not any(name in operation.sent_schemes for operation in operations):
            logger.warning(
                "%s: the secret for %r is never sent: no operation asks for it; give it under headers",
                where,
                name,
            )
    for name in config.arguments:
        if not any(parameter.name == name for operation in operations for parameter in operation.plan.parameters):
            logger.warning("%s: no operation has a parameter %r, to which arguments gives a value", where, name)


def _filtered(entries: Sequence[tuple[str, _Entry]], config: OpenApiConfig, where: str) -> Iterator[tuple[str, _Entry]]:
    """Yield the operations that the config's filters let through.

    Raises:
        ConfigError: a pattern fits no operation.
    """
    for key, patterns, values in (
        ("tags", config.tags, {str(tag) for _, entry in entries for tag in entry.tags}),
        ("paths", config.paths, {entry.path for _, entry in entries}),
    ):
        for pattern in patterns:
            if not fnmatch.filter(values, pattern):
                raise ConfigError(f"{where}: {key}: {pattern!r} matches no operation")
    for name, entry in entries:
        if (
            (not config.methods or entry.method in config.methods)
            and (not config.paths or _matches([entry.path], config.paths))
            and (not config.tags or _matches(map(str, entry.tags), config.tags))
        ):
            yield name, entry


def _matches(values: Iterable[str], patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(value, pattern) for value in values for pattern in patterns)


def _tool(name: str, operation: Operation, config: OpenApiConfig) -> Tool:
    return Tool(
        name=name,
        description=operation.description,
        parameters=operation.parameters,
        handler=operation,
        timeout=config.timeout,
        idempotent=operation.method in _IDEMPOTENT,
    )


def _entries(context: OperationContext) -> Iterator[_Entry]:
    document = context.document
    for path, entry in document.path_items():
        try:
            item = document.path_item(path, entry)
        except ConfigError as error:
            yield _Entry("", path, error)
            continue
        for method in item:
            if method not in METHODS:
                continue
            try:
                own_item, raw = document.operation(path, method, item)
            except ConfigError as error:
                yield _Entry(method, path, error)
            else:
                yield _Entry(method, path, Operation(context, method.upper(), path, own_item, raw))


def _named(entries: Iterable[_Entry], where: str) -> Iterator[tuple[str, _Entry]]:
    """Yield each operation under a name of its own: its id, or method and path."""
    used: set[str] = set()
    for entry in entries:
        name = entry.operation.id if isinstance(entry.operation, Operation) else None
        if name is None or name in used:
            if name is not None:
                logger.warning("%s: two operations have the id %r: one is renamed", where, name)
            path = entry.path.replace("{", "").replace("}", "")
            name = _NOT_IN_NAMES.sub("_", f"{entry.method}_{path}").strip("_")
            while name in used:
                name += "_"
        used.add(name)
        yield name, entry


def _base_url(config: OpenApiConfig, document: Document) -> URL | None:
    if config.base_url is not None:
        return parse_server_url(config.base_url, document)
    return server_url(document.servers[0], document, None) if document.servers else None


def _own_servers(document: Document) -> list[URL]:
    """Return the servers of the paths and operations of a document that has none for all of them.

    Raises:
        ConfigError: there are none.
    """
    found: list[URL] = []
    for _, item in document.path_items():
        holders = [item, *item.values()] if isinstance(item, dict) else []
        for holder in holders:
            servers = as_list(holder.get("servers")) if isinstance(holder, dict) else []
            with suppress(ConfigError):  # that operation is left out
                found += [server_url(server, document, None) for server in servers[:1]]
    if not found:
        raise ConfigError(f"{document.where}: names no server: give base_url")
    return found

"""The tools of a document: one for each of its operations."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator

from yarl import URL

from unified_agents.errors import ConfigError, ToolFailedError
from unified_agents.interop.openapi.client import OpenApiClient
from unified_agents.interop.openapi.config import OpenApiConfig
from unified_agents.interop.openapi.credentials import Credentials
from unified_agents.interop.openapi.document import METHODS, Document
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
        ConfigError: the file is no OpenAPI 3.0 or 3.1 document; it has operations, and none of them can be a tool; a
            secret is missing; or its server is none that calls may go to.
    """
    document = Document(config.openapi)
    credentials = Credentials(config.auth, document)
    base_url = _base_url(config, document)
    allowed = (base_url.host or "",) if config.allow_hosts is None else config.allow_hosts
    hosts = frozenset(map(str.lower, allowed))
    try:
        check_target(base_url, hosts, config.allow_private)
    except ToolFailedError as error:
        raise ConfigError(f"{document.where}: {error}") from error
    client = OpenApiClient(config, hosts, credentials.redactor)
    is_overridden = config.base_url is not None
    context = OperationContext(document, SchemaTranslator(document), credentials, client, base_url, is_overridden)
    tools, skipped = _usable_tools(context, config)
    return OpenSource(tuple(tools), client.aclose, skipped)


def _usable_tools(context: OperationContext, config: OpenApiConfig) -> tuple[list[Tool], dict[str, str]]:
    """Return the tools, and why each operation that cannot be one is left out, by name.

    Raises:
        ConfigError: there are operations, and none can be a tool.
    """
    operations = list(_operations(context))
    where = context.document.where
    tools: list[Tool] = []
    skipped: dict[str, str] = {}
    for name, operation in _named(operations, where):
        try:
            if not isinstance(operation, Operation):
                raise operation
            tool = _tool(name, operation, config)
            tool.parameters  # noqa: B018  # makes the schema, and finds what is wrong with it
        except ConfigError as error:
            skipped[name] = str(error)
            logger.warning("%s: the operation %s is left out: %s", where, name, error)
        else:
            tools.append(tool)
    if skipped and not tools:
        name, reason = next(iter(skipped.items()))
        raise ConfigError(f"{where}: none of its {len(skipped)} operations can be a tool: {name}: {reason}")
    return tools, skipped


def _tool(name: str, operation: Operation, config: OpenApiConfig) -> Tool:
    return Tool(
        name=name,
        description=operation.description,
        parameters=operation.parameters,
        handler=operation,
        timeout=config.timeout,
        idempotent=operation.method in _IDEMPOTENT,
    )


def _operations(context: OperationContext) -> Iterator[tuple[str, str, Operation | ConfigError]]:
    """Yield method, path and operation; in its place the error, where it cannot be read."""
    document = context.document
    for path, entry in document.path_items():
        try:
            item = document.path_item(path, entry)
        except ConfigError as error:
            yield "", path, error
            continue
        for method in item:
            if method not in METHODS:
                continue
            try:
                raw = document.operation(path, method, item)
            except ConfigError as error:
                yield method, path, error
            else:
                yield method, path, Operation(context, method.upper(), path, item, raw)


def _named(
    operations: Iterable[tuple[str, str, Operation | ConfigError]], where: str
) -> Iterator[tuple[str, Operation | ConfigError]]:
    """Yield each operation under a name of its own: its id, or method and path."""
    used: set[str] = set()
    for method, path, operation in operations:
        name = operation.id if isinstance(operation, Operation) else None
        if name is None or name in used:
            if name is not None:
                logger.warning("%s: two operations have the id %r: one is renamed", where, name)
            name = _NOT_IN_NAMES.sub("_", f"{method}_{path.replace('{', '').replace('}', '')}").strip("_")
            while name in used:
                name += "_"
        used.add(name)
        yield name, operation


def _base_url(config: OpenApiConfig, document: Document) -> URL:
    if config.base_url is not None:
        return parse_server_url(config.base_url, document)
    servers = document.servers
    if not isinstance(servers, list) or not servers:
        raise ConfigError(f"{document.where}: names no server: give base_url")
    return server_url(servers[0], document, None)

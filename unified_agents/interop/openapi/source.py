"""From a config to tools: one for each operation of the document."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass

from yarl import URL

from unified_agents.errors import ConfigError, ToolFailedError
from unified_agents.interop.openapi.client import Client
from unified_agents.interop.openapi.config import OpenApiConfig
from unified_agents.interop.openapi.credentials import Keys
from unified_agents.interop.openapi.document import Document
from unified_agents.interop.openapi.operation import Operation, Shared, checked_url, server_url
from unified_agents.interop.openapi.public_resolver import check_target
from unified_agents.interop.openapi.schemas import Schemas
from unified_agents.tools.definition import Tool

logger = logging.getLogger("unified_agents.tools")

_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""RFC 9110, section 9.2.2."""
_ILLEGAL = re.compile(r"[^A-Za-z0-9]+")


@dataclass(slots=True, frozen=True)
class OpenApiSource:
    """The tools of a document, and how to close what they hold.

    Attributes:
        tools: One for each operation, in the document's order.
    """

    tools: tuple[Tool, ...]
    _client: Client

    async def aclose(self) -> None:
        """Close the connections. A later call opens new ones."""
        await self._client.aclose()


def open_openapi(config: OpenApiConfig) -> OpenApiSource:
    """Read a document, and make a tool of each of its operations.

    A tool's name is the `operationId`; without one, or where another operation has the same, method and path. Its
    schema is made when it is first needed; what is wrong with it is raised then. No connection is opened.

    Raises:
        ConfigError: the file is no OpenAPI 3.0 or 3.1 document, or refers to another one; a secret is missing; or its
            server is none that calls may go to.
    """
    document = Document(config.openapi)
    keys = Keys(config.auth, document)
    base = _base(config, document)
    hosts = _hosts(config, base)
    try:
        check_target(base, hosts, config.allow_private)
    except ToolFailedError as error:
        raise ConfigError(f"{document.where}: {error}") from error
    client = Client(
        hosts=hosts,
        allow_private=config.allow_private,
        timeout=config.timeout,
        max_response_bytes=config.max_response_bytes,
        keys=keys,
    )
    shared = Shared(document, Schemas(document), keys, client, base, config.base_url is not None)
    tools = [_tool(name, operation, config) for name, operation in _named(shared)]
    return OpenApiSource(tuple(tools), client)


def _tool(name: str, operation: Operation, config: OpenApiConfig) -> Tool:
    return Tool(
        name=name,
        description=operation.description,
        parameters=operation.parameters,
        handler=operation,
        timeout=config.timeout,
        idempotent=operation.method in _IDEMPOTENT,
    )


def _named(shared: Shared) -> Iterator[tuple[str, Operation]]:
    used: set[str] = set()
    for method, path, item, stated in shared.document.operations():
        operation = Operation(shared, method, path, item, stated)
        name = operation.id
        if name is None or name in used:
            if name is not None:
                logger.warning("%s: two operations have the id %r: one is renamed", shared.document.where, name)
            name = _ILLEGAL.sub("_", f"{method}_{path.replace('{', '').replace('}', '')}").strip("_")
            while name in used:
                name += "_"
        used.add(name)
        yield name, operation


def _base(config: OpenApiConfig, document: Document) -> URL:
    if config.base_url is not None:
        return checked_url(config.base_url, document)
    servers = document.servers
    if not isinstance(servers, list) or not servers:
        raise ConfigError(f"{document.where}: names no server: give base_url")
    return server_url(servers[0], document, None)


def _hosts(config: OpenApiConfig, base: URL) -> frozenset[str]:
    if config.allow_hosts is None:
        return frozenset({(base.host or "").lower()})
    return frozenset(host.lower() for host in config.allow_hosts)

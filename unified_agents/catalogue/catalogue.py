"""Catalogues: an agent's tools from all of their sources, filtered and prefixed, with every collision reported.

An entry is a tool, a typed function, `module:name`, or a source of many tools:

    tools:
      - my_package.tools:search                    # a tool, a function, or a list of them
      - {python: my_package.tools, include: ["get_*"]}
      - {mcp: {command: [npx, server-github]}, prefix: github_, exclude: [delete_*]}
      - {openapi: shop.yaml, include: [orders_*]}
"""

from __future__ import annotations

import fnmatch
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias, TypeVar

from unified_agents.concurrency.background_loop import run_in_background
from unified_agents.config import Settings, ToolSource, load_tools, parse_config
from unified_agents.config.importing import import_module, import_named
from unified_agents.errors import ConfigError
from unified_agents.interop.mcp.config import McpServerConfig
from unified_agents.interop.mcp.servers_file import read_servers
from unified_agents.interop.openapi.config import OpenApiConfig
from unified_agents.interop.source import Openable, OpenSource
from unified_agents.text import closest
from unified_agents.tools.decorator import as_tool
from unified_agents.tools.definition import Tool
from unified_agents.tools.options import Coercion

ToolLike: TypeAlias = (
    Tool | Callable[..., Any] | str | ToolSource | McpServerConfig | OpenApiConfig | Mapping[str, Any] | Openable
)
"""An entry of a catalogue: what an agent may be given as tools."""

SettingsT = TypeVar("SettingsT", bound=Settings)

MAX_SUGGESTIONS = 3


@dataclass(slots=True)
class Catalogue:
    """The tools of an agent, with the open sources behind them.

    Attributes:
        tools: All of them, each under a name of its own.
        skipped: What sources have that cannot be a tool and is left out, by name, with the reason.
    """

    tools: tuple[Tool, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict)
    _sources: list[OpenSource] = field(default_factory=list)

    async def aclose(self) -> None:
        """Close all sources, the last one first. May be awaited on any event loop, and more than once.

        Raises:
            ExceptionGroup: some could not be ended; the others were.
        """
        failures: list[Exception] = []
        while self._sources:
            try:
                await self._sources.pop().aclose()
            except Exception as error:
                failures.append(error)
        if failures:
            raise ExceptionGroup("sources of tools could not be closed", failures)

    def close(self) -> None:
        """Do the same as `aclose` in code that is not asynchronous."""
        if self._sources:
            run_in_background(self.aclose)

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def open_catalogue(entries: Iterable[ToolLike], *, coercion: Coercion | None = None) -> Catalogue:
    """Make a catalogue of entries, in their order, and open what they name: files are read, servers connected.

    Args:
        entries: What it is made of.
        coercion: That of all tools but those of a source that says its own; None leaves each tool its own.

    Raises:
        ConfigError: an entry names nothing, a source cannot be opened, an `include` pattern matches no tool, or two
            tools have one name. What was opened until then is closed.
        ToolDefinitionError: what an entry names cannot be a tool.
    """
    catalogue = Catalogue()
    try:
        _fill(catalogue, entries, coercion)
    except BaseException:
        catalogue.close()
        raise
    return catalogue


def load_catalogue(place: str | Path) -> Catalogue:
    """Open a catalogue by name.

    Args:
        place: A YAML file with `tools:` (a catalogue's own file, or an agent's), an OpenAPI document, `module:name`,
            or a module, which offers the tools that it defines.

    Raises:
        ConfigError: there is no such file or module, or see `open_catalogue`.
    """
    return open_catalogue(read_entries(place))


def read_entries(place: str | Path) -> Sequence[ToolLike]:
    """Return the entries of a catalogue by name, before anything is opened; see `load_catalogue`.

    Raises:
        ConfigError: there is no such file, or it does not fit.
    """
    path = Path(place)
    if path.suffix == ".py":
        raise ConfigError(f"{place} is a Python file: give its module, {path.stem}, or one tool, {path.stem}:NAME")
    if path.suffix.lower() in {".yaml", ".yml", ".json"} or path.is_file():
        return load_tools(path)
    text = str(place)
    return [text] if ":" in text else [ToolSource(python=text)]


def mcp_servers(entries: Iterable[ToolLike]) -> Iterator[McpServerConfig]:
    """Yield the settings of each MCP server that entries name, without connecting to it.

    Raises:
        ConfigError: an entry does not fit.
    """
    for number, entry in enumerate(entries, 1):
        source = _as_source(entry, number)
        if isinstance(source, McpServerConfig):
            yield source
        elif isinstance(source, ToolSource) and source.mcp is not None:
            yield _settings(McpServerConfig, source.mcp, "tools: mcp")
        elif isinstance(source, ToolSource) and source.mcp_file is not None:
            for server, config in read_servers(Path(source.mcp_file).expanduser()).items():
                yield config if config.name is not None else config.model_copy(update={"name": server})


def _fill(catalogue: Catalogue, entries: Iterable[ToolLike], coercion: Coercion | None) -> None:
    tools: dict[str, Tool] = {}
    origins: dict[str, str] = {}
    for number, entry in enumerate(entries, 1):
        source = _as_source(entry, number)
        if isinstance(source, ToolSource):
            _check_file(source, number)
        origin, found = _read(source, catalogue)
        own = source.coercion if isinstance(source, ToolSource) else None
        for given in found:
            tool = _with_coercion(given, own or coercion)
            if tool.name in tools:
                raise _collision(tool.name, origins[tool.name], origin)
            tools[tool.name] = tool
            origins[tool.name] = origin
    catalogue.tools = tuple(tools.values())


def _check_file(source: ToolSource, number: int) -> None:
    """Say which key names a file that is not there."""
    document = source.openapi.get("openapi") if isinstance(source.openapi, Mapping) else None
    for key, file in (("mcp_file", source.mcp_file), ("openapi", document)):
        if isinstance(file, str | Path) and "://" not in str(file) and not Path(file).expanduser().exists():
            raise ConfigError(f"tools: entry {number}: {key}: there is no file {file}")


def _collision(name: str, first: str, second: str) -> ConfigError:
    place = f"both of {first}" if first == second else f"one of {first}, one of {second}"
    return ConfigError(
        f"two tools have the name {name!r} ({place}): rename one, give its source a `prefix`, or `exclude` it there"
    )


def _as_source(entry: ToolLike, number: int) -> ToolLike:
    return parse_config(ToolSource, entry, f"tools: entry {number}") if isinstance(entry, Mapping) else entry


def _read(entry: ToolLike, catalogue: Catalogue) -> tuple[str, Iterable[Tool]]:
    """Return where an entry's tools come from, for messages, and the tools."""
    if isinstance(entry, str):
        return entry, _from_name(entry)
    if isinstance(entry, ToolSource) and entry.mcp_file is not None:
        return entry.mcp_file, _from_servers_file(entry, Path(entry.mcp_file).expanduser(), catalogue)
    if isinstance(entry, ToolSource):
        origin, tools = _from_source(entry, catalogue)
        return origin, [_prefixed(tool, entry.prefix) for tool in _filtered(entry, tools, origin)]
    if isinstance(entry, Settings):
        return _open(entry, catalogue)
    if not isinstance(entry, Tool) and isinstance(entry, Openable):
        if inspect.iscoroutinefunction(entry.open):
            name = type(entry).__name__
            raise ConfigError(f"tools: give the config of the {name}, or what `await connection.open()` returns")
        return _open(entry, catalogue)
    return "the tools given in Python", [as_tool(entry)]


def _from_source(entry: ToolSource, catalogue: Catalogue) -> tuple[str, Sequence[Tool]]:
    if entry.mcp is not None:
        return _open(_settings(McpServerConfig, entry.mcp, "tools: mcp"), catalogue)
    if entry.openapi is not None:
        return _open(_settings(OpenApiConfig, entry.openapi, "tools: openapi"), catalogue)
    name = entry.python or ""
    return name, _from_name(name) if ":" in name else _from_module(import_module(name, "tools"))


def _from_servers_file(entry: ToolSource, path: Path, catalogue: Catalogue) -> Sequence[Tool]:
    """Return the tools of all servers of a file, filtered, under prefixes that may name their server."""
    servers: dict[int, str] = {}
    found: list[Tool] = []
    for server, config in read_servers(path).items():
        _, tools = _open(config if config.name is not None else config.model_copy(update={"name": server}), catalogue)
        servers |= {id(tool): server for tool in tools}
        found.extend(tools)
    owners: dict[str, str] = {}
    kept: list[Tool] = []
    for tool in _filtered(entry, found, str(path)):
        server = servers[id(tool)]
        kept.append(_prefixed(tool, entry.prefix.replace("{server}", server)))
        name = kept[-1].name
        if (other := owners.setdefault(name, server)) != server:
            raise ConfigError(
                f"{path}: the servers {other!r} and {server!r} both have a tool {name!r}: write prefix: '{{server}}_'"
            )
    return kept


def _settings(kind: type[SettingsT], value: Mapping[str, Any] | Settings, where: str) -> SettingsT:
    if isinstance(value, Settings) and not isinstance(value, kind):
        raise ConfigError(f"{where}: give {kind.__name__}(…), or a mapping of its keys, not {type(value).__name__}")
    return value if isinstance(value, kind) else parse_config(kind, value, where)


def _open(settings: Openable | Settings, catalogue: Catalogue) -> tuple[str, Sequence[Tool]]:
    source = settings.open() if isinstance(settings, Openable) else open_source(settings)
    catalogue._sources.append(source)
    catalogue.skipped.update(source.skipped)
    return str(getattr(settings, "label", type(settings).__name__)), source.tools


def open_source(settings: Settings) -> OpenSource:
    """Connect to an MCP server, or read an OpenAPI document, and block until its tools are known.

    Args:
        settings: An `McpServerConfig` or an `OpenApiConfig`.

    Raises:
        ConfigError: it cannot be opened, and the message says why; or it is another kind of settings.
    """
    if isinstance(settings, McpServerConfig):
        from unified_agents.interop.mcp.connection import open_server  # noqa: PLC0415  # its SDK is an extra

        return open_server(settings)
    if isinstance(settings, OpenApiConfig):
        from unified_agents.interop.openapi.source import open_openapi  # noqa: PLC0415  # brings the HTTP client

        return open_openapi(settings)
    raise ConfigError(f"tools: {type(settings).__name__} is no source of tools")


def _filtered(source: ToolSource, known: Sequence[Tool], origin: str) -> Iterator[Tool]:
    for pattern in source.include:
        if not any(fnmatch.fnmatchcase(tool.name, pattern) for tool in known):
            raise ConfigError(f"{origin}: `include` pattern {pattern!r} matches no tool; {_closest(pattern, known)}")
    for tool in known:
        if source.include and not any(fnmatch.fnmatchcase(tool.name, pattern) for pattern in source.include):
            continue
        if any(fnmatch.fnmatchcase(tool.name, pattern) for pattern in source.exclude):
            continue
        yield tool


def _prefixed(tool: Tool, prefix: str) -> Tool:
    return tool.renamed(prefix + tool.name) if prefix else tool


def _with_coercion(tool: Tool, coercion: Coercion | None) -> Tool:
    return tool if coercion in (None, tool.coercion) else tool.with_options(replace(tool.options, coercion=coercion))


def _closest(pattern: str, tools: Sequence[Tool]) -> str:
    names = [tool.name for tool in tools]
    if not names:
        return "it has none"
    close = closest(pattern.strip("*?"), names, most=MAX_SUGGESTIONS, cutoff=0.3)
    return f"it has {', '.join(close or names[:MAX_SUGGESTIONS])}" + (", …" if len(names) > MAX_SUGGESTIONS else "")


def _from_name(text: str) -> Sequence[Tool]:
    """Return a tool, or several, from `module:name`."""
    value = import_named(text, "tool")
    if isinstance(value, list | tuple):
        return [as_tool(item) for item in value]
    return [as_tool(value)]


def _from_module(module: ModuleType) -> Sequence[Tool]:
    """Return the tools that a module defines or imports under public names, each once."""
    found = {id(value): value for name, value in vars(module).items() if isinstance(value, Tool) and name[0] != "_"}
    if not found:
        raise ConfigError(f"{module.__name__}: no tools are defined there: decorate functions with @tool")
    return list(found.values())

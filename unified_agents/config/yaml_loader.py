"""Parses YAML as config files use it. Importing this module loads `yaml`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from unified_agents.errors import ConfigError


class UniqueKeyLoader(yaml.SafeLoader):
    """A loader of plain values that refuses a key given twice, where yaml itself would silently take the last."""

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        """Compose a mapping as it is written in the file; keys that `<<` merges in may be given again.

        Raises:
            yaml.MarkedYAMLError: a key is given twice.
        """
        node = super().compose_mapping_node(anchor)
        seen: dict[tuple[str, str], yaml.Node] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            first = seen.setdefault((key.tag, key.value), key)
            if first is not key:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} stands in line {first.start_mark.line + 1} already; remove one",
                    problem_mark=key.start_mark,
                )
        return node


def parse_yaml(text: str, where: str) -> Any:
    """Parse a YAML document, with YAML's own rules for numbers, dates and truth values.

    Args:
        text: The document.
        where: The file, for messages.

    Raises:
        ConfigError: the text is no YAML, has a key twice, or is nested too deeply.
    """
    with yaml_faults(where):
        return yaml.load(text, Loader=UniqueKeyLoader)  # noqa: S506  # a kind of SafeLoader


@contextmanager
def yaml_faults(where: str) -> Iterator[None]:
    """Turn errors of the YAML parser into a `ConfigError` of one line.

    Args:
        where: The file, for messages.

    Raises:
        ConfigError: the text is no YAML, or is nested too deeply; the message has line and column where they are known.
    """
    try:
        yield
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{where}{place}: not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2026-02-30
        raise ConfigError(f"{where}: not valid YAML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{where}: is nested too deeply") from error

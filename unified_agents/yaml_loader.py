"""YAML as config files use it. Importing this loads `yaml`."""

from __future__ import annotations

from typing import Any

import yaml


class UniqueKeyLoader(yaml.SafeLoader):
    """Plain values only, and no key twice in one mapping, where yaml itself would take the last without a word."""

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        """A mapping of the file, as it is written: keys that `<<` merges in may be given again.

        Raises:
            yaml.MarkedYAMLError: a key stands there twice.
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


def parse_yaml(text: str) -> Any:
    """The value of a YAML document.

    Raises:
        yaml.YAMLError: it is no YAML, or has a key twice.
    """
    return yaml.load(text, Loader=UniqueKeyLoader)  # noqa: S506  # a kind of SafeLoader

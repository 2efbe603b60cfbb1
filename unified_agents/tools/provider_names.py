"""Tool names that providers accept."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence, Set

from unified_agents.errors import ConfigError

MAX_NAME_CHARS = 64
_LEGAL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")
_BEGINS_ILLEGAL = re.compile(r"^(?=[0-9-])")
_ILLEGAL = re.compile(r"[^a-zA-Z0-9_-]")


def provider_names(names: Sequence[str], *, taken: Set[str] = frozenset()) -> dict[str, str]:
    """Map each tool's name to one that matches `^[a-zA-Z_][a-zA-Z0-9_-]{0,63}$`, all different.

    A legal name stays as it is. In others, what is illegal becomes `_`, which also stands before a digit or hyphen at
    the beginning. Where that is too long or not unique, a hash of the name ends it. The result does not depend on the
    order of the names.

    Args:
        names: The tools' own names.
        taken: Names that must not be given, because something else has them.

    Raises:
        ConfigError: a name is there twice.
    """
    for name, count in Counter(names).items():
        if count > 1:
            raise ConfigError(f"two tools have the name {name!r}: rename one")
    fixed = {name: name for name in names if _LEGAL.fullmatch(name) and name not in taken}
    used = {*fixed, *taken}
    plain = {name: _BEGINS_ILLEGAL.sub("_", _ILLEGAL.sub("_", name)) for name in names if name not in fixed}
    counts = Counter(plain.values())
    for name in sorted(plain):
        candidate = plain[name]
        if counts[candidate] > 1 or candidate in used or not _LEGAL.fullmatch(candidate):
            continue
        fixed[name] = candidate
    used.update(fixed.values())
    for name in sorted(plain.keys() - fixed.keys()):
        fixed[name] = _hashed(name, plain[name], used)
        used.add(fixed[name])
    return {name: fixed[name] for name in names}


def _hashed(name: str, candidate: str, used: Set[str]) -> str:
    for attempt in range(len(used) + 1):
        text = f"{name}\0{attempt}" if attempt else name
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        result = f"{candidate[: MAX_NAME_CHARS - len(digest) - 1]}_{digest}"
        if result not in used:
            return result
    raise ConfigError(f"no free name is left for the tool {name!r}: rename it")

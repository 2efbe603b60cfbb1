"""The URL of a model's server, as the clients of frameworks want it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

_API_VERSION = re.compile(r"v\d+\w*")


def is_api_version(name: str) -> bool:
    """Tell whether a part of a path is the version of an API, such as `v1` or `v1beta`."""
    return _API_VERSION.fullmatch(name) is not None


def shown_to_frameworks(url: str) -> str:
    """Return a URL without its query, behind which a client would put its path, and without user and password."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def split_version(url: str) -> tuple[str, str]:
    """Return a URL without the version at its end, and the version; empty where there is none."""
    root, _, version = url.rstrip("/").rpartition("/")
    return (root, version) if is_api_version(version) else (url.rstrip("/"), "")

"""Decoding of texts in the charsets that the web uses."""

from __future__ import annotations

import codecs

_CHARSETS = frozenset(
    {
        "utf-8",
        "utf-8-sig",
        "ascii",
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "utf-32",
        "iso8859-1",
        "iso8859-2",
        "iso8859-15",
    }
    | {"cp1250", "cp1251", "cp1252", "koi8-r", "shift_jis", "euc_jp", "euc_kr", "gb2312", "gbk", "gb18030", "big5"}
)


def decode_text(data: bytes, charset: str | None) -> str:
    """Decode a body. Charsets that no text of the web has, such as `punycode`, may be slow: they are read as UTF-8."""
    try:
        name = codecs.lookup(charset or "utf-8").name
    except (LookupError, ValueError):
        name = "utf-8"
    return data.decode(name if name in _CHARSETS else "utf-8", "replace")

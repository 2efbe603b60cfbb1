"""Named placeholders for secrets in what is stored, which are filled again by whoever has the same configuration."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus

import orjson

from unified_agents.redaction.redactor import MASK, MIN_SECRET_CHARS

_PLACE = re.compile(rb"\{\{secret ([^{}|]+)\|(\w+)\}\}")


class Placeholders:
    """A replacer of secrets in JSON texts, by placeholders that tell the name of the secret and its form.

    Secrets are found plain, escaped within JSON, percent-encoded, in base64 wherever it begins, and in hexadecimal.

    Args:
        secrets: The secrets by name. Short ones are left where they are: they would be common words.
    """

    __slots__ = ("_forms", "_places")

    def __init__(self, secrets: Mapping[str, str]) -> None:
        forms: dict[bytes, bytes] = {}
        self._places: dict[bytes, bytes] = {}
        for name, secret in secrets.items():
            if len(secret) < MIN_SECRET_CHARS:
                continue
            safe = re.sub(r"[^\w./:-]", "_", name)
            for form, text in _forms(secret):
                found, place = orjson.dumps(text)[1:-1], f"{{{{secret {safe}|{form}}}}}".encode()
                forms.setdefault(found, place)  # several forms of a secret may be the same text
                self._places[place] = found
        # The longest first: one secret may be a part of another.
        self._forms = sorted(forms.items(), key=lambda item: -len(item[0]))

    def hide(self, data: bytes) -> bytes:
        """Return JSON with a placeholder for each secret; the same object where there is none."""
        for form, place in self._forms:
            if form in data:
                data = data.replace(form, place)
        return data

    def fill(self, data: bytes) -> bytes:
        """Return JSON with the secrets in the place of their placeholders; the same object where there is none.

        Raises:
            KeyError: the configuration has no secret of that name; it is the error's only argument.
        """
        if b"{{secret " not in data:
            return data
        return _PLACE.sub(self._secret, data)

    def _secret(self, found: re.Match[bytes]) -> bytes:
        form = self._places.get(found.group())
        if form is None:
            raise KeyError(found.group(1).decode())
        return form


def without_placeholders(data: bytes) -> bytes:
    """Return JSON with the mask in the place of every placeholder, for a copy that nobody fills again."""
    return _PLACE.sub(MASK.encode(), data)


def stored_forms(secret: str) -> Iterator[str]:
    """Yield a secret as it may stand in JSON that is stored, in each form that `Placeholders` finds."""
    for _, text in _forms(secret):
        yield orjson.dumps(text).decode()[1:-1]


def _forms(secret: str) -> Iterator[tuple[str, str]]:
    """Yield a secret in each form that is looked for, with the form's name."""
    yield "plain", secret
    yield "json", orjson.dumps(secret).decode()[1:-1]
    yield "json2", orjson.dumps(orjson.dumps(secret).decode()[1:-1]).decode()[1:-1]
    yield "percent", quote(secret, safe="")
    yield "form", quote_plus(secret)
    raw = secret.encode()
    yield "hex", raw.hex()
    yield "HEX", raw.hex().upper()
    for offset, first in ((0, 0), (1, 2), (2, 3)):
        # The first and the last characters hold bits of what stands around the secret.
        whole = b64encode(b"\0" * offset + raw).decode().rstrip("=")
        last = len(whole) - (1 if (offset + len(raw)) % 3 else 0)
        text = whole[first:last]
        yield f"base64_{offset}", text
        yield f"base64url_{offset}", text.replace("+", "-").replace("/", "_")

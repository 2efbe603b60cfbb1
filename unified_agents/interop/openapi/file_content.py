"""Files that a model gives, as text or as a `data:` URL."""

from __future__ import annotations

import base64
import binascii
import mimetypes
from dataclasses import dataclass
from urllib.parse import unquote, unquote_to_bytes

from unified_agents import wording
from unified_agents.errors import ToolFailedError

_NAME_KEYS = ("name", "filename")
_BASE64 = "base64"


@dataclass(slots=True, frozen=True)
class FileContent:
    """The content of a file that a model gave.

    Attributes:
        data: The bytes.
        media_type: The media type that a data URL states; None where there is none.
        name: The file name that a data URL states, without folders; None where there is none.
    """

    data: bytes
    media_type: str | None = None
    name: str | None = None

    def name_for(self, field: str, media_type: str) -> str:
        """Return the file name to send: the stated one, or the field's with the ending of the media type.

        Servers tell the format of a file by the ending.
        """
        if self.name:
            return self.name
        kind = media_type.partition(";")[0].strip()
        ending = None if kind == "application/octet-stream" else mimetypes.guess_extension(kind)
        return field + (ending or "")


def file_content(text: str) -> FileContent:
    """Return the content of a file: that of a data URL, or the text itself.

    Raises:
        ToolFailedError: the data URL is broken.
    """
    if not text.startswith("data:") or "," not in text:
        return FileContent(text.encode())
    head, _, data = text[5:].partition(",")
    kind, *stated = head.split(";")
    name = None
    kept = [kind] if kind else []
    for item in stated:
        key, equals, value = item.partition("=")
        if equals and key.strip().lower() in _NAME_KEYS:
            name = unquote(value).strip('"').replace("\\", "/").rpartition("/")[2]
        elif item.strip().lower() != _BASE64:
            kept.append(item)
    media_type = ";".join(kept) if kind else None
    if not head.endswith(f";{_BASE64}"):
        return FileContent(unquote_to_bytes(data), media_type, name)
    try:
        return FileContent(base64.b64decode(data, validate=True), media_type, name)
    except binascii.Error as error:
        raise ToolFailedError(wording.broken_data_url(str(error))) from error

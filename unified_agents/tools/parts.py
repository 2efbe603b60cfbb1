"""Content parts: the images and files that a tool may return, with text between them."""

from __future__ import annotations

import base64
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator

from unified_agents import wording
from unified_agents.messages import JsonObject

USER_MESSAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/jpg", "image/webp", "image/gif", "application/pdf"})
"""The MIME types of images and files that OpenAI's Chat Completions take in a user message."""

_MIME_TYPE = r"^[a-zA-Z0-9.+-]+/[a-zA-Z0-9.+-]+$"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class TextPart(_Part):
    """A piece of text.

    Attributes:
        text: What the model reads.
    """

    type: Literal["text"] = "text"
    text: str

    def to_chat(self) -> JsonObject:
        """Return this part in the form of Chat Completions."""
        return {"type": "text", "text": self.text}

    def to_user(self) -> JsonObject | None:
        """Return this part as a user message takes it."""
        return self.to_chat()

    def as_text(self) -> str:
        """Return what stands for this part where only text is taken."""
        return self.text


class _Data(_Part):
    data: str
    mime_type: str = Field(pattern=_MIME_TYPE)

    @field_validator("data")
    @classmethod
    def _is_base64(cls, value: str) -> str:
        try:
            base64.b64decode(value, validate=True)
        except ValueError as error:
            raise ValueError("must be base64 text; for bytes write from_bytes(…)") from error
        return value

    def to_chat(self) -> JsonObject:
        raise NotImplementedError

    def to_user(self) -> JsonObject | None:
        """Return this part as a user message takes it; None where it takes none of this type."""
        return self.to_chat() if self.mime_type.lower() in USER_MESSAGE_TYPES else None

    @property
    def size(self) -> int:
        """Number of bytes."""
        return len(self.data) * 3 // 4 - self.data[-2:].count("=")

    @property
    def url(self) -> str:
        """The data as a `data:` URL."""
        return f"data:{self.mime_type};base64,{self.data}"


class ImagePart(_Data):
    """An image.

    Attributes:
        data: Its bytes in base64.
        mime_type: Such as `image/png`.
    """

    type: Literal["image"] = "image"

    @classmethod
    def from_bytes(cls, data: bytes, mime_type: str = "image/png") -> ImagePart:
        """Make an image of its bytes."""
        return cls(data=base64.b64encode(data).decode("ascii"), mime_type=mime_type)

    def to_chat(self) -> JsonObject:
        """Return this part in the form of Chat Completions."""
        return {"type": "image_url", "image_url": {"url": self.url}}

    def as_text(self) -> str:
        """Return what stands for this part where only text is taken."""
        return wording.image(self.mime_type, self.size)


class FilePart(_Data):
    """A file.

    Attributes:
        data: Its bytes in base64.
        mime_type: Such as `application/pdf`.
        name: Its name, as the model sees it.
    """

    type: Literal["file"] = "file"
    name: str

    @classmethod
    def from_bytes(cls, data: bytes, mime_type: str, name: str) -> FilePart:
        """Make a file of its bytes."""
        return cls(data=base64.b64encode(data).decode("ascii"), mime_type=mime_type, name=name)

    def to_chat(self) -> JsonObject:
        """Return this part in the form of Chat Completions."""
        return {"type": "file", "file": {"filename": self.name, "file_data": self.url}}

    def as_text(self) -> str:
        """Return what stands for this part where only text is taken."""
        return wording.file(self.name, self.mime_type, self.size)


Part: TypeAlias = TextPart | ImagePart | FilePart
"""A content part: a tool may return one by itself, or in a list with texts."""

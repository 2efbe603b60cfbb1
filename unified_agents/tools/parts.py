"""What a tool returns when text is not enough: images and files, with text between them."""

from __future__ import annotations

import base64
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator

from unified_agents import wording
from unified_agents.messages import JsonObject

USER_IMAGES = frozenset({"image/png", "image/jpeg", "image/jpg", "image/webp", "image/gif"})
"""The images that OpenAI's Chat Completions take in a user message."""
USER_FILES = frozenset({"application/pdf"})
"""The files that they take there."""

_MIME_TYPE = r"^[a-zA-Z0-9.+-]+/[a-zA-Z0-9.+-]+$"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class TextPart(_Part):
    """Text.

    Attributes:
        text: What the model reads.
    """

    type: Literal["text"] = "text"
    text: str

    def to_chat(self) -> JsonObject:
        """This part as Chat Completions have it."""
        return {"type": "text", "text": self.text}

    def to_user(self) -> JsonObject | None:
        """This part as a user message takes it."""
        return self.to_chat()

    def as_text(self) -> str:
        """What is told where only text is taken."""
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

    @property
    def size(self) -> int:
        """Bytes."""
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
        """An image from its bytes."""
        return cls(data=base64.b64encode(data).decode("ascii"), mime_type=mime_type)

    def to_chat(self) -> JsonObject:
        """This part as Chat Completions have it."""
        return {"type": "image_url", "image_url": {"url": self.url}}

    def to_user(self) -> JsonObject | None:
        """This part as a user message takes it; None where it takes no image of this type."""
        return self.to_chat() if self.mime_type.lower() in USER_IMAGES else None

    def as_text(self) -> str:
        """What is told where only text is taken."""
        return wording.image(self.mime_type, self.size)


class FilePart(_Data):
    """A file.

    Attributes:
        data: Its bytes in base64.
        mime_type: Such as `application/pdf`.
        name: What the model knows it as.
    """

    type: Literal["file"] = "file"
    name: str

    @classmethod
    def from_bytes(cls, data: bytes, mime_type: str, name: str) -> FilePart:
        """A file from its bytes."""
        return cls(data=base64.b64encode(data).decode("ascii"), mime_type=mime_type, name=name)

    def to_chat(self) -> JsonObject:
        """This part as Chat Completions have it."""
        return {"type": "file", "file": {"filename": self.name, "file_data": self.url}}

    def to_user(self) -> JsonObject | None:
        """This part as a user message takes it; None where it takes no file of this type."""
        return self.to_chat() if self.mime_type.lower() in USER_FILES else None

    def as_text(self) -> str:
        """What is told where only text is taken."""
        return wording.file(self.name, self.mime_type, self.size)


Part: TypeAlias = TextPart | ImagePart | FilePart
"""What a tool may return, by itself or in a list with texts, beside everything that has a JSON form."""

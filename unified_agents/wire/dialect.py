"""What a server takes of the optional fields of Chat Completions, and what its refusals teach of that."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from unified_agents.config import ModelConfig
from unified_agents.config.providers import SchemaDialect
from unified_agents.wire.protocols.base import ProviderProtocol
from unified_agents.wire.schema_dialects import schema_dialect_of

RESPONSE_FORMAT = "response_format"
STREAM_OPTIONS = "stream_options"
TOOLS = "tools"
ORIGINALS = "originals"
CALL_IDS = "call ids"
MAX_TOKENS = "max_tokens"
MAX_COMPLETION_TOKENS = "max_completion_tokens"
_OTHER_NAME = {MAX_TOKENS: MAX_COMPLETION_TOKENS, MAX_COMPLETION_TOKENS: MAX_TOKENS}
_HOSTS_OF_NEW_NAME = (".openai.com", ".azure.com")

_OF_FORMAT = re.compile(
    r"response[ _-]?(format|mime|schema)|json|schema|structured|grammar|\bformats?\b", re.IGNORECASE
)
_OF_TOOLS = re.compile(
    r"\btools?\b.*\b(schema|parameters|properties|description|pattern|regex)\b|function_declarations|function_parameters"
    r"|is not a .?regex|lookaround|schema for function|input_schema|string_above_max_length",
    re.IGNORECASE | re.DOTALL,
)
_OF_STREAM_OPTIONS = re.compile(r"stream_options|include_usage", re.IGNORECASE)
_OF_IDS = re.compile(r"\bids?\b.*\b(length of 9|9|nine) ?(letters|characters|chars)?\b", re.IGNORECASE | re.DOTALL)
_UNKNOWN = re.compile(
    r"(unsupported|unknown|unrecognized|unexpected|invalid|additional|extra) (\w+ )?"
    r"(parameter|argument|field|key|property|properties|input)"
    r"|not (permitted|allowed|recognized)"
    r"|\b(parameter|argument|field|key|property|input)\b.{0,60}\b(unsupported|unknown|unexpected|not supported)\b",
    re.IGNORECASE,
)
_WITHOUT_WORDS = re.compile(
    r"answered \d+(: \W*(bad request|invalid request|invalid_request(_error)?|unprocessable( entity| content)?"
    r"|validation error|extra inputs are not permitted|unsupported parameter)?\W*)?$",
    re.IGNORECASE,
)


@dataclass(slots=True, frozen=True)
class Dialect:
    """The optional fields that a server takes. It changes only by what `without_refused` learns.

    Attributes:
        max_tokens: The name of the bound on an answer's tokens.
        response_format: Whether the form of an answer may go out as `response_format`; else it is asked for in words.
        stream_options: Whether usage may be asked for beside `stream`.
        originals: Whether turns may go back as the model wrote them, with fields that are the provider's own.
        short_ids: Whether ids of calls must have nine letters or digits.
        learnt: What the server's refusals have taught its protocol; words of the protocol's own.
        was_renamed: Whether the name of `max_tokens` was learnt from a refusal, and is not changed again.
        schemas: What of JSON Schema may stand in tools.
    """

    max_tokens: str = MAX_TOKENS
    response_format: bool = True
    stream_options: bool = True
    originals: bool = True
    short_ids: bool = False
    was_renamed: bool = False
    learnt: frozenset[str] = frozenset()
    schemas: SchemaDialect = "json_schema"

    def without_refused(
        self, words: str, sent: Collection[str], protocol: ProviderProtocol | None = None
    ) -> Dialect | None:
        """Return what to try after a request was refused; None where nothing speaks for one of these fields.

        A refusal without any words may be about each of the fields that were sent.

        Args:
            words: What the server said.
            sent: Those of the optional fields that stood in the request, by the names of Chat Completions; `ORIGINALS`
                for turns with fields of the provider's own, `CALL_IDS` for the ids of calls, and `TOOLS`.
            protocol: The protocol that the server speaks; None for Chat Completions.
        """
        if protocol is not None and (learnt := protocol.learn(words, self.learnt)) is not None:
            return replace(self, learnt=learnt)
        is_silent = _WITHOUT_WORDS.search(words) is not None
        if STREAM_OPTIONS in sent and self.stream_options and _OF_STREAM_OPTIONS.search(words):
            return replace(self, stream_options=False)
        if self.max_tokens in sent and not self.was_renamed and self._names_max_tokens(words):
            return replace(self, max_tokens=_OTHER_NAME[self.max_tokens], was_renamed=True)
        if TOOLS in sent and self.schemas != "reduced" and _OF_TOOLS.search(words):
            return replace(self, schemas="reduced")
        if RESPONSE_FORMAT in sent and self.response_format and (is_silent or _OF_FORMAT.search(words)):
            return replace(self, response_format=False)
        if STREAM_OPTIONS in sent and self.stream_options and is_silent:
            return replace(self, stream_options=False)
        if CALL_IDS in sent and not self.short_ids and _OF_IDS.search(words):
            return replace(self, short_ids=True)
        # A refusal that names no unknown field may be about one turn, and says nothing of the turns of other runs.
        is_unknown = ORIGINALS in sent and self.originals and _UNKNOWN.search(words)
        return replace(self, originals=False) if is_unknown else None

    def _names_max_tokens(self, words: str) -> bool:
        # A bound that is only too high is named too, and does not get better under another name.
        return self.max_tokens in words and (_OTHER_NAME[self.max_tokens] in words or bool(_UNKNOWN.search(words)))


def dialect_of(model: ModelConfig) -> Dialect:
    """Return what is known of a model's server before the first request."""
    if model.spoken_protocol != "chat_completions":
        # These have fields of their own.
        return Dialect(stream_options=False, was_renamed=True, schemas=schema_dialect_of(model))
    host = f".{urlsplit(model.url).hostname or ''}"
    is_new = host.endswith(_HOSTS_OF_NEW_NAME)
    return Dialect(
        model.max_tokens_field or (MAX_COMPLETION_TOKENS if is_new else MAX_TOKENS),
        was_renamed=model.max_tokens_field is not None,
        short_ids=host.endswith(".mistral.ai"),
        schemas=schema_dialect_of(model),
    )

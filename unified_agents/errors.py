"""The tree of errors.

    UnifiedAgentsError
    ├── ConfigError (ValueError)                  a file, a value or an argument is wrong
    │   ├── UnknownBackendError                   no such backend is registered
    │   ├── BackendNotInstalledError (ImportError)    its framework is not installed
    │   ├── BackendBrokenError (ImportError)      its framework is installed and fails on import
    │   └── ToolDefinitionError (TypeError)       a function or a schema cannot be a tool
    ├── UnsupportedCapabilityError (NotImplementedError)  the backend or the handling cannot do this
    ├── RunNotFoundError (LookupError)        the journal has no such run
    ├── RunBusyError (RuntimeError)           another owner, which lives, drives the run
    ├── Transient (RuntimeError)              a tool raises it: trying again may help
    │   └── RateLimited                       a tool raises it: trying again after a while may help
    └── RunError                                  a run failed: it has a `kind` and a `result`
        ├── ModelError
        │   ├── ModelTimeoutError (TimeoutError)      kind "timeout"
        │   ├── RateLimitError                        kind "rate_limit"
        │   ├── NetworkError (ConnectionError)        kind "network"
        │   ├── ServerError                           kind "server"
        │   ├── AuthenticationError (PermissionError) kind "auth"
        │   ├── BadRequestError (ValueError)          kind "bad_request"
        │   ├── BadResponseError (ValueError)         kind "bad_response"
        │   ├── RefusalError (ValueError)             kind "refusal"
        │   └── ContentFilterError (ValueError)       kind "content_filter"
        ├── ToolCallError
        │   ├── ToolTimeoutError (TimeoutError)       kind "timeout"
        │   ├── InvalidInputError (ValueError)        kind "invalid_input"
        │   ├── ToolNotFoundError (LookupError)       kind "tool_not_found"
        │   └── ToolFailedError (RuntimeError)        kind "tool_error"
        ├── JournalError (OSError)                kind "journal": a journal cannot be read or written
        │   └── LeaseLostError                        another process drives the run now
        ├── DivergenceError (ValueError)          kind "divergence": a resumed run asks something else than before
        ├── LimitError (RuntimeError)             kind "limit": recorded in a result, never raised to a caller
        └── BackendError (RuntimeError)           kind "backend": the framework itself failed

What a framework or a client raises is translated once, in the adapter or on the wire, and chained as `__cause__`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from unified_agents import wording
from unified_agents.text import encodable

if TYPE_CHECKING:
    from unified_agents.result import RunResult

ErrorKind = Literal[
    "timeout",
    "rate_limit",
    "network",
    "server",
    "auth",
    "invalid_input",
    "tool_not_found",
    "tool_error",
    "bad_request",
    "bad_response",
    "refusal",
    "content_filter",
    "limit",
    "cancelled",
    "suspended",
    "journal",
    "divergence",
    "backend",
]
"""The kinds of errors of a run; the list is closed."""


class ErrorRecord(BaseModel):
    """An error in a form that can be kept in a result, a report or a file.

    Attributes:
        kind: What went wrong, one of `ErrorKind`.
        type: The name of the error's class in this module.
        message: One line for people. Never holds a secret.
        native_type: The framework's or client's own class, as `module.Class`; None when we raised it ourselves.
        retryable: Whether trying again could help.
        finish_reason: Of a model: why the answer ended that cannot be used; None where there was none.
        request_id: Of a model: the server's id of the request; None where it gave none.
        rate_limits: Of a model: the headers about rate limits that came with the answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    kind: ErrorKind
    type: str
    message: str
    native_type: str | None = None
    retryable: bool = False
    finish_reason: str | None = None
    request_id: str | None = None
    rate_limits: dict[str, str] = {}


class UnifiedAgentsError(Exception):
    """The base class of all errors that this library raises on purpose."""


class ConfigError(UnifiedAgentsError, ValueError):
    """A configuration, a file or an argument is wrong; the message says where and what to do."""


class UnknownBackendError(ConfigError):
    """No backend of that name is registered."""


class BackendNotInstalledError(ConfigError, ImportError):
    """The backend is known, and the packages that it needs are not installed."""


class BackendBrokenError(ConfigError, ImportError):
    """The backend's packages are installed, and importing them fails."""


class ToolDefinitionError(ConfigError, TypeError):
    """A function or a schema cannot be made into a tool."""


class UnsupportedCapabilityError(UnifiedAgentsError, NotImplementedError):
    """What was asked for is not possible on this backend, or under this handling."""


class RunNotFoundError(UnifiedAgentsError, LookupError):
    """The journal holds no run of that id."""


class RunBusyError(UnifiedAgentsError, RuntimeError):
    """Another owner drives the run, and lives; or another turn of the session is under way."""


class Transient(UnifiedAgentsError, RuntimeError):  # noqa: N818  # reads as what the tool says: raise Transient(…)
    """An error that a tool raises when it failed for now, and trying again may help.

    The call is tried again when the tool is marked `idempotent`. Otherwise, and after the last attempt, the model is
    told.
    """


class RateLimited(Transient):
    """An error that a tool raises when a service that it uses refuses for now.

    Attributes:
        retry_after: Seconds to wait before the next attempt; None leaves the wait to the policy.
    """

    def __init__(self, message: str = "refused for now", *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RunError(UnifiedAgentsError):
    """The error of a run that failed.

    Attributes:
        kind: What went wrong, one of `ErrorKind`.
        retryable: Whether trying again could help.
        result: The run so far, with its messages, usage and trace; None until the run has ended.
        native_type: The class of the foreign error behind this one, as `module.Class`.
    """

    kind: ClassVar[ErrorKind] = "backend"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, native_type: str | None = None) -> None:
        super().__init__(encodable(str(message)))  # it may quote what a tool or a model said
        self.native_type = native_type
        self.result: RunResult | None = None

    def record(self) -> ErrorRecord:
        """Return this error as a record that can be serialised."""
        return ErrorRecord(
            kind=self.kind,
            type=type(self).__name__,
            message=str(self),
            native_type=self.native_type,
            retryable=self.retryable,
        )


class ModelError(RunError):
    """The request to the model failed, or its answer cannot be used.

    Attributes:
        final: Whether trying again now cannot help, whatever the kind, such as while the circuit to the server is open.
        may_fall_back: Whether another model may help, whatever the kind, such as when this one's credit is used up.
        finish_reason: Why the answer ended that cannot be used, as the provider says; None where there was none.
        request_id: The server's id of the request, which its support asks for; None where it gave none.
        rate_limits: The headers about rate limits that came with the answer, by their names in lower case.
    """

    final: bool = False
    may_fall_back: bool = False
    finish_reason: str | None = None
    request_id: str | None = None
    rate_limits: Mapping[str, str] = MappingProxyType({})

    def record(self) -> ErrorRecord:
        """Return this error as a record that can be serialised."""
        answer = {"finish_reason": self.finish_reason, "request_id": self.request_id}
        return super().record().model_copy(update=answer | {"rate_limits": dict(self.rate_limits)})


class ModelTimeoutError(ModelError, TimeoutError):
    """The model did not answer in time."""

    kind = "timeout"
    retryable = True


class RateLimitError(ModelError):
    """The provider refused for now (429).

    Attributes:
        retry_after: Seconds that the provider asked to wait; None when it did not say.
    """

    kind = "rate_limit"
    retryable = True

    def __init__(self, message: str, *, retry_after: float | None = None, native_type: str | None = None) -> None:
        super().__init__(message, native_type=native_type)
        self.retry_after = retry_after


class NetworkError(ModelError, ConnectionError):
    """The connection could not be made, or broke."""

    kind = "network"
    retryable = True


class ServerError(ModelError):
    """The provider failed (5xx).

    Attributes:
        retry_after: Seconds that the provider asked to wait; None when it did not say.
    """

    kind = "server"
    retryable = True

    def __init__(self, message: str, *, retry_after: float | None = None, native_type: str | None = None) -> None:
        super().__init__(message, native_type=native_type)
        self.retry_after = retry_after


class AuthenticationError(ModelError, PermissionError):
    """The provider refused the key (401, 403), or no key is set. Names the variable, never its value."""

    kind = "auth"


class BadRequestError(ModelError, ValueError):
    """The provider refused the request (other 4xx)."""

    kind = "bad_request"


class BadResponseError(ModelError, ValueError):
    """The answer is empty, cut, not in the form that was asked for, or not a Chat Completions answer.

    Attributes:
        answer: The text that cannot be used, where there is one; `result.output` then holds it too.
    """

    kind = "bad_response"
    retryable = True

    def __init__(self, message: str, *, answer: str | None = None, native_type: str | None = None) -> None:
        super().__init__(message, native_type=native_type)
        self.answer = answer


class RefusalError(ModelError, ValueError):
    """The model refused, where its answer must have a form, or gave no words for it."""

    kind = "refusal"


class ContentFilterError(ModelError, ValueError):
    """The provider's content filter refused the request, or broke off the answer."""

    kind = "content_filter"


class ToolCallError(RunError):
    """A tool call gave no result. Under `handling: unified` the model is told."""


class ToolTimeoutError(ToolCallError, TimeoutError):
    """The tool did not end in time."""

    kind = "timeout"


class InvalidInputError(ToolCallError, ValueError):
    """The arguments do not fit the tool's schema; or a run was given a task or instructions that cannot be sent.

    Attributes:
        problems: One line for each thing that is wrong: path, what was given, what is allowed.
    """

    kind = "invalid_input"

    def __init__(self, message: str, *, problems: tuple[str, ...] = (), native_type: str | None = None) -> None:
        super().__init__(message, native_type=native_type)
        self.problems = problems


class ToolNotFoundError(ToolCallError, LookupError):
    """The model asked for a tool that it was not offered."""

    kind = "tool_not_found"


class ToolFailedError(ToolCallError, RuntimeError):
    """The tool raised an error."""

    kind = "tool_error"


class JournalError(RunError, OSError):
    """A journal cannot be read or written; the message says which, and why."""

    kind = "journal"


class LeaseLostError(JournalError):
    """The run has another owner now, because this one did not renew its lease in time. It writes nothing more."""


class DivergenceError(RunError, ValueError):
    """A resumed run asks something else than its journal holds, or has other tools; the message names the place."""

    kind = "divergence"


class LimitError(RunError, RuntimeError):
    """A limit of the run was met. It is recorded as the last error of the result, and never raised to the caller.

    Args:
        limit: The key of `Limits`.
        bound: The value that it is set to, as text.
    """

    kind = "limit"

    def __init__(self, limit: str, bound: str) -> None:
        super().__init__(wording.limit_met(limit, bound))
        self.limit = limit


class BackendError(RunError, RuntimeError):
    """The framework itself failed in a way that no other class names."""

    kind = "backend"


def native_name(error: BaseException) -> str:
    """Return the class of an error as `module.Class`, for `native_type`."""
    cls = type(error)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def error_chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and the errors that led to it: its cause, or else the context in which it was raised.

    The chain ends at a context that was suppressed (`raise … from None`), and at an error that it already holds.
    """
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        # An error that is its own cause hides nothing on purpose.
        is_hidden = link.__suppress_context__ and link.__cause__ is not link
        cause = None if link.__cause__ is link else link.__cause__
        link = cause or (None if is_hidden else link.__context__)

"""The contract suites for authors of adapters and of journals.

This is the whole test file of an adapter:

    from unified_agents.testing import BackendContract


    class TestMine(BackendContract):
        backend = "mine"

It needs pytest and pytest-asyncio. `BackendContract` inherits from the other classes here, which can be used one by one
while an adapter grows. Every test talks to a scripted model on a real socket, through the framework's own client.
A journal has `JournalContract`, and `DurableJournalContract` where its rows outlive the process.
"""

import pkgutil

try:
    import pytest
    import pytest_asyncio  # noqa: F401  # every test of the suite needs it
except ModuleNotFoundError as error:
    message = f"unified_agents.testing needs {error.name}; run: pip install pytest pytest-asyncio"
    raise ModuleNotFoundError(message, name=error.name) from error

pytest.register_assert_rewrite(*(module.name for module in pkgutil.iter_modules(__path__, f"{__name__}.")))

from unified_agents.testing.agent_lifetime import LifetimeContract  # noqa: E402
from unified_agents.testing.answer_kinds import AnswerKindContract, NativeErrorContract  # noqa: E402
from unified_agents.testing.answers import AnswerContract, ToolCallContract  # noqa: E402  # after the registration
from unified_agents.testing.arguments import ArgumentContract, RefusalContract  # noqa: E402
from unified_agents.testing.events import EventContract  # noqa: E402
from unified_agents.testing.failures import FailureContract, LateFailureContract  # noqa: E402
from unified_agents.testing.journals import DurableJournalContract, JournalContract  # noqa: E402
from unified_agents.testing.limits import LimitContract  # noqa: E402
from unified_agents.testing.names_and_text import OwnNameContract, UnsendableContract  # noqa: E402
from unified_agents.testing.native import NativeAnswerContract, NativeToolContract  # noqa: E402
from unified_agents.testing.react import ReactContract, VariantContract  # noqa: E402
from unified_agents.testing.requests import OfferContract, RequestContract  # noqa: E402
from unified_agents.testing.results import ToolResultContract  # noqa: E402
from unified_agents.testing.robustness import PitfallContract  # noqa: E402
from unified_agents.testing.termination import ChildRunContract, EndingContract, ModelEndingContract  # noqa: E402
from unified_agents.testing.tool_runner import RunnerContract  # noqa: E402

__all__ = [
    "AnswerContract",
    "AnswerKindContract",
    "ArgumentContract",
    "BackendContract",
    "ChildRunContract",
    "DurableJournalContract",
    "EndingContract",
    "EventContract",
    "FailureContract",
    "JournalContract",
    "LateFailureContract",
    "LifetimeContract",
    "LimitContract",
    "ModelEndingContract",
    "NativeAnswerContract",
    "NativeErrorContract",
    "NativeToolContract",
    "OfferContract",
    "OwnNameContract",
    "PitfallContract",
    "ReactContract",
    "RefusalContract",
    "RequestContract",
    "RunnerContract",
    "ToolCallContract",
    "ToolResultContract",
    "UnsendableContract",
    "VariantContract",
]


class BackendContract(
    AnswerContract,
    AnswerKindContract,
    ToolCallContract,
    RequestContract,
    OfferContract,
    ArgumentContract,
    RefusalContract,
    ToolResultContract,
    FailureContract,
    LateFailureContract,
    LimitContract,
    EndingContract,
    ModelEndingContract,
    ChildRunContract,
    EventContract,
    LifetimeContract,
    NativeAnswerContract,
    NativeErrorContract,
    NativeToolContract,
    VariantContract,
    PitfallContract,
    RunnerContract,
    OwnNameContract,
    UnsendableContract,
):
    """All of the contract. A backend that names the variant `react` takes `ReactContract` too."""

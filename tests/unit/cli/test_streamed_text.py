"""Text that is printed as it arrives."""

from __future__ import annotations

import pytest

from unified_agents.cli.streamed_text import StreamedText
from unified_agents.errors import ErrorRecord
from unified_agents.events import AttemptDiscarded, Event, ModelCallStarted, TextDelta

ERROR = ErrorRecord(kind="network", type="NetworkError", message="cut")


def delta(text: str, step: int = 0) -> Event:
    return TextDelta("r", 0.0, step, 1, text)


def started(step: int = 0, attempt: int = 1) -> Event:
    return ModelCallStarted("r", 0.0, step, attempt, 10)


@pytest.mark.parametrize(
    ("events", "output", "printed"),
    [
        ([started(), delta("It is "), delta("3.")], "It is 3.", "It is 3.\n"),
        ([started(), delta("I look."), started(1), delta("3", 1)], "3", "I look.\n3\n"),
        ([started(), started(1)], "whole", "whole\n"),
        ([started(), delta("It is")], "It is 3.", "It is 3.\n"),
        ([started(), delta("{'a'")], '{"a": 1}', "{'a'\n{\"a\": 1}\n"),
        ([started(), delta("It"), AttemptDiscarded("r", 0.0, 0, 1, ERROR, 0.0), delta("3")], "3", "It\n3\n"),
        ([started(), delta("It")], None, "It\n"),
        ([started()], None, ""),
    ],
)
def test_each_answer_stands_on_lines_of_its_own(
    events: list[Event], output: str | None, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text, pieces = StreamedText(), []
    for event in events:
        text.show(event)
        pieces.append(capsys.readouterr().out)
        if isinstance(event, TextDelta):
            assert pieces[-1] == event.text  # at once
    text.end(output)
    assert "".join([*pieces, capsys.readouterr().out]) == printed

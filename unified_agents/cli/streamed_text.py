"""The text of a run, printed as it arrives."""

from __future__ import annotations

from unified_agents.cli.stdio import print_message, put, put_answer
from unified_agents.events import AttemptDiscarded, Event, ModelCallStarted, TextDelta


class StreamedText:
    """Prints the text of each answer of the model, each on lines of its own."""

    def __init__(self) -> None:
        self._printed = ""

    def show(self, event: Event) -> None:
        """Print what an event brings."""
        if isinstance(event, TextDelta):
            put_answer(event.text)
            self._printed += event.text
        elif isinstance(event, AttemptDiscarded):
            if self._printed:
                self._end_line()
                print_message(f"the text so far is void, and the model is asked again: {event.error.message}")
        elif isinstance(event, ModelCallStarted):
            self._end_line()

    def end(self, output: str | None) -> None:
        """Print what of the run's output has not arrived as text, and end the line."""
        if output is not None and not output.startswith(self._printed):
            self._end_line()
        if output is not None:
            put_answer(output[len(self._printed) :] + "\n")
            self._printed = ""
        self._end_line()

    def _end_line(self) -> None:
        if self._printed:
            put("\n")
        self._printed = ""

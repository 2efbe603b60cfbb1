"""The loop of variant `react` under `native`, with the regular expressions that people write by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from unified_agents.backend import AgentSpec, react_instructions, react_observation
from unified_agents.messages import Message
from unified_agents_custom.loop import LoopMemory, NativeLoop

_ACTION = re.compile(r"Action:\s*(\S+)\s*Action Input:\s*(\{.*\})", re.DOTALL)
_FINAL_ANSWER_MARK = "Final Answer:"


class NativeReactLoop(NativeLoop):
    """A loop of thought, action and observation in plain text. A text that it cannot read counts as the answer."""

    def __init__(self, spec: AgentSpec) -> None:
        texts = [spec.instructions, react_instructions(spec.tools) if spec.tools else None]
        super().__init__(replace(spec, instructions="\n\n".join(filter(None, texts)) or None))
        self._declarations = []

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        """Ask, parse, execute, observe, until the answer has no action."""
        memory = LoopMemory(self._spec.instructions, messages)
        while True:
            turn = await self._ask(memory, stream)
            text = turn.get("content") or ""
            action = _ACTION.search(text)
            if action is None:
                return text.partition(_FINAL_ANSWER_MARK)[2].strip() or text
            result = await self._execute({"function": {"name": action.group(1), "arguments": action.group(2)}})
            memory.messages.append({"role": "assistant", "content": text})
            memory.messages.append({"role": "user", "content": react_observation(result)})

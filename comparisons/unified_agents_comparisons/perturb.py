"""Negative controls: changes after which every cell must fail, or the suite proves nothing."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from unified_agents.messages import JsonObject
from unified_agents.wire.script import Reply, Script, ScriptedModel
from unified_agents_comparisons.bfcl.mutations import Mutation, mutated
from unified_agents_comparisons.bfcl.suite import oracle_script
from unified_agents_comparisons.bfcl.truth import Asked
from unified_agents_comparisons.records import Perturbation
from unified_agents_comparisons.suite import Task

WRONG = "This was made wrong on purpose."


def controls(task: Task) -> tuple[Perturbation, ...]:
    """The negative controls that apply to a task."""
    if task.expect.bfcl is not None:
        return tuple(_mutated(task))
    return ("wrong-oracle", "altered-result") if has_results(task) else ("wrong-oracle",)


def wrong_oracle(task: Task, oracle: JsonObject) -> JsonObject:
    """The oracle with its final text wrong, or, where no text is expected, the last call's arguments."""
    changed = copy.deepcopy(oracle)
    answers: list[JsonObject] = changed.get("answers", [])
    texts = [answer for answer in answers if "text" in answer]
    calls = [call for answer in answers for call in answer.get("tool_calls", ())]
    if texts and (task.expect.output is not None or not calls):
        texts[-1]["text"] = WRONG
    elif calls:
        calls[-1]["arguments"] = altered(calls[-1].get("arguments", {}))
    return changed


def has_results(task: Task) -> bool:
    """Whether a tool's result comes back to the model in this task, so that altering it must show."""
    answers = (task.oracle or {}).get("answers", ())
    return any(answer.get("tool_calls") for answer in answers[:-1])


class AlteredResults(ScriptedModel):
    """A scripted model that reads another value than the tool gave: each leaf of the last tool message is changed."""

    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        """The script's answer to the altered request."""
        return super().reply(_altered_request(request), key)


def scripted_model(task: Task, oracle: JsonObject, perturbation: Perturbation | None) -> ScriptedModel:
    """The model that answers by a task's oracle, under a negative control that applies to it or none."""
    match perturbation:
        case None:
            return ScriptedModel(Script.model_validate(oracle))
        case "wrong-oracle":
            return ScriptedModel(Script.model_validate(wrong_oracle(task, oracle)))
        case "altered-result":
            return AlteredResults(Script.model_validate(oracle))
    script = oracle_script(_mutated(task)[perturbation], (tool.name for tool in task.schema_tools))
    return ScriptedModel(Script.model_validate(script))


def altered(value: Any) -> Any:
    """Another value of the same shape: every leaf is changed, what is empty is filled, a reference counts as a leaf."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, dict) and not value.keys() & {"$result", "$template"}:
        return {key: altered(part) for key, part in value.items()} or {"altered": True}
    if isinstance(value, list):
        return [altered(part) for part in value] or ["altered"]
    return f"{WRONG} " if value == WRONG else WRONG


def _mutated(task: Task) -> dict[Mutation, tuple[Asked, ...]]:
    if task.expect.bfcl is None:
        return {}
    return mutated(task.expect.bfcl, {tool.name: tool.as_tool() for tool in task.schema_tools})


def _altered_request(request: Mapping[str, Any]) -> dict[str, Any]:
    messages = list(request["messages"])
    last = next((at for at in range(len(messages) - 1, -1, -1) if messages[at]["role"] == "tool"), None)
    if last is not None:
        messages[last] = {**messages[last], "content": _altered_text(messages[last]["content"])}
    return {**request, "messages": messages}


def _altered_text(content: Any) -> str:
    try:
        return json.dumps(altered(json.loads(content)), ensure_ascii=False)
    except (TypeError, ValueError):
        return WRONG

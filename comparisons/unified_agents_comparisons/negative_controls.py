"""Negative controls: changes after which every cell must fail, or the suite proves nothing."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from unified_agents import wording
from unified_agents.config import Variant
from unified_agents.messages import JsonObject
from unified_agents.scripted.model import DueAnswer, Reply, Script, ScriptedModel
from unified_agents_comparisons.bfcl.mutations import Mutation, mutated
from unified_agents_comparisons.bfcl.suite import oracle_script
from unified_agents_comparisons.records import Perturbation
from unified_agents_comparisons.suite.bfcl_truth import Asked
from unified_agents_comparisons.suite.model import Task

WRONG = "This was made wrong on purpose."


def applicable_controls(task: Task) -> tuple[Perturbation, ...]:
    """Return the negative controls that apply to a task."""
    if task.expect.bfcl is not None:
        return tuple(_mutated(task))
    return ("wrong-oracle", "altered-result") if has_results(task) else ("wrong-oracle",)


def wrong_oracle(task: Task, oracle: JsonObject) -> JsonObject:
    """Return the oracle with its final text wrong, or, where no text is expected, the last call's arguments."""
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
    """Tell whether a tool's result comes back to the model in this task, so that altering it must show."""
    answers = (task.oracle or {}).get("answers", ())
    return any(answer.get("tool_calls") for answer in answers[:-1])


class AlteredResults(ScriptedModel):
    """A scripted model that reads the last tool result with each of its leaves changed."""

    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        """Return the script's answer to the altered request."""
        return super().reply(_altered_request(request), key)

    def due(self, request: Mapping[str, Any], key: str) -> DueAnswer | Reply:
        """Return the script's answer to the altered request, for another protocol to write it."""
        return super().due(_altered_request(request), key)


def scripted_model(
    task: Task, oracle: JsonObject, perturbation: Perturbation | None, variant: Variant = "tool_calling"
) -> ScriptedModel:
    """Return the model that answers by a task's oracle, under a negative control or none; as text for `react`."""
    script = Script.model_validate({"prompt_cache": True, **_perturbed(task, oracle, perturbation)})
    model = AlteredResults if perturbation == "altered-result" else ScriptedModel
    return model(script.in_text() if variant == "react" else script)


def _perturbed(task: Task, oracle: JsonObject, perturbation: Perturbation | None) -> JsonObject:
    match perturbation:
        case None | "altered-result":
            return oracle
        case "wrong-oracle":
            return wrong_oracle(task, oracle)
    return oracle_script(_mutated(task)[perturbation], (tool.name for tool in task.schema_tools))


def altered(value: Any) -> Any:
    """Return another value of the same shape.

    Every leaf is changed, what is empty is filled, and a reference counts as a leaf.
    """
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
    results = [at for at, message in enumerate(messages) if _is_result(message)]
    for at in results[-1:]:
        messages[at] = {**messages[at], "content": _altered_content(messages[at]["content"])}
    return {**request, "messages": messages}


def _is_result(message: Mapping[str, Any]) -> bool:
    return message["role"] == "tool" or (message["role"] == "user" and _is_observation(message["content"]))


def _is_observation(content: Any) -> bool:
    return isinstance(content, str) and content.startswith(wording.OBSERVATION)


def _altered_content(content: Any) -> str:
    if _is_observation(content):
        return wording.observation(_altered_text(wording.observed(content)))
    return _altered_text(content)


def _altered_text(content: Any) -> str:
    try:
        return json.dumps(altered(json.loads(content)), ensure_ascii=False)
    except (TypeError, ValueError):
        return WRONG

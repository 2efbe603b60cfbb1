"""No secret is in a journal, in whatever form a tool or a user wrote it; a resumed run has it again."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from urllib.parse import quote

import pytest

from secret_forms import KEY, traces
from support import asks_for, make_script
from unified_agents import DivergenceError, JournalError, ModelConfig, RunError, Script, create_agent, tool
from unified_agents.scripted.server import ScriptServer

ROTATED = "sk-rotated-abcdefghijklmnop"
FORMS = (
    KEY,
    f"head {KEY}, tail",
    quote(KEY, safe=""),
    KEY.encode().hex(),
    KEY.encode().hex().upper(),
    *(b64encode(b"x" * length + KEY.encode() + b"yz").decode() for length in range(3)),
    urlsafe_b64encode(KEY.encode()).decode(),
)


@tool
def leak(number: int) -> dict[str, str]:
    """Give the key away."""
    return {"text": FORMS[number], "json": str({"key": FORMS[number]})}


def content(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def script() -> Script:
    return make_script(*(asks_for("leak", number=number) for number in range(len(FORMS))), {"text": "Done."})


async def test_no_form_of_the_key_is_in_the_journal_and_a_resumed_run_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", KEY)
    path = tmp_path / "runs.db"
    async with ScriptServer() as server:
        model = ModelConfig(provider="openai", name="m", base_url=server.add(script()), api_key_env="THE_KEY")
        async with create_agent(model=model, tools=[leak], journal=path) as agent:
            whole = await agent.run(f"My key is {KEY}.", run_id="r")
            stored = content(tmp_path)
            assert b"{{secret m/1|plain}}" in stored
            assert traces(stored) == []
            again = await agent.resume("r")
    assert again.messages == whole.messages
    assert KEY in str(again.messages[0].content)
    assert traces(b"".join(FORMS[number].encode() for number in range(len(FORMS)))) != []  # the search can find it


async def test_a_new_key_changes_no_fingerprint_and_a_missing_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runs.db"
    broken = Script.model_validate({"answers": [asks_for("leak", number=0)]})
    async with ScriptServer() as server:
        monkeypatch.setenv("THE_KEY", KEY)
        model = ModelConfig(provider="openai", name="m", base_url=server.add(broken), api_key_env="THE_KEY")
        async with create_agent(model=model, tools=[leak], journal=path) as agent:
            with pytest.raises(RunError):
                await agent.run(f"My key is {KEY}.", run_id="r")
        other = ModelConfig(provider="openai", name="other", base_url=model.url, api_key_env="THE_KEY")
        async with create_agent(model=other, tools=[leak], journal=path) as agent:
            with pytest.raises(JournalError, match="needs the secret 'm/1'"):
                await agent.resume("r")
        monkeypatch.setenv("THE_KEY", ROTATED)
        async with create_agent(model=model, tools=[leak], journal=path) as agent:
            with pytest.raises(RunError) as caught:  # the script has no second answer, and nothing else is wrong
                await agent.resume("r")
    assert not isinstance(caught.value, DivergenceError | JournalError)
    assert caught.value.result is not None
    assert ROTATED in str(caught.value.result.messages[0].content)

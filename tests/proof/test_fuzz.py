"""The parsers raise only their documented error, whatever input they get."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("unified_agents_fuzz", HERE / "fuzz.py")
assert _spec is not None
assert _spec.loader is not None
fuzz = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fuzz)

INPUTS = {"react": 300_000, "arguments": 250_000, "stream": 150_000, "answer": 150_000, "structured": 150_000}
SEED = 20261122
LONGEST = 400
TOKENS = {
    "react": [
        "Thought:",
        "Action:",
        "Action Input:",
        "Observation:",
        "Final Answer:",
        "```json\n",
        "```",
        '{"action": "a"',
    ],
    "arguments": ["{", "}", '"a"', ":", ",", "1e999", "NaN", "null", "[", "]", "\\ud800", "1" * 400],
    "stream": ["data:", "data: [DONE]\n\n", "\n", '{"choices":[{"delta":', '{"content":"x"}', "}]}", '"tool_calls":[{'],
    "answer": [
        '{"choices":[',
        '{"message":',
        '{"content":',
        '"tool_calls":[',
        '"function":',
        "}",
        "]",
        "null",
        "1",
        '"x"',
    ],
    "structured": ['{"name":', '"a"', '"rows":[', "}", "]", ",", "1", "```json\n", "\n```", "null"],
}


def test_all_inputs_are_a_million() -> None:
    assert sum(INPUTS.values()) == 1_000_000
    assert set(INPUTS) == set(TOKENS) == set(fuzz.TARGETS)


@pytest.mark.parametrize("target", sorted(INPUTS))
def test_any_input(target: str) -> None:
    piece = st.sampled_from(TOKENS[target]).map(str.encode) | st.text(max_size=3).map(lambda text: text.encode())

    @settings(max_examples=300, deadline=None)
    @given(st.lists(piece, max_size=15).map(b"".join) | st.binary(max_size=40))
    def check(data: bytes) -> None:
        fuzz.TARGETS[target](data)
        fuzz.TARGETS[target](b"!" + data)

    check()


@pytest.mark.parametrize("target", sorted(INPUTS))
def test_the_kept_corpus(target: str) -> None:
    kept = sorted((HERE / "corpus" / target).iterdir())
    assert kept
    for path in kept:
        fuzz.TARGETS[target](path.read_bytes())


def fuzzed(target: str, inputs: int, folder: Path, *, timeout: float) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("atheris", reason="the coverage-guided fuzzer has no wheel for this Python and platform")
    found = folder / target
    found.mkdir()
    kept = HERE / "corpus" / target
    command = [
        sys.executable,
        str(HERE / "fuzz.py"),
        target,
        str(inputs),
        f"-seed={SEED}",
        f"-max_len={LONGEST}",
        f"-dict={_dictionary(target, folder)}",
    ]
    command += [
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
        str(found),
        *([str(kept)] if kept.exists() else []),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, cwd=folder)


def _dictionary(target: str, folder: Path) -> Path:
    """The tokens in libFuzzer's form, so that it need not guess them byte by byte."""
    path = folder / f"{target}.dict"
    tokens = ("".join(f"\\x{byte:02x}" for byte in token.encode()) for token in TOKENS.get(target, ("{",)))
    path.write_text("".join(f'"{token}"\n' for token in tokens))
    return path


def check_run(done: subprocess.CompletedProcess[str], inputs: int) -> None:
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"different inputs: {inputs}\n" in done.stderr, done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("target", sorted(INPUTS))
def test_a_seeded_tenth(target: str, tmp_path: Path) -> None:
    inputs = INPUTS[target] // 10
    check_run(fuzzed(target, inputs, tmp_path, timeout=100), inputs)


@pytest.mark.slow
def test_the_fuzzer_finds_what_is_wrong(tmp_path: Path) -> None:
    done = fuzzed("control", 100_000, tmp_path, timeout=100)
    assert done.returncode != 0
    assert "LookupError: found" in done.stderr + done.stdout


@pytest.mark.proof
@pytest.mark.parametrize("target", sorted(INPUTS))
def test_all_inputs(target: str, tmp_path: Path) -> None:
    check_run(fuzzed(target, INPUTS[target], tmp_path, timeout=1800), INPUTS[target])

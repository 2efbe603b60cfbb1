"""Wheels of what is installed here: built from the source of a checkout, or packed from the installed files."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import tomllib
import zipfile
from importlib.metadata import Distribution, distribution
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

from unified_agents.environments.commands import run_logged, uv_command
from unified_agents.errors import ConfigError
from unified_agents.extras import OURS

_OF_THE_INSTALLER = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"})


def library_wheel(target: Path, log: Path) -> Path:
    """Make a wheel of this library, as it runs here, in a folder.

    Raises:
        ConfigError: it cannot be built, or the installation does not say which files it has.
    """
    source = Path(__file__).resolve().parents[2]
    return _built(source, target, log) if _is_source(source, OURS) else packed_wheel(distribution(OURS), target)


def distribution_wheel(of: Distribution, target: Path, log: Path) -> Path:
    """Make a wheel of another distribution, such as a plug-in; one that was installed as editable is built.

    Raises:
        ConfigError: as for `library_wheel`.
    """
    source = _editable_source(of)
    return packed_wheel(of, target) if source is None else _built(source, target, log)


def packed_wheel(of: Distribution, target: Path) -> Path:
    """Pack the installed files of a distribution as a wheel.

    Raises:
        ConfigError: the installation does not say which files it has.
    """
    files = {
        Path(str(file)).as_posix(): Path(str(of.locate_file(file)))
        for file in of.files or ()
        if ".." not in Path(str(file)).parts and not _is_left_out(Path(str(file)))
    }
    info = next((name.partition("/")[0] for name in files if name.endswith(".dist-info/WHEEL")), None)
    if info is None:
        raise ConfigError(f"{of.name} was not installed from a wheel, so none can be made of it: reinstall it")
    tags = [line.partition(":")[2].strip() for line in (of.read_text("WHEEL") or "").splitlines() if line[:4] == "Tag:"]
    parts = zip(*(tag.split("-") for tag in tags), strict=True)
    name = f"{info.removesuffix('.dist-info')}-{'-'.join('.'.join(dict.fromkeys(part)) for part in parts)}.whl"
    records = []
    with zipfile.ZipFile(target / name, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for inside, path in sorted(files.items()):
            content = path.read_bytes()
            archive.writestr(zipfile.ZipInfo(inside), content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            records.append(f"{_quoted(inside)},sha256={digest},{len(content)}")
        record = f"{info}/RECORD"
        archive.writestr(zipfile.ZipInfo(record), "\n".join([*records, f"{record},,"]) + "\n")
    return target / name


def _is_left_out(file: Path) -> bool:
    of_the_installer = file.parent.name.endswith(".dist-info") and file.name in _OF_THE_INSTALLER
    return of_the_installer or "__pycache__" in file.parts or file.is_absolute()


def _quoted(name: str) -> str:
    return f'"{name}"' if "," in name else name


def _is_source(folder: Path, name: str) -> bool:
    path = folder / "pyproject.toml"
    if not path.is_file():
        return False
    return bool(tomllib.loads(path.read_text(encoding="utf-8")).get("project", {}).get("name") == name)


def _editable_source(of: Distribution) -> Path | None:
    told = json.loads(of.read_text("direct_url.json") or "{}")
    if not told.get("dir_info", {}).get("editable"):
        return None
    source = Path(unquote(urlsplit(told["url"]).path))
    return source if _is_source(source, of.name) else None


def _built(source: Path, target: Path, log: Path) -> Path:
    before = set(target.glob("*.whl"))
    if find_spec("hatchling") is not None:
        run_logged([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)], log, folder=source)
    elif (uv := uv_command()) is not None:
        run_logged([*uv, "build", "--wheel", "--out-dir", str(target), str(source)], log)
    else:
        run_logged([sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", str(target), str(source)], log)
    return (set(target.glob("*.whl")) - before).pop()

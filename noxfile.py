"""Sessions in environments of their own: the tests on each Python that we support, and the built wheel.

`nox` runs all of them, and says of a Python that is not on the machine that its session is skipped.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import nox

ROOT = Path(__file__).parent
CONSTRAINTS = ROOT / "constraints.txt"
EXTRAS = nox.project.load_toml(ROOT / "pyproject.toml")["project"]["optional-dependencies"]
EXTRA_OF = {name.replace("-", "_"): name for name in re.findall(r"[\w-]+(?=[,\]])", EXTRAS["frameworks"][0])}
"""The extra of each framework's backend; a wheel writes its name with hyphens."""
FRAMEWORKS = list(EXTRA_OF)
PROVIDERS = ("anthropic", "google")
"""The extras that hold the frameworks' own clients for protocols of single providers, and the providers' SDKs."""

nox.options.default_venv_backend = "uv|venv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["tests", "wheel"]


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """Run the tests, or what is given to pytest after `--`."""
    session.install("-c", str(CONSTRAINTS), "-e", ".[all,dev,docs]")
    session.run("pytest", *(session.posargs or ["-m", "not proof", "-n", "3"]))


@nox.session
@nox.parametrize("backend", FRAMEWORKS, ids=FRAMEWORKS)
def newest(session: nox.Session, backend: str) -> None:
    """Hold the contract suite and the tests of assumptions against the newest releases of a framework.

    First those that the bounds of its extra allow, then those beyond them, where there are any. What came out is kept
    in `docs/tried_versions.json`, of which a page of the documentation is made. `nox -s "newest(langchain)"` tries one.
    """
    tools = [one for one in EXTRAS["dev"] if one.startswith(("pytest", "hypothesis"))]
    clients = _own_clients(backend)
    session.install("-e", f".[{EXTRA_OF[backend]},cli,worker]", *clients, *tools)
    variables = {"PYTHONPATH": str(ROOT / "tests"), "UNIFIED_AGENTS_EVERY_BACKEND": "1"}
    program = ("python", "tests/newest_versions.py", backend)
    session.run(*program, "within", env=variables, success_codes=[0, 1])
    unbounded = [_without_bounds(one) for one in (*EXTRAS[EXTRA_OF[backend]], *clients)]
    eager = [] if session.venv_backend == "uv" else ["--upgrade-strategy", "eager"]  # uv is, and has no such option
    session.install("--upgrade", *eager, "-e", ".[cli,worker]", *unbounded, *tools)
    session.run(*program, "beyond", env=variables, success_codes=[0, 1])
    rows = json.loads((ROOT / "docs" / "tried_versions.json").read_text(encoding="utf-8"))
    if any(row["failed"] for row in rows if (row["backend"], row["bounds"]) == (backend, "within")):
        session.error(f"{backend}: tests fail on versions that its bounds allow; see docs/tried_versions.json")


def _own_clients(backend: str) -> list[str]:
    """Return what a framework's own clients for other protocols ask for; none for a framework that has none."""
    prefixes = {name: f"{_without_bounds(EXTRAS[EXTRA_OF[name]][0]).partition('[')[0]}-" for name in FRAMEWORKS}
    own = prefixes.pop(backend)
    found = []
    for asked in (EXTRAS[provider] for provider in PROVIDERS):
        if any(one.startswith(own) for one in asked):
            found += [one for one in asked if not one.startswith(tuple(prefixes.values()))]
    return found


def _without_bounds(requirement: str) -> str:
    return re.split("[<>=]", requirement)[0]


@nox.session
def openapi_judges(session: nox.Session) -> None:
    """Let openapi-core and bravado-core judge calls of real OpenAPI documents.

    Semantic Kernel holds openapi-core at an older version, so the judges stand apart, and `constraints.txt`, which is
    one set with all frameworks, cannot hold for them.
    """
    session.install("-e", ".[proof,dev]")
    session.run("pytest", "-m", "proof", "--timeout", "3600", "tests/proof/test_openapi_calls_judged.py")


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, install it with all extras, and run the quickstart suite outside the checkout."""
    folder = Path(session.create_tmp()).resolve()
    shutil.rmtree(folder / "dist", ignore_errors=True)
    session.install("-c", str(CONSTRAINTS), "build", "hatchling")
    session.run("python", "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist"))
    (built,) = (folder / "dist").glob("*.whl")
    session.install("-c", str(CONSTRAINTS), f"unified-agents[all] @ {built.as_uri()}")
    session.chdir(folder)
    session.run("python", "-c", "import unified_agents as ours; assert 'site-packages' in ours.__file__")
    session.run("unified-agents", "compare", "quickstart", "--out", str(folder / "results"))

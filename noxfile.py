"""Sessions in environments of their own: the tests on each Python that we support, and the built wheel.

`nox` runs all of them, and says of a Python that is not on the machine that its session is skipped.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

CONSTRAINTS = Path(__file__).with_name("constraints.txt")

nox.options.default_venv_backend = "venv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["tests", "wheel"]


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """Run the tests, or what is given to pytest after `--`."""
    session.install("-c", str(CONSTRAINTS), "-e", ".[all,dev,docs]")
    session.run("pytest", *(session.posargs or ["-m", "not proof", "-n", "3"]))


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

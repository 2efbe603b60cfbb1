"""The doctor names each fault that is planted in an installation, with its remedy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from unified_agents.environments.library_state import library_state

pytestmark = pytest.mark.timeout(120)

WORKING = "from unified_agents_custom.backend import CustomBackend as Odd\n"


@dataclass
class Installation:
    """A folder of distributions on the Python path, and a home for environments."""

    folder: Path

    def distribution(self, name: str, version: str = "1.0", *lines: str, entry: str = "") -> None:
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (info / "METADATA").write_text(head + "".join(f"{line}\n" for line in lines))
        if entry:
            (info / "entry_points.txt").write_text(f"[unified_agents.backends]\n{entry}\n")

    def backend(self, code: str, *requirements: str) -> None:
        lines = [f'Requires-Dist: {one}; extra == "odd"' for one in requirements]
        self.distribution("odd-backend", "1.0", "Provides-Extra: odd", *lines, entry="odd = odd_backend:Odd")
        (self.folder / "odd_backend.py").write_text(code)

    def environment(self, **versions: str) -> None:
        """Make an environment of `odd` whose interpreter is this one, with the versions that it was installed with."""
        folder = self.folder / "home" / "unified-agents" / "environments" / "odd"
        python = folder / "bin" / "python"
        python.parent.mkdir(parents=True)
        paths = [str(self.folder), *sys.path]
        code = f"import sys; sys.path[:] = {paths!r}; import runpy; sys.argv = sys.argv[1:]; "
        code += "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
        program = folder / "run.py"
        program.write_text(code)
        python.write_text(f'#!/bin/sh\nshift 2\nexec {sys.executable} {program} "$@"\n')
        python.chmod(0o755)
        facts = {"library": library_state(), "versions": versions, "capabilities": [], "variants": []}
        manifest = {"label": "odd", "requirements": [], "is_constrained": True, "facts": facts}
        (folder / "environment.json").write_text(json.dumps(manifest))

    def examined_environment(self) -> dict[str, Any]:
        """Examine the environment of `odd`, in which something is wrong."""
        done = self.doctor("odd", "--json")
        assert done.returncode == 1, done.stdout + done.stderr
        (found,) = [one for one in json.loads(done.stdout)["examined"] if one["where"] != "here"]
        assert (found["backend"], found["status"]) == ("odd", "trouble")
        return dict(found)

    def doctor(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        paths = [str(self.folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        env = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "XDG_DATA_HOME": str(self.folder / "home")}
        command = [sys.executable, "-m", "unified_agents", "doctor", *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=100, check=False)

    def examined(self, code: int) -> dict[str, Any]:
        """Examine the backend `odd`, and check the exit code."""
        done = self.doctor("odd", "--json")
        assert done.returncode == code, done.stdout + done.stderr
        (one,) = json.loads(done.stdout)["examined"]
        assert one["backend"] == "odd"
        found: dict[str, Any] = one
        return found


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


def test_a_backend_that_is_well(installation: Installation) -> None:
    installation.distribution("some-framework", "1.5")
    installation.backend(WORKING, "some-framework>=1,<2")
    one = installation.examined(0)
    assert (one["status"], one["troubles"]) == ("ready", [])
    assert one["call"]["handlings"] == ["unified", "native"]
    assert one["packages"][0]["state"] == "supported"


def test_one_that_is_missing_is_no_trouble(installation: Installation) -> None:
    installation.backend("import some_framework\n", "some-framework>=1,<2")
    one = installation.examined(0)
    assert one["status"] == "missing"
    (trouble,) = one["troubles"]
    assert trouble["what"] == "some-framework missing"
    assert trouble["remedy"].startswith(
        "unified-agents backends install odd; or here: pip install 'some-framework>=1,<2'"
    )


@pytest.mark.parametrize(("version", "state"), [("0.9", "too old"), ("2.0", "too new"), ("1.0rc1", "too old")])
def test_another_version_than_is_supported(installation: Installation, version: str, state: str) -> None:
    installation.distribution("some-framework", version)
    installation.backend(WORKING, "some-framework>=1,<2")
    one = installation.examined(1)
    (trouble,) = one["troubles"]
    assert trouble["what"].startswith(f"some-framework {version} is {state}: ")
    assert trouble["remedy"] == "pip install 'some-framework>=1,<2'; or unified-agents backends install odd"


def test_packages_that_clash(installation: Installation) -> None:
    installation.distribution("some-framework", "1.5", "Requires-Dist: its-part<3")
    installation.distribution("its-part", "3.1")
    installation.backend(WORKING, "some-framework>=1,<2")
    (trouble,) = installation.examined(1)["troubles"]
    assert trouble["what"] == "some-framework 1.5 needs its-part<3, and 3.1 is installed"
    assert trouble["remedy"] == "unified-agents backends install odd"


def test_one_that_breaks_on_import(installation: Installation) -> None:
    installation.distribution("some-framework", "1.5")
    installation.backend("raise RuntimeError('two versions of one thing')\n", "some-framework>=1,<2")
    (trouble,) = installation.examined(1)["troubles"]
    assert "fails on import: RuntimeError: two versions of one thing" in trouble["what"]
    assert trouble["remedy"].startswith("pip install 'some-framework>=1,<2' --force-reinstall")


def test_two_owners_of_a_name(installation: Installation) -> None:
    installation.backend(WORKING)
    installation.distribution("other-backend", "1.0", entry="odd = other_backend:Odd")
    (trouble,) = installation.examined(1)["troubles"]
    assert trouble["what"] == "the name is registered by odd-backend and other-backend"
    assert trouble["remedy"] == "keep one of them: pip uninstall other-backend"


def test_a_plugin_of_a_newer_protocol(installation: Installation) -> None:
    installation.backend(f"{WORKING}class Odd(Odd):\n    protocol = 99\n")
    (trouble,) = installation.examined(1)["troubles"]
    assert "backend 'odd' of odd-backend is made for protocol 99 of backends" in trouble["what"]
    assert "upgrade unified-agents, or install an older odd-backend" in trouble["what"]
    assert trouble["remedy"] == "upgrade unified-agents, or install an older odd-backend"


def test_one_that_does_not_call_its_tools(installation: Installation) -> None:
    installation.backend(
        f"{WORKING}from unified_agents_custom.loop import UnifiedLoop\n"
        "class Loop(UnifiedLoop):\n    async def run(self, messages, *, stream):\n"
        "        return 'It is 3.'\n"
        "class Odd(Odd):\n    def build(self, spec):\n        return Loop(spec)\n"
    )
    (trouble,) = installation.examined(1)["troubles"]
    assert trouble["what"].endswith("under unified the scripted run gave 'It is 3.', and its tool []")


def test_one_that_is_not_filled_in(installation: Installation) -> None:
    installation.backend(
        f"{WORKING}class Odd(Odd):\n    def build(self, spec):\n        raise NotImplementedError('step 2')\n"
    )
    (trouble,) = installation.examined(1)["troubles"]
    assert "step 2" in trouble["what"]
    assert trouble["remedy"] == "fill in what odd-backend leaves open"


def test_an_environment_that_has_lost_its_interpreter(installation: Installation) -> None:
    installation.backend(WORKING)
    folder = installation.folder / "home" / "unified-agents" / "environments" / "odd==1.*".replace("*", "%2A")
    folder.mkdir(parents=True)
    facts = {"library": library_state(), "versions": {}, "capabilities": [], "variants": []}
    manifest = {"label": "odd==1.*", "requirements": [], "is_constrained": True, "facts": facts}
    (folder / "environment.json").write_text(json.dumps(manifest))
    done = installation.doctor("odd", "--json")
    assert done.returncode == 1
    here, own = json.loads(done.stdout)["examined"]
    assert here["status"] == "ready"
    assert own["troubles"] == [
        {
            "what": "the environment of odd==1.* has lost its interpreter",
            "remedy": "unified-agents backends install 'odd==1.*'",
        }
    ]


INSTALL = "unified-agents backends install odd"


def test_an_environment_that_is_well(installation: Installation) -> None:
    installation.distribution("some-framework", "1.5")
    installation.backend(WORKING, "some-framework>=1,<2")
    installation.environment(**{"some-framework": "1.5", "odd-backend": "1.0"})
    done = installation.doctor("odd", "--json")
    assert done.returncode == 0, done.stdout
    here, own = json.loads(done.stdout)["examined"]
    assert (here["status"], own["status"]) == ("ready", "ready")
    assert own["call"]["versions"]["some-framework"] == "1.5"


@pytest.mark.parametrize("now", ["0.9", pytest.param("2.0", marks=pytest.mark.proof)])
def test_an_environment_whose_framework_was_changed(installation: Installation, now: str) -> None:
    installation.distribution("some-framework", now)
    installation.backend(WORKING, "some-framework>=1,<2")
    installation.environment(**{"some-framework": "1.5"})
    (trouble,) = installation.examined_environment()["troubles"]
    assert trouble == {
        "what": f"some-framework 1.5 was installed, and {now} is there now",
        "remedy": INSTALL,
    }


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("import some_framework\n", "backend 'odd' is not installed: some-framework missing"),
        pytest.param(
            "raise RuntimeError('two of one thing')\n",
            "fails on import: RuntimeError: two of one thing",
            marks=pytest.mark.proof,
        ),
    ],
)
def test_an_environment_that_is_missing_its_framework_or_breaks_on_import(
    installation: Installation, code: str, what: str
) -> None:
    if what.startswith("fails"):
        installation.distribution("some-framework", "1.5")
    installation.backend(code, "some-framework>=1,<2")
    installation.environment(**{"some-framework": "1.5"})
    (trouble,) = installation.examined_environment()["troubles"]
    assert what in trouble["what"]
    assert trouble["remedy"] == f"unified-agents backends remove odd, then {INSTALL}"


def test_an_environment_with_a_plugin_of_a_newer_protocol(installation: Installation) -> None:
    installation.backend(f"{WORKING}class Odd(Odd):\n    protocol = 99\n")
    installation.environment()
    (trouble,) = installation.examined_environment()["troubles"]
    assert "is made for protocol 99 of backends" in trouble["what"]
    assert trouble["remedy"] == "upgrade unified-agents, or install an older odd-backend"


@pytest.mark.proof
def test_an_environment_in_which_two_own_the_name(installation: Installation) -> None:
    installation.backend(WORKING)
    installation.distribution("other-backend", "1.0", entry="odd = other_backend:Odd")
    installation.environment()
    (trouble,) = installation.examined_environment()["troubles"]
    assert "backend 'odd' is registered more than once, by odd-backend, other-backend" in trouble["what"]
    assert trouble["remedy"] == f"unified-agents backends remove odd, then {INSTALL}"


def test_the_remedy_stands_on_the_terminal(installation: Installation) -> None:
    installation.backend("import some_framework\n", "some-framework>=1,<2")
    done = installation.doctor("odd")
    assert done.returncode == 0
    assert "odd, here: some-framework missing\n  remedy: unified-agents backends install odd" in done.stdout


def test_an_unknown_name_is_one_line(installation: Installation) -> None:
    done = installation.doctor("langchian")
    assert done.returncode == 2
    assert "did you mean 'langchain'" in done.stderr

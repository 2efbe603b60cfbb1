# Everything runs in a virtual environment of its own, .venv, which the first command sets up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: compare setup check test proof bench docs clean

# The main job: the quickstart suite on every backend, under both ways of handling.
compare: $(READY)
	$(BIN)/unified-agents compare quickstart

setup: $(READY)

# The commands of .pre-commit-config.yaml, and the quick tests.
check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell .
	$(BIN)/pytest -q -m "not slow and not proof and not timed" -n 2 --dist worksteal
	$(BIN)/pytest -q -m "timed and not slow and not proof"

# Three at once, also on two cores: half of the time goes into waiting. Tests of one file stay together, with what they
# share, until a worker has none left and takes some of another. What measures time runs alone.
test: $(READY)
	$(BIN)/pytest -m "not proof and not timed" -n 3 --dist worksteal
	$(BIN)/pytest -m "timed and not proof"

# The judges of OpenAPI requests have an environment of their own.
proof: $(READY)
	$(BIN)/nox -s openapi_judges
	$(BIN)/pytest -m proof --timeout 3600
	UNIFIED_AGENTS_EVERY_BACKEND=1 $(BIN)/pytest tests/end_to_end -m "not proof" -n 3 --dist worksteal --timeout 1200

bench: $(READY)
	$(BIN)/pytest comparisons/benchmarks --benchmark-only --timeout 3600 -s

# The documentation site, in the folder site. The build asks nothing of the network.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,dev,docs]'
	@touch $@

clean:
	rm -rf $(VENV) .nox build dist site

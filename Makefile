# One door to everything. `make` alone lists what there is.
.DEFAULT_GOAL := help

# Less than three minutes: make bench BENCH=--short; also up to 20,000 sockets: make bench BENCH=--curve;
# new figures in docs/reference/benchmarks.md: make bench BENCH="--curve --write"
# Another interpreter in an environment of its own: make test PYTHON=python3.13 VENV=.venv-3.13
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --quiet --require-hashes
CORES := tests/protocol tests/auth tests/pubsub tests/testing/test_transcripts.py
CORE_ROOMS := gqlink.protocol,gqlink.auth,gqlink.pubsub

.PHONY: help setup run test check bench format lock clean pages cores rooms tidy

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## /\1: /p' $(MAKEFILE_LIST)

setup: pages  ## prepare .venv/bin/gqlink, and nothing else

run: setup  ## start the chat for a try, with three accounts to sign in as
	@$(BIN)/gqlink serve --demo || test $$? -eq 130  # Ctrl-C is how one stops it

test: cores rooms  ## set everything up and run every test

check: tidy test  ## everything CI runs: format, lint, types, layers, and every test

bench: $(VENV)/.dev-ready  ## measure client and server beside their peers, in about a quarter of an hour
	$(BIN)/python benchmarks/bench.py $(BENCH)

format: $(VENV)/.dev-ready  ## rewrite files in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:  ## rewrite requirements/*.txt from pyproject.toml
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --quiet uv
	$(UV_COMPILE) --all-extras --group dev pyproject.toml -o requirements/dev.txt
	$(UV_COMPILE) --extra cli --group build -c requirements/dev.txt pyproject.toml -o requirements/run.txt
	$(UV_COMPILE) --group node -c requirements/dev.txt pyproject.toml -o requirements/node.txt
	rm -rf .venv-lock

clean:  ## drop everything make made
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage* dist build
	rm -rf src/gqlink/chat/page src/gqlink/server/playground web/.built-from
	find . -name node_modules -type d -prune -exec rm -rf {} +

UV_COMPILE = .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-annotate

# When web/ has changed since the install; otherwise this takes no time.
pages: $(VENV)/.run-ready
	@$(BIN)/python hatch_build.py

# The cores answer for themselves: every branch by their own tests alone.
cores: $(VENV)/.dev-ready
	COVERAGE_FILE=.coverage.cores $(BIN)/coverage run --source=$(CORE_ROOMS) -m pytest -q $(CORES)
	COVERAGE_FILE=.coverage.cores $(BIN)/coverage report --fail-under=100 --skip-covered --show-missing

rooms: $(VENV)/.dev-ready pages $(VENV)/.chromium-ready
	$(BIN)/python -m pytest -q $(addprefix --ignore=,$(CORES))

tidy: $(VENV)/.dev-ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gqlink needs Python 3.11 or later")'
	@echo "Setting up $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || (apt-get install -y -q python3-venv && $(PYTHON) -m venv $(VENV))

# The install would build the pages by itself, but pip would not let it say so.
$(VENV)/.run-ready: requirements/run.txt pyproject.toml hatch_build.py | $(VENV)/bin/python
	@echo "Installing what gqlink runs on"
	@$(PIP) -r requirements/run.txt
	@$(FIND_NODE)
	@$(BIN)/python hatch_build.py
	@echo "Installing gqlink"
	@$(INSTALL_GQLINK)
	@touch $@

$(VENV)/.dev-ready: requirements/dev.txt pyproject.toml hatch_build.py | $(VENV)/bin/python
	@echo "Installing what gqlink's tests need"
	@$(PIP) -r requirements/dev.txt
	@$(FIND_NODE)
	@$(BIN)/python hatch_build.py
	@echo "Installing gqlink"
	@$(INSTALL_GQLINK)
	@touch $@ $(VENV)/.run-ready

# The end-to-end tests drive the machine's own browser.
$(VENV)/.chromium-ready: | $(VENV)/bin/python
	@$(FIND_CHROMIUM) || $(INSTALL_CHROMIUM) || \
		(echo "The end-to-end tests need Chromium on PATH. On Debian: apt-get install chromium" >&2 && false)
	@touch $@

FIND_CHROMIUM = (command -v chromium || command -v chromium-browser || command -v google-chrome) >/dev/null
INSTALL_CHROMIUM = (test "$$(id -u)" -eq 0 && command -v apt-get >/dev/null && echo "Installing Chromium" && \
	apt-get update -q && apt-get install -y -q chromium)

# The pages and the stock JavaScript clients need Node: the machine's, or one out of a Python wheel.
FIND_NODE = $(BIN)/python hatch_build.py find-node >/dev/null 2>&1 || \
	(echo "Installing Node" && $(PIP) -r requirements/node.txt)
INSTALL_GQLINK = $(BIN)/python -m pip --disable-pip-version-check install --quiet --quiet --no-deps --no-build-isolation -e .

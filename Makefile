# One door to everything. `make` alone lists what there is.
.DEFAULT_GOAL := help
PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet
UV_COMPILE := .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-annotate

.PHONY: help setup run test check format lock clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## /\1: /p' $(MAKEFILE_LIST)

lock:  ## rewrite requirements/*.txt from pyproject.toml
	python3 -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet uv
	$(UV_COMPILE) --all-extras --group dev pyproject.toml -o requirements/dev.txt
	$(UV_COMPILE) --extra cli --group build -c requirements/dev.txt pyproject.toml -o requirements/run.txt
	rm -rf .venv-lock

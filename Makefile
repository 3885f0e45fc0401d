# Every command here works on a fresh machine with Python 3.11 or newer and nothing else.
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CHECKOV := .venv-checkov
DEMO := .raylift/demo

.PHONY: demo test test-rig test-security check fix bench golden lock install picture

install: $(READY)

$(READY): requirements.txt pyproject.toml
	python3 -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --config-settings editable_mode=compat -e .
	$(BIN)/python -m compileall -q raylift infra serve_runtime cli
	touch $(READY)

# up → deploy → request → status → delete, on real Ray on this machine.
demo: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" sh docs/demo.sh

test: check
	$(BIN)/python -m pytest -q -m ray

# On a real control plane with a real Pulumi engine; says so where a rig cannot be.
test-rig: $(READY)
	bash tests/rig/test.sh

# checkov on the shipped stacks, in an environment of its own.
test-security: $(READY) $(CHECKOV)/.ready
	$(BIN)/python -m pytest -q -m security

$(CHECKOV)/.ready: tests/security/requirements.txt
	python3 -m venv --clear $(CHECKOV)
	$(CHECKOV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

# About a minute: style, types, architecture, and every test that needs neither Ray nor a rig.
check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -m "not ray and not rig and not security" -n 2

fix: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m bench

# The resources of the shipped stack files, written anew; review them as any change.
golden: $(READY)
	RAYLIFT_WRITE_GOLDEN=1 $(BIN)/python -m pytest -q tests/infra/test_golden.py

# The README's picture, drawn from what the commands print.
picture: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python docs/picture.py

lock:
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --group dev pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header tests/security/requirements.in \
	  -o tests/security/requirements.txt

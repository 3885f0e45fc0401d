# Every command here works on a fresh machine with Python 3.11 or newer and nothing else.
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CHECKOV := .venv-checkov
UV := VIRTUAL_ENV=$(VENV) $(BIN)/uv pip

.PHONY: install demo check lint coverage test test-rig test-kills test-security test-long test-generated fuzz fix bench golden docs dist lock picture

install: $(READY)

# pip installs uv, and uv installs everything else from the same hashes in a tenth of the time.
$(READY): requirements-uv.txt requirements-dev.txt pyproject.toml
	python3 -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	$(UV) install --quiet --require-hashes -r requirements-dev.txt
	$(UV) install --quiet --no-deps --no-build-isolation -C editable_mode=compat -e .
	touch $(READY)

# Runs up, deploy, a request, status and delete with real Ray on this machine.
demo: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" sh docs/demo.sh

# The examples come last, because their stack runs until the last test.
REAL := tests/local tests/packaging tests/examples

test: lint coverage
	$(BIN)/python -m pytest -q -m "(ray or package) and not long" $(REAL)

# Runs on a real control plane with Pulumi's real engine; skips, with the reason, where it cannot.
test-rig: $(READY)
	bash tests/rig/test.sh

# Runs all tests on real Ray and in a rig, with those that `make test` and `make test-rig` omit
# because they take long; takes hours.
test-long: $(READY)
	$(BIN)/python -m pytest -q -m "ray or package" --ignore=tests/local/test_generated.py $(REAL)
	bash tests/rig/test.sh -m rig

# Kills a hundred runs of `up` and `delete` at random moments; takes about an hour.
test-kills: $(READY)
	RAYLIFT_KILL_ROUNDS=10 bash tests/rig/test.sh -m rig -k random_moments

# Runs checkov on the shipped stack files, from a separate environment.
test-security: $(READY) $(CHECKOV)/.ready
	$(BIN)/python -m pytest -q -m security

$(CHECKOV)/.ready: tests/security/requirements.txt | $(READY)
	$(BIN)/uv venv --quiet --clear $(CHECKOV)
	VIRTUAL_ENV=$(CHECKOV) $(BIN)/uv pip install --quiet --require-hashes -r $<
	touch $@

UNIT := -q -m "not ray and not rig and not package and not security" -n 2

# Checks style, types and architecture, and runs every test that needs neither Ray nor a rig.
check: lint
	$(BIN)/python -m pytest $(UNIT)

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry raylift infra serve_runtime cli
	$(BIN)/codespell raylift infra serve_runtime cli docs *.md
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/zizmor --offline --quiet .github/workflows

# Runs the same tests as check, and fails below the floor of branch coverage.
coverage: $(READY)
	$(BIN)/coverage run -m pytest $(UNIT)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# Deploys and updates 300 random applications with and without defaults; takes about four hours.
# RAYLIFT_GENERATED_ROUNDS sets the number of rounds, each of two applications.
test-generated: $(READY)
	$(BIN)/python -m pytest -q tests/local/test_generated.py

# Runs the property tests with new random inputs until one fails or the time is up.
FUZZ_MINUTES ?= 180
fuzz: $(READY)
	end=$$(( $$(date +%s) + 60 * $(FUZZ_MINUTES) )); \
	while [ $$(date +%s) -lt $$end ]; do \
	  $(BIN)/python -m pytest -q -m "hypothesis and not ray" --hypothesis-profile=fuzz -n 2 || exit 1; \
	done

fix: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m bench

# Rewrites the golden files and the snapshots; review them like any other change.
golden: $(READY)
	RAYLIFT_WRITE_GOLDEN=1 $(BIN)/python -m pytest -q tests/infra/test_golden.py tests/cli

# Generates the reference pages and the schema, and builds the site in build/site.
docs: $(READY)
	$(BIN)/raylift schema > docs/stack-file.schema.json
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Builds the wheel and the sdist.
dist: $(READY)
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist

# Draws the README's picture from the output of the demo.
picture: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python docs/picture.py

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-header

lock: $(READY)
	$(LOCK) --all-extras --group dev pyproject.toml -o requirements-dev.txt
	echo uv | $(LOCK) --constraints requirements-dev.txt - -o requirements-uv.txt
	$(LOCK) tests/security/requirements.in -o tests/security/requirements.txt

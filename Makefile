# Two commands do all the set-up: `make demo` and `make test`. Both need Python 3.11 or later and nothing else.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-spark test-editors test-locked test-lowest docs quality reliability cases bench lock sbom clean

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

# Exit status 1 means "findings", which is what the samples are for; any other failure is a failure.
demo: .venv/installed
	$(BIN)/claimlint check samples --authorizations samples/registers/authorizations.csv \
	  --documentation samples/registers/sessions.csv --as-of 2026-02-02 || [ $$? -eq 1 ]

test: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n auto

# The tests on a local Spark: PySpark is large and needs Java, so `make test` goes without them.
test-spark: .venv/installed-dev
	$(BIN)/pip install --quiet --editable '.[spark]'
	$(BIN)/pytest tests/test_spark.py

# The extension for VS Code: its tests and its package. It needs Node.js 20 or later, and the registry of npm.
test-editors: .venv/installed-dev
	cd editors/vscode && npm ci && npm run check && CLAIMLINT=$(CURDIR)/$(BIN)/claimlint npm test && npm run package

.venv/installed-docs: .venv/installed-dev
	$(BIN)/pip install --quiet --editable '.[docs]'
	touch $@

# The reference and manual pages are written from the schema, the rules and the help; what commands say into the guides;
# and all of it as a site into build/site, without the network. See it: python3 -m http.server -d build/site
docs: .venv/installed-docs
	$(BIN)/python -m claimlint.reference docs
	$(BIN)/python -m tests.docpages
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --config-file docs/site/mkdocs.yml

# Precision and recall of each rule on the labelled scenarios.
quality: .venv/installed-dev
	$(BIN)/python -m tests.quality

# Every fault of docs/reliability.md, with the results of its tests. It takes some minutes.
reliability: .venv/installed-dev
	$(BIN)/python -m tests.reliability -n auto

# The conformance cases, from the examples of the rules: tests/cases/.
cases: .venv/installed-dev
	$(BIN)/python -m tests.make_cases

# Speed and memory as ratios, into docs/performance.md. It takes some minutes; `--big` is asked for by hand.
bench: .venv/installed
	$(BIN)/python -m bench.ratios

.venv/installed-release: .venv/installed-dev
	$(BIN)/pip install --quiet --editable '.[release]'
	touch $@

# The versions and hashes that a release is tested with, for every platform and each Python from 3.11 on.
LOCK := tests/requirements.lock
lock: .venv/installed-release
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	  --extra dev --extra docs --custom-compile-command "make lock" --output-file $(LOCK) pyproject.toml

# The tests with exactly what the lock names; pip refuses a file whose hash is another.
test-locked:
	$(PYTHON) -m venv --clear build/locked
	build/locked/bin/pip install --quiet --require-hashes --requirement $(LOCK)
	build/locked/bin/pip install --quiet --no-deps --no-build-isolation .
	build/locked/bin/python -m pytest -n auto

# The heart of the tests with the lowest versions that pyproject.toml allows, of what claimlint itself needs.
test-lowest: .venv/installed-release
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) build/lowest
	$(BIN)/uv pip install --quiet --python build/lowest --resolution lowest-direct --editable '.[server,ui]'
	$(BIN)/uv pip install --quiet --python build/lowest hypothesis jsonschema junitparser pytest pytest-lsp pytest-xdist
	build/lowest/bin/python -m pytest -n auto $(addprefix tests/test_,$(addsuffix .py,api cli completion config \
	  conformance csv fix reports_machine rules samples server x12 xml))

# What a release is built of, with licences, as CycloneDX: build/sbom.cdx.json
sbom: .venv/installed-release
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) build/runtime
	$(BIN)/uv pip install --quiet --python build/runtime --constraint $(LOCK) '.[server,ui]'
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file build/sbom.cdx.json \
	  build/runtime

clean:
	rm -rf .venv .bench-venv build dist

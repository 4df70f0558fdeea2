# Everything a user or CI does, by name. `make serve` and `make test` need Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TEST_STAMP := $(VENV)/.installed-test
SOURCES := pyproject.toml setup.py $(wildcard native/*.pyx native/*.pxi native/*.pxd)

.PHONY: serve test e2e lint bench bench-server fuzz peers check clean docs
.DEFAULT_GOAL := help

help:
	@echo "make serve         install, build, and run the gateway on port 3000"
	@echo "make test          install what the tests need and run them"
	@echo "make e2e           real clients: the official SDKs and Claude Code (needs node and npm)"
	@echo "make lint          ruff and mypy"
	@echo "make bench         micro benches of the streaming core, with their budgets"
	@echo "make bench-server  the whole server against nginx (needs a C compiler and nginx)"
	@echo "make fuzz          long fuzzing (FUZZ_SECONDS=600)"
	@echo "make peers         the server bench with every peer that is installed"
	@echo "make docs          regenerate the generated parts of docs/"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("anyllm_fast needs Python 3.11 or newer; this is " + sys.version.split()[0] + " (set PYTHON=)") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)

$(STAMP): $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bedrock,vertex]'
	@touch $(STAMP)

$(TEST_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,lint]'
	@touch $(TEST_STAMP)

serve: $(STAMP)
	@exec $(BIN)/anyllm-fast serve

check: $(STAMP)
	@$(BIN)/anyllm-fast check

test: $(TEST_STAMP)
	$(BIN)/python -m pytest -q -m "not e2e" -n auto --dist loadfile

e2e: $(TEST_STAMP)
	$(BIN)/python -m pytest -q -m e2e tests/e2e

lint: $(TEST_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(TEST_STAMP)
	$(BIN)/python -m pytest -q benches --benchmark-columns=min,median,ops --benchmark-sort=name

bench-server: $(TEST_STAMP)
	$(BIN)/python benches/server.py --short --budgets benches/budgets.toml

peers: $(TEST_STAMP)
	$(BIN)/python benches/server.py --write

fuzz: $(TEST_STAMP)
	FUZZ_SECONDS=$${FUZZ_SECONDS:-600} $(BIN)/python -m pytest -q tests/fuzz

docs: $(TEST_STAMP)
	$(BIN)/python -m anyllm_fast.config.document > docs/configuration.md
	$(BIN)/python -m anyllm_fast.neutral.ledger docs/fidelity.md

clean:
	rm -rf $(VENV) build *.egg-info .cache anyllm_fast/_native*.so native/*.c

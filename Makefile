# make lab opens the course; make test runs everything; make lint, make bench, make faults KILLS=…, make fuzz SEEDS=…,
# make course (pages in build/course), make binder-try, make lowest (the lowest versions that pyproject.toml allows),
# make release (of the last commit's tag), make clean.

PYTHON ?= python3
VENV ?= .venv
LAB_ARGS ?=
SEEDS ?= 100-400
BENCH_ARGS ?=
KILLS ?= 1300
PYTEST_ARGS ?= --numprocesses=2
LOWEST ?= tests/ops tests/stream tests/views/test_sheets.py tests/views/test_live.py tests/views/test_dashboard.py \
  tests/test_expressions.py tests/test_query.py tests/test_sql.py tests/test_installed.py tests/learn/test_online.py \
  tests/sinks/test_duckdb.py tests/sinks/test_delta.py tests/sources/test_websocket.py tests/sources/test_mqtt.py

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: lab test lint bench faults fuzz course binder-try lowest release clean
.DELETE_ON_ERROR:

lab: $(VENV)/.lab
	$(BIN)/streamnb lab notebooks $(LAB_ARGS)

test: lint
	@$(BIN)/python -m tests.browser.chromium
	@$(BIN)/python -m tests.servers.programs
	@$(BIN)/python -m tests.spark.java
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev | $(VENV)/rivals
	RIVALS_PYTHON=$(VENV)/rivals/bin/python $(BIN)/python -m tests.bench.run $(BENCH_ARGS)

faults: $(VENV)/.dev
	$(BIN)/python -m tests.faults $(KILLS)
	$(BIN)/python -m tests.sinks.kills
	$(BIN)/python -m tests.sources.kafka_faults 60 20
	$(BIN)/python -m tests.sources.spool_kills 30

fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz $(SEEDS)

# What Binder does with the last commit, in an environment of its own, and the first lesson in it.
binder-try: $(VENV)/.dev
	@$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m tests.browser.binder

course: $(VENV)/.dev
	$(BIN)/python -m tests.course build/course

# How the lowest versions in pyproject.toml were found: these tests pass with them.
lowest: $(VENV)/lowest
	$(VENV)/lowest/bin/python -m pytest $(PYTEST_ARGS) -o filterwarnings= $(LOWEST)

# A wheel and an sdist in dist; nothing is uploaded.
release: $(VENV)/.dev
	$(BIN)/python -m tests.release

clean:
	rm -rf $(VENV) build dist tests/browser/artifacts
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.lab: pyproject.toml | $(VENV)/.pip
	@echo "Installing streamnb and JupyterLab into $(VENV): a minute or two, once."
	$(PIP) install --quiet --editable ".[lab,connectors]"
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/.pip
	@echo "Installing streamnb, JupyterLab and the test tools into $(VENV): a minute or two, once."
	$(PIP) install --quiet --editable ".[lab,connectors]" --group dev
	@touch $@ $(VENV)/.lab

# Pathway wants an older pyarrow; without it, or without Bytewax, the bench leaves it out and says so.
$(VENV)/rivals:
	$(PYTHON) -m venv $@
	-$@/bin/python -m pip --disable-pip-version-check install --quiet bytewax polars
	-$@/bin/python -m pip --disable-pip-version-check install --quiet pathway

$(VENV)/lowest: pyproject.toml
	$(PYTHON) -m venv $@
	$@/bin/python -m pip --disable-pip-version-check install --quiet uv
	$@/bin/uv pip install --quiet --python $@/bin/python --resolution lowest-direct ".[lab,connectors]"
	$@/bin/uv pip install --quiet --python $@/bin/python hypothesis nbformat pytest pytest-xdist
	@touch $@

# Dependency groups need pip 25.1.
$(VENV)/.pip:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { \
	  echo "make: $(PYTHON) is missing or older than 3.11; name a newer one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c "import ensurepip, venv" 2> /dev/null || { \
	  echo "make: $(PYTHON) cannot make virtual environments; type: sudo apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade "pip>=25.1"
	@touch $@

# Two commands do everything on a fresh machine: `make demo` and `make test`.
# Needed: Python 3.11 or newer, make, a package index. Everything stays inside this folder.

PYTHON ?= python3
VERSIONS := constraints/versions.txt
SUPPORTED := $(shell sed -n 's/^\([0-9.]*\) .*/\1/p' $(VERSIONS))
OLDEST := $(firstword $(SUPPORTED))
NEWEST := $(lastword $(SUPPORTED))

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
UV := $(VENV)/bin/uv
export UV_CACHE_DIR := $(CURDIR)/.cache/uv
export UV_PYTHON_DOWNLOADS := never
unexport PYTHONDONTWRITEBYTECODE   # it would have every Airflow start compile 1,500 modules anew
unexport AIRFLOW_HOME
unexport VIRTUAL_ENV

## help            show this list
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)
.PHONY: help

## setup           create .venv with the newest supported Airflow, the package and all tools
setup: $(VENV)/.ready
.PHONY: setup

# $(call install,environment,Airflow,extras,further packages)
install = $(UV) pip install --quiet --python $(1)/bin/python --compile-bytecode \
	--constraints constraints/airflow-$(2).txt --editable '.[$(3)]' $(4) && touch $(1)/.ready

$(VENV)/.ready: pyproject.toml constraints/airflow-$(NEWEST).txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; choose one with make PYTHON=…")'
	@echo "Setting up $(VENV): Airflow $(NEWEST), once"
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv
	@$(call install,$(VENV),$(NEWEST),$(EXTRAS))

# The others: .venv-2.11 and its like have another Airflow, the rest the newest.
.venv-%/.ready: pyproject.toml $(VERSIONS) $(SUPPORTED:%=constraints/airflow-%.txt) $(VENV)/.ready
	@echo "Setting up .venv-$*: Airflow $(AIRFLOW), once"
	@$(UV) venv --quiet --clear --python "$$(awk '$$1 == "$(AIRFLOW)" { print $$4 }' $(VERSIONS))" .venv-$*
	@$(call install,.venv-$*,$(AIRFLOW),$(EXTRAS),$(PACKAGES))

AIRFLOW = $(or $(filter $*,$(SUPPORTED)),$(NEWEST))
EXTRAS = emulator,test
$(VENV)/.ready: EXTRAS := emulator,test,lint,release,docs
.venv-ui/.ready: EXTRAS := emulator,test,test-ui
.venv-celery/.ready: EXTRAS := emulator,test,test-celery
.venv-benchmark/.ready: EXTRAS := emulator
.venv-benchmark/.ready: PACKAGES := apache-airflow-providers-http==6.3.0

## demo            run a pipeline that waits for a growing group, with a local Prolific and a real Airflow
demo: $(VENV)/.ready
	@$(VENV)/bin/python scripts/demo.py
.PHONY: demo

## demo-pipeline   run a whole pipeline: screener, wait, main study, approvals, bonuses (two minutes)
demo-pipeline: $(VENV)/.ready
	@$(VENV)/bin/python scripts/demo_pipeline.py
.PHONY: demo-pipeline

## try             start a local Prolific and Airflow for your browser, until you press Ctrl-C: docs/first-wait.md
try: $(VENV)/.ready
	@$(VENV)/bin/python scripts/try_out.py
.PHONY: try

## emulator        start only the local Prolific, until you press Ctrl-C
emulator: $(VENV)/.ready
	@$(VENV)/bin/python -m airflow_provider_prolific.emulator
.PHONY: emulator

## lint            run ruff, mypy and bandit; mypy and pyright also on the example DAGs
lint: $(VENV)/.ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy --strict example_dags
	$(VENV)/bin/basedpyright --pythonpath $(VENV)/bin/python
	$(VENV)/bin/bandit --quiet --severity-level medium --recursive airflow_provider_prolific
.PHONY: lint

## test            run the linters, then all tests on the newest supported Airflow
test: lint test-$(NEWEST)
.PHONY: test

# Most tests wait most of the time, so more of them run at once than there are cores. The tests of a file run one after
# another, in one process, and so do files that share what takes long to start (tests/conftest.py).
ALL_TESTS := -m pytest --numprocesses 6 --dist loadfile --no-loadscope-reorder

## test-2.11       run all tests on one Airflow: test-2.11, test-3.0, test-3.1, test-3.2, test-3.3
# (the emulator's own know nothing of Airflow: they run on the newest only)
$(filter-out test-$(NEWEST),$(SUPPORTED:%=test-%)): test-%: .venv-%/.ready
	.venv-$*/bin/python $(ALL_TESTS) --ignore tests/unit/emulator
test-$(NEWEST): $(VENV)/.ready
	$(VENV)/bin/python $(ALL_TESTS)
.PHONY: $(SUPPORTED:%=test-%)

## test-matrix     run the linters, then all tests on every supported Airflow, one after the other
test-matrix: lint $(SUPPORTED:%=test-%)
.PHONY: test-matrix

## test-full       run the long versions of tests, and the longer demos from start to end (eight minutes)
test-full: $(VENV)/.ready
	$(VENV)/bin/python $(ALL_TESTS) -m full
.PHONY: test-full

# These have an Airflow of their own each, and wait for people who take part.
LONG_UI := test_approval.py test_first_wait.py test_recruitment_page.py

## test-ui         test the connection form, a wait and the local Prolific in a browser, on the newest Airflow and on 2.11
test-ui: .venv-ui/.ready .venv-$(OLDEST)/.ready
	@$(VENV)/bin/python tests/support/debian_packages.py chromium
	.venv-ui/bin/python -m pytest tests/ui $(LONG_UI:%=--ignore tests/ui/%)
.PHONY: test-ui

## test-ui-full    test the page Recruitment, an approval and docs/first-wait.md in a browser (four minutes)
test-ui-full: .venv-ui/.ready
	@$(VENV)/bin/python tests/support/debian_packages.py chromium
	.venv-ui/bin/python -m pytest $(LONG_UI:%=tests/ui/%)
.PHONY: test-ui-full

## test-celery     test a wait with CeleryExecutor, PostgreSQL and Redis, and kill its triggerer and its worker
test-celery: .venv-celery/.ready
	@$(VENV)/bin/python tests/support/debian_packages.py redis-server initdb postgres
	.venv-celery/bin/python -m pytest tests/celery
.PHONY: test-celery

## test-postgresql test answers that a database cannot store, in a triggerer with PostgreSQL (two minutes)
test-postgresql: .venv-celery/.ready
	@$(VENV)/bin/python tests/support/debian_packages.py initdb postgres
	.venv-celery/bin/python -m pytest -m full tests/celery/test_hostile_answers.py
.PHONY: test-postgresql

## docs            build docs/ and a reference page for each module as a website; fails on a broken link or name
docs: $(VENV)/.ready
	@rm -rf docs/api build/docs
	$(VENV)/bin/sphinx-build --quiet --fail-on-warning --keep-going -c docs . build/docs
	@echo "Open build/docs/docs/contents.html"
.PHONY: docs

## release-check   build the wheel, and run it without extras on the oldest and the newest Airflow
release-check: $(VENV)/.ready
	$(VENV)/bin/python scripts/release_check.py
.PHONY: release-check

## benchmark       measure waiting, importing and listing against the http provider and plain requests (ten minutes)
benchmark: .venv-benchmark/.ready
	.venv-benchmark/bin/python benchmarks/waiting.py
	.venv-benchmark/bin/python benchmarks/importing.py
	.venv-benchmark/bin/python benchmarks/listing.py
.PHONY: benchmark

## audit           check all dependencies for known vulnerabilities
audit: $(VENV)/.ready
	$(VENV)/bin/pip-audit --no-deps --disable-pip --requirement constraints/airflow-$(NEWEST).txt
.PHONY: audit

## constraints     resolve the files in constraints/ again
constraints: $(VENV)/.ready
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/python scripts/update_constraints.py
.PHONY: constraints

## format          format the code, and let ruff fix what it can
format: $(VENV)/.ready
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .
.PHONY: format

## clean           remove everything that these targets created
clean:
	rm -rf .venv .venv-* .cache .demo build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
.PHONY: clean

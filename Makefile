# `make` prints what there is.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
NAME ?= overhead
UV := 0.13.8

# The lock is made for 3.11, so that one is preferred.
FIND_PYTHON = for each in python3.11 python3.12 python3.13 python3; do \
  if "$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo "$$each"; exit; fi; done
PYTHON ?= $(shell $(FIND_PYTHON))

PACKAGES := $(VENV)/.packages-$(shell sha256sum < requirements.lock | cut -c1-16)
PROJECT := $(VENV)/.project-$(shell sha256sum < pyproject.toml | cut -c1-16)

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help:  ## print this
	@echo "suture: durable self-healing for pipelines and services"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: install tools  ## tell the story on this machine; ARGS=--keep leaves the stack up
	@$(BIN)/suture demo $(ARGS)

.PHONY: test
test: install tools  ## run every test against the real embedded stack, three at a time; ARGS go to pytest
	@$(BIN)/python -m pytest -n 3 --dist loadgroup --no-loadscope-reorder $(ARGS)

.PHONY: check
check: install tools format lint types contracts policies replay portable  ## all that is checked before the tests

.PHONY: faults
faults: install tools  ## the fault tests with full counts; long
	@SUTURE_FULL=1 $(BIN)/python -m pytest tests/faults tests/storage/test_isolation.py $(ARGS)

.PHONY: bench
bench: install tools  ## measure; NAME= as in benchmarks/README.md; ARGS go to the benchmark
	@$(BIN)/python -m benchmarks.$(NAME) $(ARGS)

.PHONY: install
install: $(PACKAGES) $(PROJECT)  ## make the virtualenv from the lock, once for each lock

.PHONY: tools
tools: install  ## find, download or build the engine's and the policy server's programs
	@$(BIN)/python -m commands.tools

.PHONY: format
format: install  ## is everything formatted
	$(BIN)/ruff format --check .

.PHONY: lint
lint: install  ## do the linter's rules hold
	$(BIN)/ruff check .

.PHONY: types
types: install  ## do the types hold
	$(BIN)/mypy .

.PHONY: contracts
contracts: install  ## does every room import only what it may
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/architecture/test_imports.py

.PHONY: policies
policies: install tools  ## do the policies pass their tests, with every line covered
	$(BIN)/python -m pytest -q tests/policies

.PHONY: replay
replay: install tools  ## do the recorded histories still replay
	$(BIN)/python -m pytest -q tests/replay

.PHONY: portable
portable: install  ## does no file hold a path of one machine or the name of a registry
	$(BIN)/python -m pytest -q tests/architecture/test_portable.py

.PHONY: fix
fix: install  ## format, and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: openapi
openapi: install  ## write docs/openapi.json from the routes
	$(BIN)/python -m api.openapi

.PHONY: lock
lock:  ## write requirements.lock from requirements.in; ARGS=--upgrade takes newer versions
	@$(MAKE) .venv-lock/bin/uv
	.venv-lock/bin/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --python-version 3.11 --python-platform x86_64-manylinux_2_28 requirements.in -o requirements.lock $(ARGS)

.PHONY: secrets
secrets:  ## write the passwords that docker-compose.yml needs, once
	@deploy/make-secrets

.PHONY: clean
clean:  ## remove the virtualenv and every cache of this checkout
	rm -rf $(VENV) .venv-lock .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage *.egg-info build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv-lock/bin/uv:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet uv==$(UV)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer; run: apt-get install python3.11 python3.11-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "$(PYTHON) cannot make virtualenvs; run: apt-get install $(PYTHON)-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

# The lock is complete, so nothing is resolved: a resolver could reach past it, for a newer release of what an extra names.
$(PACKAGES): | $(BIN)/python
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "installing the packages of requirements.lock"
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip check >/dev/null || { $(BIN)/python -m pip check; exit 1; }
	@rm -f $(VENV)/.packages-*
	@touch $@

$(PROJECT): | $(PACKAGES)
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.project-*
	@touch $@

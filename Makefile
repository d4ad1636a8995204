# Interlock: `make` lists what can be done. Everything happens inside this folder, in .venv.
# Another Python: make PYTHON=python3.12 demo. Arguments for the command itself: make demo ARGS=--serve

SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV ?= .venv
PYTHON ?=
ARGS ?=
BIN := $(VENV)/bin
SETUP := VENV='$(VENV)' PYTHON='$(PYTHON)' sh .ci/setup

.PHONY: help demo test lint search bench chaos docs clean

help: ## This list
	@echo "make TARGET, where TARGET is one of"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-10s%s\n", $$1, $$2 }'

demo: ## Set up, then watch it work with a real local model (no key needed)
	@$(SETUP) demo
	@$(BIN)/interlock demo $(ARGS)

test: ## Set up, then lint, type-check, check the schemas and run every test
	@$(SETUP) demo test
	@$(MAKE) --no-print-directory lint
	@echo "== tests"
	@$(BIN)/python -m pytest $(ARGS)

lint: ## Ruff (rules and format), mypy --strict, generated schemas current
	@$(SETUP) demo test
	@echo "== ruff"
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@echo "== mypy"
	@$(BIN)/python -m mypy
	@echo "== schemas"
	@$(BIN)/interlock schema --check

search: ## Every property on new random examples, which `make test` does not throw: it tries the same ones each time
	@$(SETUP) demo test
	@$(BIN)/python -m pytest -m hypothesis --hypothesis-profile search $(ARGS)

bench: ## Measure it beside its peers; minutes, and prints tables
	@$(SETUP) demo test
	@$(BIN)/python -m benchmarks $(ARGS)

chaos: ## Let providers fail in every way, and measure what clients notice; 3 minutes, or ARGS=--short
	@$(SETUP) demo test
	@$(BIN)/python -m benchmarks.chaos $(ARGS)

docs: ## Write the generated parts of the documents again, and what the examples in them print
	@$(SETUP) demo test
	@$(BIN)/python tests/docs/refresh.py

clean: ## Remove everything that these targets made, .venv included
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis benchmarks/.work
	find engine tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

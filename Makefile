# Ringfence. `make` lists what there is; every target sets .venv up by itself when that is needed.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
SETUP := .venv/.ready
BENCH_SETUP := .venv/.ready-bench
export PYTHON ?= python3
export PYTHONUNBUFFERED := 1

.PHONY: help setup demo test lint types layers tests format bench bench-graph bench-detection up neo4j docs clean

help: ## list the targets
	@echo "Ringfence finds rings of synthetic organizations. Start with: make demo"
	@echo
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(SETUP) ## make .venv from requirements.lock (needs Python 3.11 or newer)

$(SETUP): requirements.lock pyproject.toml .ci/setup
	@.ci/setup
	@touch $@

$(BENCH_SETUP): $(SETUP) bench/requirements.lock
	@.ci/setup bench/requirements.lock
	@touch $@

demo: $(SETUP) ## simulate a campaign of the incident's shape and find it (.demo/, about a minute)
	@$(BIN)/ringfence demo --home .demo

test: lint types layers tests ## everything that has to pass: lint, types, layers, tests

lint: $(SETUP) ## ruff: rules and format
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "error: not formatted; run: make format" >&2; exit 1; }

types: $(SETUP) ## mypy, strict
	@$(BIN)/mypy

layers: $(SETUP) ## import-linter: imports point down, drivers stay in their adapters
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

tests: $(BENCH_SETUP) ## pytest (with what benchmarks need: one of them is tested)
	@.ci/java
	@.ci/postgres
	@$(BIN)/python -m pytest -q

format: $(SETUP) ## let ruff format and sort imports
	@$(BIN)/ruff check --quiet --fix-only . && $(BIN)/ruff format --quiet .

bench: $(BENCH_SETUP) ## measure speed, memory and quality; compare with the recorded results
	@$(BIN)/python -m bench

bench-graph: $(BENCH_SETUP) ## measure the graph in SQLite and Neo4j side by side
	@.ci/java
	@$(BIN)/python -m bench graph

bench-detection: $(BENCH_SETUP) ## fill the table of what detection must reach (hours, in cells that are kept)
	@$(BIN)/python -m bench detection

up: ## start what production runs, where there is a container engine (docs/recipes/production.md)
	@docker/up

neo4j: $(SETUP) ## start a Neo4j server to try (Docker, or Java 17 and Maven) and say how to use it
	@.ci/java
	@$(BIN)/python -m tests.contract.neo4j_server

docs: $(SETUP) ## write the generated pages (docs/cli.md)
	@$(BIN)/python -m docs.generate

clean: ## remove .venv, .demo and caches
	@rm -rf .venv .demo .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Two commands are enough: `make run` and `make test`. Each sets up what it needs, in .venv, and says so.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

bin := .venv/bin

# Every cache in one folder, .cache; the tools' own settings are in pyproject.toml.
export HYPOTHESIS_STORAGE_DIRECTORY := .cache/hypothesis

.PHONY: help run test check lint ruff types imports format lock clean

help: ## Show this.
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## Start Trimaran on http://localhost:8080/ (settings: TRIMARAN_...; Ctrl-C stops it).
	@tools/setup run
	@exec $(bin)/trimaran run

test: ## Prove everything: linters, types, architecture and all tests, with real sockets and a browser.
	@tools/setup test
	@$(MAKE) --keep-going lint
	@echo "  pytest"
	@$(bin)/pytest -q

check: ## The quick part of the proof, for every change: under two minutes.
	@tools/setup dev
	@$(MAKE) --keep-going lint
	@echo "  pytest, without the slow ones"
	@$(bin)/pytest -q -m "not slow"

# Every linter says its piece, whether or not the one before it was content.
lint: ruff types imports

ruff:
	@echo "  ruff"
	@$(bin)/ruff check --quiet
	@$(bin)/ruff format --check --quiet

types:
	@echo "  mypy --strict"
	@$(bin)/mypy --no-error-summary

imports:
	@echo "  import-linter"
	@$(bin)/lint-imports --no-logo --cache-dir .cache/import-linter > .cache/imports.log || { cat .cache/imports.log; exit 1; }

format: ## Lay the code out, and mend what ruff can mend.
	@tools/setup dev
	@$(bin)/ruff check --quiet --fix --exit-zero > /dev/null
	@$(bin)/ruff format --quiet

lock: ## Make the lock files anew from pyproject.toml (ARGS=--upgrade for newer versions).
	@tools/setup lock $(ARGS)

clean: ## Remove what these commands made; the data in ./data stays.
	@rm -rf .venv .cache tests/flow/node/node_modules
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# Everything a developer does, by name. "make help" lists it. Needs Python 3.11 or newer and nothing else.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The first of these that is new enough makes the virtual environment; "make PYTHON=/path/to/python" chooses another.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$name"; break; }; done)
BIN := .venv/bin
LOCKS := requirements/run.txt requirements/dev.txt
CODE := localcrm tests tools packaging $(wildcard bench)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup run test quick check fast browser texts build bench soak shots format clean

help: ## list these targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1|/' | while IFS='|' read -r name text; do \
		printf '  make %-8s %s\n' "$$name" "$$text"; done

setup: .venv/.ready ## virtual environment with the locked versions, texts compiled
	@$(BIN)/python tools/catalogue.py compile

run: setup ## a demo company on this machine: head office and two branches; Ctrl-C ends it
	@$(BIN)/python tools/run_demo.py

test: setup ## all that must hold: lint, types, contract, texts, every test
	@tools/system_packages.sh
	@$(MAKE) --no-print-directory check
	@$(BIN)/python tools/run_tests.py

quick: setup ## lint, types, contract, fast tests: under three minutes
	@$(MAKE) --no-print-directory check
	@$(BIN)/pytest -q tests --ignore=tests/browser -m "not slow and not browser and not soak"

check: setup ## lint, format, types, import contract, completeness of the texts
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python tools/catalogue.py check

format: setup ## let the formatter rewrite the code
	@$(BIN)/ruff check --fix-only --quiet $(CODE)
	@$(BIN)/ruff format $(CODE)

texts: setup ## collect the texts of the code into the Chinese catalogue and name those without translation
	@$(BIN)/python tools/catalogue.py update

soak: setup ## long random histories over several branches
	@LOCALCRM_SOAK=1 $(BIN)/pytest -q -m soak tests

bench: setup ## measure; each benchmark prints ratios taken in one run
	@if [ -f bench/run_all.py ]; then $(BIN)/python bench/run_all.py; else for file in bench/*.py; do $(BIN)/python "$$file"; done; fi

shots: setup ## pictures of the screens for docs/shots
	@tools/system_packages.sh
	@$(BIN)/python tools/shots.py

build: setup ## the one-file program in dist/, started and tried once
	@$(BIN)/pyinstaller --noconfirm --log-level ERROR --distpath dist --workpath build/pyinstaller packaging/localcrm.spec
	@$(BIN)/python packaging/smoke.py dist/localcrm

clean: ## remove the virtual environment, builds and caches; keeps demo-data
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache localcrm.egg-info

.venv/.ready: $(LOCKS) pyproject.toml
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer was not found; install it, or name it: make PYTHON=/path/to/python setup" >&2; exit 1; fi
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet -r requirements/dev.txt
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	@touch $@

# Every target sets up .venv by itself and builds the console where its sources changed:
# a Python between 3.11 and 3.13 and make are all it needs.

PYTHON ?= python3.13 python3.12 python3.11 python3 python
PARALLEL ?= -n 2 --dist worksteal
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

##@ Use

.PHONY: install demo serve

install: console ## Set everything up in .venv, pinned and checked by hash, with the console

demo: console ## Set everything up and tell the whole story on embedded parts
	$(BIN)/disqua demo $(ARGS)

serve: console ## Run the server (ARGS="--port 9000")
	$(BIN)/disqua serve $(ARGS)

##@ Develop

.PHONY: test coverage check promises seen-red screenshots audit bench bench-growth bench-check bench-profile bench-more format hooks schema lock console console-dev clean

test: console ## Run the tests (T=tests/domain/test_answer.py for one file)
ifdef T
	$(BIN)/pytest $(PARALLEL) $(T)
else
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(PARALLEL) -m 'not timed and not browser'
	$(BIN)/pytest $(PARALLEL) -m 'timed and not browser'
	$(BIN)/pytest $(PARALLEL) -m browser tests/console
endif

coverage: test ## Run the tests and see what they reach: all of domain/ by branch, 95 % of everything
	$(BIN)/coverage combine -q
	$(BIN)/coverage report
	$(BIN)/coverage report --include='domain/*' --fail-under=100

check: lint types architecture schema-in-step console-check coverage ## Check everything that CI checks

promises: $(READY) ## Prove every promise at its full size and write the table of docs/security.md (T=tests/promises/test_audit.py for one)
	DISQUA_FULL_SIZE=1 $(BIN)/pytest $(PARALLEL) --timeout=900 $(if $(T),$(T),--promises=docs/security.md tests/promises)

seen-red: $(READY) ## Take each guard out of a copy of the code and see the test of its promise fail (ARGS=guard for some)
	$(BIN)/python -m tests.promises.seen_red $(ARGS)

screenshots: install ## Take the screenshots of the README from a running demo
	$(BIN)/python docs/take_screenshots.py

audit: $(READY) ## Ask the registries whether any package we are made of is known to be vulnerable
	$(BIN)/python -m deploy.audit

bench: $(READY) ## Measure W1 to W6 beside the floor, ten minutes on a quiet machine, and write docs/performance.md (ARGS="W1 W2" for some)
	$(BIN)/python bench/run.py $(ARGS)

bench-growth: $(READY) ## Measure with a million tickets, too, and add it to today's results: ten minutes
	$(BIN)/python bench/run.py growth --rounds 1 --keep $(ARGS)

bench-check: $(READY) ## Name what got slower by more than 15 % between the two newest kept runs (ARGS="BEFORE NOW" for others)
	$(BIN)/python bench/check.py $(ARGS)

bench-profile: $(READY) ## Show where the CPU of W1, W2, W3 and W5 goes (ARGS="W1" for one)
	$(BIN)/python bench/cpu_tree.py $(ARGS)

bench-more: $(READY) ## Measure what no workload does: tarpits, browsers, fleets; half an hour, with PostgreSQL, Redis and Chromium
	$(BIN)/python bench/compiled_execution.py
	$(BIN)/python bench/mail_while_endpoints_hang.py
	$(BIN)/python bench/a_tarpit_beside_fifty.py
	$(BIN)/python bench/the_console_opens.py
	$(BIN)/python bench/five_thousand_sockets.py
	$(BIN)/python bench/the_store.py
	$(BIN)/python bench/two_hundred_lookups.py

format: $(READY) ## Format the code and mend what the linter can mend
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

hooks: $(READY) ## Have git run the quick checks before each commit
	$(BIN)/pre-commit install

schema: $(READY) ## Write schema.graphql from the code
	$(BIN)/disqua schema > $(VENV)/schema.graphql
	mv $(VENV)/schema.graphql schema.graphql

lock: ## Pin what pyproject.toml asks for (UPGRADE=1 takes the newest versions)
	@test -x $(BIN)/uv || $(MAKE) install
	$(BIN)/$(PIN) pyproject.toml -o requirements.lock
	$(BIN)/$(PIN) -c requirements.lock --extra dev pyproject.toml -o requirements-dev.lock

console: $(READY) ## Build the web console, if its sources changed since (DISQUA_CONSOLE=skip leaves it as it is)
	@$(BIN)/python hatch_build.py

console-dev: $(READY) ## Show the console as it is written, in front of a server on port 8000
	$(BIN)/python hatch_build.py run dev

clean: ## Remove .venv, the built console and every cache; the data folder stays
	rm -rf $(VENV) server/web console/node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.* htmlcov

##@ The parts of check

.PHONY: lint types architecture schema-in-step console-check

lint: $(READY) ## Is the code formatted, and does the linter agree?
	$(BIN)/ruff format --check
	$(BIN)/ruff check

types: $(READY) ## Are the types sound?
	$(BIN)/mypy

architecture: $(READY) ## Does every import point where it may?
	$(BIN)/lint-imports --no-logo

schema-in-step: $(READY) ## Is schema.graphql what the code says?
	$(BIN)/disqua schema | diff -u schema.graphql -

console-check: $(READY) ## Is the console formatted and linted, and does it ask for what the schema has?
	$(BIN)/python hatch_build.py run check

# Plumbing.

PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet
PIN := uv pip compile --universal --generate-hashes --python-version 3.11 --no-header --quiet $(if $(UPGRADE),--upgrade)

.PHONY: help

help:
	@awk 'BEGIN { FS = ":.*## "; print "make TARGET" } \
	    /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	    /^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The mark is set last, so that a set-up that was interrupted is made again from nothing.
$(READY): pyproject.toml requirements-dev.lock
	@echo "Setting up $(VENV), once and for about half a minute"
	@for python in $(PYTHON); do \
	    $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || continue; \
	    found=$$python; \
	    $$python -c 'import ensurepip, venv' 2>/dev/null || continue; \
	    rm -rf $(VENV); \
	    exec $$python -m venv $(VENV); \
	done; \
	if [ -n "$$found" ]; then \
	    echo "$$found cannot make virtual environments; on Debian and Ubuntu: apt-get install $$(basename $$found)-venv" >&2; \
	else \
	    echo "No Python from 3.11 to 3.13 here; install one, or name it with make PYTHON=/path/to/python3.12" >&2; \
	fi; exit 1
	@$(PIP) --only-binary :all: --require-hashes -r requirements-dev.lock
	@DISQUA_CONSOLE=skip $(PIP) --no-deps --no-build-isolation -e .
	@touch $@

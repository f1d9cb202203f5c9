# The commands of this project. `make up` and `make test` are all a newcomer needs.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
MAIL := ./mail
INSTALLED := .venv/.installed
RUN := $(BIN)/python -m
TOOLS := $(INSTALLED) .venv/.browser .venv/.tools .venv/.docs
LOCK := requirements.lock

# Byte code is kept, and made once for what every engine command imports: uv makes none, and where the environment says that
# Python shall write none (PYTHONDONTWRITEBYTECODE) each command would compile it all anew, seconds of CPU.
unexport PYTHONDONTWRITEBYTECODE
WARM := components.stack_outputs, components.mail_domain, components.api_tunnel, components.agent_mailboxes, \
	components.platform_mail, pulumi.dynamic, dns.resolver, emulators.server, engine.cloudflare.provider

.PHONY: lock help up down demo docs test test-unit test-e2e lint bench chaos

help: ## what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

# Where the engine is needed, too, and there is none, its build goes on beside the packages.
FIRST := engine/packages.py
up demo test test-e2e chaos bench: FIRST := engine/side_by_side.py

$(INSTALLED): $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python %d.%d is too old; this project needs 3.11 or newer; name one with: make PYTHON=python3.11" % sys.version_info[:2])'
	@$(PYTHON) $(FIRST) $(LOCK) .venv
	@$(BIN)/python -c 'import $(WARM)'
	@touch $@

up: $(INSTALLED) ## the embedded default: emulators, a stack, a summary; everything else: ./mail --help
	@$(MAIL) up

down: $(INSTALLED) ## take the embedded default away and stop the emulators
	@$(MAIL) down

demo: $(INSTALLED) ## one agent mails another, through the whole loop
	@$(MAIL) demo

BY_FILE := -n 4 --dist loadfile --no-loadscope-reorder

# All tests in one run: while some wait for the engine, others go on.
test: lint $(TOOLS) ## everything: lint, types, unit, e2e on the real engine
	@$(MAIL) setup
	$(RUN) pytest tests $(BY_FILE)

lock: ## every package with its hash, for Python 3.11 and newer, from requirements-dev.txt
	@for pair in requirements-dev.txt:$(LOCK) .github/audit.in:.github/audit.lock tests/browser.in:tests/browser.lock \
		tests/tools.in:tests/tools.lock docs/site/site.in:docs/site/site.lock; do \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
			--custom-compile-command 'make lock' --output-file "$${pair#*:}" "$${pair%%:*}" || exit; done

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy -n 2

# 165 MB that only the tests of the page need, and they a browser: not for `make up`.
.venv/.browser: tests/browser.lock $(INSTALLED)
	@for name in chromium chromium-browser google-chrome-stable google-chrome; do ! command -v $$name >/dev/null || found=yes; done; \
	test -z "$$found" || { $(BIN)/python engine/packages.py $< .venv && touch $@; }

# 170 MB that only some tests and the benchmarks need: not for `make up`.
.venv/.tools: tests/tools.lock $(INSTALLED)
	@$(BIN)/python engine/packages.py $< .venv && touch $@

# 70 MB that make a site of docs/: not for `make up`.
.venv/.docs: docs/site/site.lock $(INSTALLED)
	@$(BIN)/python engine/packages.py $< .venv && touch $@

docs: .venv/.docs ## the documentation as a site, with search and without a network: build/site/index.html
	@NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build
	@echo "$(CURDIR)/build/site/index.html"

test-unit: $(TOOLS) ## quick: no engine, no other programs
	$(RUN) pytest tests/unit -m 'not slow' -n 4 --dist worksteal

# Their Pythons are forked (docs/decisions/144-forked-pythons.md); with one of its own each: make test-e2e AZMAIL_TESTS_FORKED=
test test-e2e: export AZMAIL_TESTS_FORKED ?= 1
test-e2e: $(INSTALLED) .venv/.tools ## the real engine against the emulators
	@$(MAIL) setup
	$(RUN) pytest tests/e2e $(BY_FILE)

chaos: $(INSTALLED) ## faults, kills, replaces and two stacks, full size (about an hour; bounded by CHAOS="faults --seeds 3")
	@$(MAIL) setup
	$(RUN) tests.chaos $(CHAOS)

bench: $(INSTALLED) .venv/.tools ## the benchmarks, as ratios within one run (BENCH="--quick" for a short one)
	@$(MAIL) setup
	$(RUN) tests.bench $(BENCH)

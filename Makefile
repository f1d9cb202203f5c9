# The commands of this project. `make up` and `make test` are all a newcomer needs.
SHELL := /bin/sh
PYTHON ?= python3
STACK ?= dev
BIN := .venv/bin
PULUMI := ./engine/pulumi
INSTALLED := .venv/.installed
RUN := $(BIN)/python -m

.PHONY: help setup up preview down demo tunnel-env test test-unit test-e2e lint bench chaos clean

help: ## what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

$(INSTALLED): requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python %d.%d is too old; this project needs 3.11 or newer; name one with: make PYTHON=python3.11" % sys.version_info[:2])'
	@test -x $(BIN)/python || { echo "setup: virtualenv .venv"; $(PYTHON) -m venv .venv; }
	@echo "setup: packages of requirements.txt and requirements-dev.txt"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input -r requirements.txt -r requirements-dev.txt
	@touch $@

setup: $(INSTALLED) ## virtualenv, packages, engine and plugins
	@$(RUN) engine setup

up: setup ## the embedded default: emulators, pulumi up on dev, a summary
	@$(RUN) emulators up
	@$(PULUMI) stack select --create $(STACK)
	@$(PULUMI) up --stack $(STACK) --yes --suppress-outputs
	@$(PULUMI) stack output --stack $(STACK) --json --show-secrets | $(RUN) commands.report summary --stack $(STACK)

preview: setup ## what an up would change, by name
	@$(PULUMI) preview --stack $(STACK) --json | $(RUN) commands.report preview

down: setup ## destroy the embedded default and stop the emulators
	@$(RUN) emulators up
	@$(PULUMI) destroy --stack $(STACK) --refresh --yes --skip-preview --suppress-outputs
	@$(RUN) emulators down

demo: up ## one agent mails another, through the whole loop
	@echo
	@$(PULUMI) stack output --stack $(STACK) --json --show-secrets | $(RUN) commands.demo

tunnel-env: setup ## the tunnel's token for deploy/docker-compose.yml, from the stack outputs
	@$(PULUMI) stack output tunnelToken --show-secrets --stack $(STACK) | $(BIN)/python deploy/tunnel_env.py deploy/tunnel.env

test: lint test-unit test-e2e ## everything: lint, types, unit, e2e on the real engine

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

test-unit: $(INSTALLED) ## quick: no engine
	$(RUN) pytest tests/unit -n auto

test-e2e: setup ## the real engine against the emulators
	$(RUN) pytest tests/e2e -n 2 --dist loadfile

chaos: setup ## faults, kills, replaces and two stacks, full size (about an hour; bounded by CHAOS="faults --seeds 3")
	$(RUN) tests.chaos $(CHAOS)

bench: setup ## the benchmarks, as ratios within one run (BENCH="--quick" for a short one)
	$(RUN) tests.bench $(BENCH)

clean: ## remove what this clone generated (not the shared engine cache)
	@test ! -x $(BIN)/python || $(RUN) emulators down
	rm -rf .state .venv

# Every chore of the project. `make help` lists them; `make demo` and `make test` set up what they need by themselves.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.ONESHELL:
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
VENV ?= .venv
PIP_FLAGS ?=
BIN := $(VENV)/bin
READY := $(VENV)/.ready-$(shell cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)
BARS ?= 10000
SEED ?= 0
DEMO_TICKS := var/demo/EUR_USD-synth-regime-$(BARS)-$(SEED).ticks.csv.gz
TICKS ?= $(DEMO_TICKS)
FLAGS ?=
BUNDLED := var/bundled
TESTS ?=
BENCH ?= features

.PHONY: help setup demo bundled-model test check bench faults learn-table format docs site soak install uninstall systemd-e2e compose-e2e tutorial-e2e browser-test clean

help:  ## list the targets
	@sed -nE 's/^([a-z0-9-]+):.*##(.*)/\1\t\2/p' Makefile | expand -t 14

setup: $(READY)  ## create .venv and install everything, once

$(READY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
		echo "$(PYTHON) is older than Python 3.11; name a newer one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || {
		version=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
		echo "Python can't make virtual environments here; install them first:" >&2
		echo "    sudo apt-get update && sudo apt-get install -y python$$version-venv" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	echo "installing into $(VENV) (once; takes some minutes)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt -e '.[dev]'
	rm -f $(VENV)/.ready-*
	touch $@

demo: $(READY) $(if $(filter $(DEMO_TICKS),$(TICKS)),$(DEMO_TICKS))  ## replay synthesised ticks with the bundled model: TICKS=file, FLAGS='--bar 1h'
	@run="var/runs/demo-$$(date -u +%Y%m%dT%H%M%S)"
	$(BIN)/micro-trader replay $(TICKS) --out "$$run" $(FLAGS)
	echo "report: $$run/report.html"

$(DEMO_TICKS): | $(READY)
	@mkdir -p $(@D)
	$(BIN)/micro-trader ticks synth regime $@ --bars $(BARS) --seed $(SEED)

bundled-model: $(READY)  ## train the bundled model anew on the demo's market: minutes; on one machine the same bytes
	@rm -rf $(BUNDLED) && mkdir -p $(BUNDLED) && touch $(BUNDLED)/config.toml
	$(BIN)/micro-trader ticks synth regime $(BUNDLED)/EUR_USD-synth-regime.csv.gz --bars 20000 --seed 1
	$(BIN)/micro-trader train $(BUNDLED)/EUR_USD-synth-regime.csv.gz --config $(BUNDLED)/config.toml --state $(BUNDLED) \
		--steps 1368 --workers 0 --seed 1 --no-store --from scratch
	$(BIN)/python -m training.export --bundle $(BUNDLED)/models/*/

test: $(READY)  ## run the tests: TESTS=tests/broker for a part
	@$(BIN)/python -m pytest $(TESTS)

check: $(READY)  ## lint, types, and the order of the four floors
	@$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache | tail -n 5

bench: $(READY)  ## measure: BENCH=features, or another module of benchmarks/
	@$(BIN)/python -m benchmarks.$(BENCH) $(FLAGS)

faults: $(READY)  ## a thousand seeded runs through every fault, and a hundred with kill -9 (half an hour): FLAGS='--seed 7'
	@$(BIN)/python -m benchmarks.faults $(FLAGS)
	$(if $(FLAGS),,$(BIN)/python -m benchmarks.faults --processes --runs 100)

learn-table: $(READY)  ## train and score on markets of known optimum, cell by cell (hours; resumable): FLAGS='--seeds 1'
	@$(BIN)/python -m benchmarks.learn $(FLAGS)

format: $(READY)  ## lay out the code
	@$(BIN)/ruff format broker strategy training daemon tests
	$(BIN)/ruff check --fix-only --quiet .

docs: $(READY)  ## write docs/configuration.md, config.toml and docs/api.md from the code
	@$(BIN)/micro-trader config reference > docs/configuration.md
	$(BIN)/micro-trader config init config.toml --force
	$(BIN)/python -m daemon.web.reference > docs/api.md

site: $(READY)  ## build the documentation as a site in var/site
	@$(BIN)/mkdocs build --quiet --strict

soak: $(READY)  ## the whole circle unattended, time compressed (under 40 minutes): FLAGS='--seed 2'
	@$(BIN)/python -m benchmarks.soak $(FLAGS)

browser-test: $(READY)  ## the dashboard in a real Chromium, and the README's picture of it anew: CHROMIUM=path
	@$(BIN)/python -c 'import playwright, axe_playwright_python' 2>/dev/null ||
		$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt -e '.[browser]'
	SCREENSHOT=docs/dashboard.png $(BIN)/python -m pytest tests/daemon/web/test_page.py

install:  ## install the service for systemd into /opt/micro-trader (as root); again to upgrade
	@systemd/install

uninstall:  ## take it away again; config and state are kept
	@systemd/install remove

systemd-e2e:  ## the units in a booted systemd (as root; a quarter of an hour): OPS=folder of the scripts that boot it
	@benchmarks/systemd_e2e.sh

compose-e2e:  ## the compose file in a real engine (as root; half an hour): OPS=folder of the scripts that run it
	@benchmarks/compose_e2e.sh

tutorial-e2e:  ## every command of the tutorial in a fresh container (as root; a quarter of an hour): OPS=folder of the scripts
	@benchmarks/tutorial_e2e.sh

clean:  ## remove what was built and cached, but neither .venv nor var
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

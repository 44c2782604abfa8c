# Every target sets up what it needs first; `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin
# Four workers hold calls, each of which begins where the machine has room (tests/integration/room.py):
# what is heard under load is no measure. Tests that load the machine, or start a browser or a whole
# composition, come two at a time. The others wait for something a third of their time.
UNITS := $(shell echo $$(( $$(nproc) * 3 / 2 )))
CALLS := tests/integration
HEAVY := tests/browser tests/faults tests/deploy/test_stack.py
CHECKED := tests/test_structure.py tests/test_docs.py
OTHERS := $(patsubst %,--ignore=%,$(CALLS) $(HEAVY) $(CHECKED))
# What fails beside others is run once more by itself, and fails for good then: a machine that was busy
# elsewhere is no verdict on a call. The first report stays to be read, as something to mend.
tests = $(BIN)/pytest --dist loadfile $(1) || \
	{ [ $$? -eq 1 ] && echo "Once more, by themselves:" && $(BIN)/pytest --lf --lfnf=none $(1) -n 0; }

.DEFAULT_GOAL := help
.PHONY: help setup setup-test env demo run test live check coverage fmt bench bench-peer faults fuzz lock web

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: # the locked environment, the LiveKit server, the browser's part
	@$(PYTHON) -m scripts.bootstrap

setup-test: # and the S3 server that tests run on
	@$(PYTHON) -m scripts.bootstrap --s3

env: # the locked environment alone
	@$(PYTHON) -m scripts.bootstrap --env

demo: setup ## start everything, place one real call, show it, print its result
	@$(BIN)/voicefleet demo

run: setup ## start the platform and keep it up; Ctrl-C ends it
	@$(BIN)/voicefleet up

test: setup-test ## run every test but those of `make check`, real calls included (ARGS=… goes to pytest)
ifeq ($(ARGS),)
	@$(call tests,-n $(UNITS) $(OTHERS))
	@$(call tests,-n 4 --durations=20 $(CALLS))
	@$(call tests,-n 2 --durations=10 $(HEAVY))
	@$(PYTHON) -m scripts.web test
else
	@$(BIN)/pytest $(ARGS)
endif

live: setup ## a real call through each real vendor whose key is set (DEEPGRAM_API_KEY … in CONTRIBUTING.md)
	@$(BIN)/pytest -v tests/live/vendors.py $(ARGS)

check: env ## format, lint, types, import arrows, structure, docs
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest -q $(CHECKED)
	@$(PYTHON) -m scripts.web check

coverage: env ## hold modules to full branch coverage by their own tests
	@$(BIN)/python -m scripts.own_coverage

fmt: env ## format the code and sort its imports
	@$(BIN)/ruff check --select I --fix-only .
	@$(BIN)/ruff format .

web: ## build the widget and the dialler page (also done by every set-up)
	@$(PYTHON) -m scripts.web build

bench: setup ## measure one call; figures go to bench/out
	@$(BIN)/python -m bench

bench-peer: setup ## measure this platform and Pipecat side by side (ARGS="--calls 4 --only ours")
	@$(BIN)/python -m bench.peer $(ARGS)

faults: setup ## strike a fleet under load, at random (ARGS="--seed 7 --rounds 100 --echo --calls 20")
	@$(BIN)/python -m tests.faults $(ARGS)

fuzz: env ## throw 100,000 mutated messages at the wire parsers
	@$(BIN)/python -m bench.fuzz
	@$(BIN)/python -m bench.fuzz_media

lock: ## resolve the dependencies anew (ARGS=--upgrade for newer versions)
	@$(PYTHON) -m scripts.resolve $(ARGS)

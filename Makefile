# Each target sets up what it needs in .venv on the first call. Neither root, Node nor a compiler is
# needed for demo and test; what is installed beyond that makes fewer tests skip.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo serve test check bench contracts lock node clean

demo: $(VENV)/.run
	$(BIN)/wattledger demo $(ARGS)

# The demo's community, which goes on living; the demo runs first where there is none yet.
serve: $(VENV)/.run
	@[ -e "$${WATTLEDGER_DATA_DIR:-wattledger-data}/complete" ] || $(BIN)/wattledger demo
	$(BIN)/wattledger serve --replay $(ARGS)

# Many tests wait for real time to pass: two workers more than there are cores. Neighbours stay
# together, because they share a community or a browser.
test: $(VENV)/.dev node
	$(BIN)/python -m pytest -n $$(($$($(BIN)/python -c 'import os; print(os.cpu_count())') + 2)) \
		--dist worksteal $(ARGS)

check: $(VENV)/.dev node
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m contracts.build --check
	.ci/contracts

bench: $(VENV)/.dev
	$(BIN)/python -m tests.bench $(ARGS)

contracts: $(VENV)/.dev node
	$(BIN)/python -m contracts.build

# Exact versions with hashes, from the bounds in pyproject.toml.
lock: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet uv
	cd .requirements && ./lock

# npm's packages add solc, forge, anvil and OpenZeppelin's JavaScript; without npm their tests skip.
node:
	@if command -v npm >/dev/null && [ ! -e node_modules/.installed ]; then \
		npm ci --no-audit --no-fund --loglevel=error && touch node_modules/.installed \
		|| echo "npm could not install: tests that need Node will skip"; \
	fi

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: .requirements/run.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .requirements/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.dev: .requirements/dev.txt $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .requirements/dev.txt
	touch $@

clean:
	rm -rf $(VENV) node_modules build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

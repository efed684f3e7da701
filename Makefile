# make app: the web app.   make test: every check.   make test-slow: the long runs.   make clean: back to a fresh clone.
PORT ?= 8501
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check install --no-build-isolation

# Tests of processes and of times, which want the machine for themselves.
ALONE := $(wildcard tests/browser tests/faults tests/jobs tests/live tests/load)

.PHONY: app test test-slow setup setup-test port browser clean

app: port setup
	@$(BIN)/lossviz data || echo "Starting without MNIST: exploring works, training waits for the data."
	@echo "lossviz on http://localhost:$(PORT)"
	@$(BIN)/streamlit run app.py --server.port=$(PORT)

test: setup-test browser
	$(BIN)/lossviz data
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/pytest -n 2 $(addprefix --ignore=,$(ALONE))
	$(BIN)/pytest $(ALONE)

test-slow: setup-test browser
	$(BIN)/lossviz data
	$(BIN)/pytest -m slow

# The stamps make the second time quick; they live in .venv, so that deleting it starts over.
setup: .venv/app.stamp
setup-test: .venv/test.stamp

.venv/app.stamp: requirements.txt pyproject.toml
	@$(PYTHON) -c "$$CHECK_PYTHON" "$(PYTHON)"
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	$(PIP) -r requirements.txt
	$(PIP) --quiet --no-deps -e .
	@touch $@

.venv/test.stamp: .venv/app.stamp
	$(PIP) --quiet --constraint requirements.txt -e '.[test]'
	@touch $@

port:
	@$(PYTHON) -c "$$CHECK_PORT" "$(PORT)"

browser: setup-test
	@command -v chromium || command -v chromium-browser || command -v google-chrome || { \
		echo "No Chromium is installed: fetching one"; \
		$(BIN)/playwright install chromium >/dev/null 2>&1 || { \
			echo "None could be fetched, so that the browser tests are skipped (in CI: an error)."; test -z "$$CI"; }; }

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist *.egg-info

define CHECK_PYTHON
import sys
if sys.version_info < (3, 11):
    found = "%s is Python %d.%d" % ((sys.argv[1],) + tuple(sys.version_info[:2]))
    sys.exit("lossviz needs Python 3.11 or newer and " + found + ". Name another one: make app PYTHON=python3.12")
endef
export CHECK_PYTHON

define CHECK_PORT
import socket, sys
port = sys.argv[1]
if not (port.isdigit() and 1 <= int(port) <= 65535):
    sys.exit("PORT is %s; allowed is a number from 1 to 65535." % port)
probe = socket.socket()
probe.settimeout(1)
taken = probe.connect_ex(("127.0.0.1", int(port))) == 0
probe.close()
if taken:
    sys.exit("Port %s is in use. Stop what runs there, or choose another one: make app PORT=8502" % port)
endef
export CHECK_PORT

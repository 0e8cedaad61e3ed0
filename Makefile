# Two commands: `make demo` and `make test`. Both make .venv first; the README has the pip lines they stand for.

PYTHON ?= python3
BIN := .venv/bin
# Tests run in random order (pytest prints its seed) and with another hash seed each time, which make prints.
HASHSEED ?= $(shell $(PYTHON) -c 'import random; print(random.randrange(1, 1 << 32))')
# What the demo needs, and what the tests and the benchmarks need beyond that.
INSTALLED := .venv/installed
TESTABLE := .venv/testable
BENCHABLE := .venv/benchable
SUDO := $(shell test $$(id -u) = 0 || echo sudo)

.PHONY: demo test test-browser test-long lint types tests browser bench clean

demo: $(INSTALLED)
	$(BIN)/python -m analyses demo

test: lint types tests

lint: $(TESTABLE)
	$(BIN)/black --check --quiet artifact_store analyses tests benchmarks
	$(BIN)/isort --check-only --quiet artifact_store analyses tests benchmarks
	$(BIN)/flake8 artifact_store analyses tests benchmarks
	$(BIN)/lint-imports --no-cache

types: $(TESTABLE)
	$(BIN)/mypy

tests: $(TESTABLE)
	PYTHONHASHSEED=$(HASHSEED) $(BIN)/python -m pytest

# What only a browser can show: pictures as SVG and PNG, and the workbench.
test-browser: $(TESTABLE) browser
	PYTHONHASHSEED=$(HASHSEED) $(BIN)/python -m pytest tests/browser

# Debian's Chromium, where there is none yet. BROWSER_PATH names another.
browser:
	@test -n "$$BROWSER_PATH" || command -v chromium >/dev/null || { \
	  echo "make: there is no chromium, and these tests are driven in one: installing Debian's"; \
	  $(SUDO) apt-get update -qq; \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; \
	} || { \
	  echo "make: chromium could not be installed. Install it by hand (Debian: apt-get install chromium), or name a Chrome: BROWSER_PATH=/path/to/chrome make test-browser" >&2; \
	  exit 1; \
	}

# The same tests, with as many faults as tests/README.md says; takes an hour.
test-long: $(TESTABLE)
	ARTIFACT_STORE_TESTS=long PYTHONHASHSEED=$(HASHSEED) $(BIN)/python -m pytest --timeout 3600

# Writes benchmarks/RESULTS.md; fails, at the end, if a benchmark does.
bench: $(BENCHABLE)
	mkdir -p results/bench
	TMPDIR=$(CURDIR)/results/bench $(BIN)/python -m benchmarks

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[analyses]'
	touch $@

# Beside Python packages, a server of object storage that knows nothing of conditional writes: of npm's registry.
$(TESTABLE): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[analyses,test]'
	@command -v npm >/dev/null || { \
	  echo "make: there is no npm, which installs a server that tests speak with: installing Debian's"; \
	  $(SUDO) apt-get update -qq; \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends nodejs npm >/dev/null; \
	} || { \
	  echo "make: npm could not be installed. Install Node.js by hand (Debian: apt-get install nodejs npm)" >&2; \
	  exit 1; \
	}
	@command -v bindfs >/dev/null || { \
	  echo "make: there is no bindfs, by which tests mount one directory as two hosts: installing Debian's"; \
	  $(SUDO) apt-get update -qq; \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends bindfs >/dev/null; \
	} || echo "make: bindfs could not be installed: tests of two hosts are left out, and say so" >&2
	npm install --silent --ignore-scripts --no-audit --no-fund --prefix .venv/s3rver s3rver@3.7.1
	touch $@

$(BENCHABLE): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[analyses,bench]'
	touch $@

clean:
	rm -rf .venv build *.egg-info .mypy_cache .pytest_cache .hypothesis .import_linter_cache

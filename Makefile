# The studio in its own virtual environment. `make help` lists what there is to make.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

BIN := $(VENV)/bin
# Not empty when the caller named a Python: only then may a working environment be replaced.
CHOSEN := $(filter-out file,$(origin PYTHON))

# Valid in every Python from 2.7 on, so that an old one can say what is wrong. Prints the version.
define CHECK_PYTHON
import sys
name = "Python %d.%d (%s)" % (sys.version_info[0], sys.version_info[1], sys.executable)
hint = " Choose another one: make run PYTHON=python3.12"
if sys.version_info < (3, 10):
    sys.exit(name + " is too old: the studio needs Python 3.10 to 3.13." + hint)
try:
    import ensurepip, venv
except ImportError:
    sys.exit(name + " cannot make virtual environments. Debian, Ubuntu: sudo apt install python3-venv." + hint)
if sys.version_info >= (3, 14):
    sys.stderr.write(name + " is newer than what the studio is tested with, 3.10 to 3.13." + hint + "\n")
print("%d.%d" % sys.version_info[:2])
endef
export CHECK_PYTHON

# On a terminal pip shows its progress; in a log it only speaks up when something is wrong.
define INSTALL
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@if [ -t 1 ]; then quiet=; else quiet=-q; fi; \
	$(BIN)/python -m pip install --disable-pip-version-check $$quiet -r $< \
	|| { echo "pip could not install $<: see its message above, then try again." >&2; exit 1; }
	@touch $@
endef

.PHONY: help run test lint format chromium clean distclean FORCE

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

run: $(VENV)/.installed ## Start the studio; options: make run ARGS="--port 7861"
	@$(BIN)/python app.py $(ARGS)

test: $(VENV)/.installed-dev chromium lint ## Check style and run all tests; some: make test ARGS="-k sketch"
	@$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.installed-dev ## Check style only
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .

format: $(VENV)/.installed-dev ## Put the code into shape
	@$(BIN)/python -m ruff check --fix .
	@$(BIN)/python -m ruff format .

chromium: ## Install Chromium for the browser tests, where apt can
	@for name in chromium chromium-browser google-chrome; do \
	  if command -v $$name >/dev/null 2>&1; then exit 0; fi; \
	done; \
	if [ "$$(id -u)" = 0 ]; then root=; else root="sudo -n"; fi; \
	if command -v apt-get >/dev/null 2>&1 && $$root true 2>/dev/null; then \
	  echo "Installing Chromium for the browser tests."; \
	  $$root apt-get update -qq \
	  && $$root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null \
	  && exit 0; \
	fi; \
	echo "There is no Chromium, and it could not be installed: the browser tests will be skipped."

clean: ## Remove caches; checkpoints, runs and results stay
	@rm -rf .pytest_cache .ruff_cache .gradio
	@find bicyclegan -name '*.pyi' -exec rm -f {} +
	@find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## Remove the virtual environment too
	@rm -rf $(VENV)

# Looked at every time, written only when the Python changed: what depends on it is then installed anew.
$(VENV)/.python: FORCE
	@have=$$($(BIN)/python -c "$$CHECK_PYTHON" 2>/dev/null); \
	if [ -n "$$have" ] && [ -z "$(CHOSEN)" ]; then \
	  want=$$have; \
	else \
	  command -v $(PYTHON) >/dev/null 2>&1 \
	  || { echo "There is no $(PYTHON) here: the studio needs Python 3.10 to 3.13." >&2; exit 1; }; \
	  want=$$($(PYTHON) -c "$$CHECK_PYTHON") || exit 1; \
	fi; \
	if [ "$$have" != "$$want" ]; then \
	  echo "Making $(VENV) with Python $$want."; \
	  $(PYTHON) -m venv --clear $(VENV) || exit 1; \
	fi; \
	[ "$$(cat $@ 2>/dev/null)" = "$$want" ] || echo "$$want" >$@

$(VENV)/.installed: requirements.txt $(VENV)/.python
	@echo "Installing what the studio needs. The first time takes some minutes: PyTorch is big."
	$(INSTALL)

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing what the tests need."
	$(INSTALL)

FORCE:

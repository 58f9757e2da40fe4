# `make run` and `make test` need python3 with venv, nothing else.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test test-browser test-conformance test-oldest check lock docs definition

run: .venv/run.installed
	@$(BIN)/python run_pipeline.py local

test: .venv/dev.installed
	@$(BIN)/python -m pytest -m "not browser and not conformance"

# Tests that drive a real browser; they need Debian's chromium or another at BATCHCAST_CHROMIUM.
test-browser: .venv/dev.installed
	@$(BIN)/python -m pytest -m browser

# Environments with locks of their own: two serving stacks (multi-model-server needs Java 17), Studio's SDK, and what the
# processing image has.
CONFORMANCE := $(addprefix conformance/, multi-model-server inference-server studio processing-image)

test-conformance: .venv/dev.installed $(CONFORMANCE:%=%/.venv/installed)
	@$(BIN)/python -m pytest -m conformance tests/conformance

# With the oldest libraries that pyproject.toml admits; each PYTHON, such as python3.12, has its environment.
# The SDK is not among them: the oldest one is in conformance/studio.
OLDEST := .venv/oldest-$(notdir $(PYTHON))

test-oldest: $(OLDEST)/installed
	@$(OLDEST)/bin/python -m pytest $(addprefix tests/, steps pipelines runs session cli container_check serving) \
	        --ignore tests/pipelines/test_definition.py

check: .venv/dev.installed
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# What is generated from the code: the compiled pipelines and the reference pages.
definition: .venv/dev.installed
	@$(BIN)/python -m batchcast.pipelines.definition

docs: .venv/dev.installed
	@$(BIN)/python docs/generate.py

lock: .venv/uv.installed
	@$(BIN)/uv pip compile $(LOCK) pyproject.toml --extra sample --extra plot --group dev --output-file requirements-dev.lock
	@$(BIN)/uv pip compile $(LOCK) pyproject.toml --extra sample --extra plot --constraint requirements-dev.lock \
	        --output-file requirements.lock
	@$(BIN)/uv pip compile $(LOCK) pyproject.toml --extra plot --group test --resolution lowest-direct \
	        --output-file requirements-oldest.lock
	@echo uv | $(BIN)/uv pip compile $(LOCK) - --output-file requirements-uv.lock
	@for each in $(CONFORMANCE); do $(BIN)/uv pip compile $(LOCK) $$each/requirements.in \
	        $$(test -e $$each/overrides.txt && echo --override $$each/overrides.txt) \
	        --output-file $$each/requirements.lock; done

LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
        --no-header --no-annotate

# uv installs in seconds what takes pip minutes; where a mirror is known to pip alone, pip does it. A lock is complete.
INSTALL = $(BIN)/uv pip install --quiet --python $(2)/python --no-deps --require-hashes -r $(1) \
          || $(2)/python -m pip install --quiet --no-deps --require-hashes -r $(1)

.venv/uv.installed: requirements-uv.lock
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@touch $@

.venv/run.installed: requirements.lock .venv/uv.installed
	@$(call INSTALL,requirements.lock,$(BIN))
	@touch $@

.venv/dev.installed: requirements-dev.lock .venv/uv.installed
	@$(call INSTALL,requirements-dev.lock,$(BIN))
	@touch $@

# An environment of its own for the first prerequisite, a lock.
define ENVIRONMENT
@$(PYTHON) -m venv --clear $(@D)
@$(call INSTALL,$<,$(@D)/bin)
@touch $@
endef

$(OLDEST)/installed: requirements-oldest.lock .venv/uv.installed
	$(ENVIRONMENT)

conformance/%/.venv/installed: conformance/%/requirements.lock .venv/uv.installed
	$(ENVIRONMENT)

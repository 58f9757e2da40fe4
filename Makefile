# `make run` and `make test` need python3 with venv, nothing else.
PYTHON ?= python3
BIN := .venv/bin

# Images of containers often set it; every process would compile each module that it imports anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test test-untimed test-timed test-wheel test-browser test-conformance test-oldest test-template check mutants behaviours kills fuzz lock docs site screenshots definition \
        bench bench-check

run: .venv/run.installed
	@$(BIN)/python run_pipeline.py local

# Two processes a core: tests wait much of their time, for processes that are killed, stopped or late. Those that measure
# time wait nine tenths of it, and come last, when nothing beside them computes; they lie in the files that have the mark.
WORKERS ?= $(shell nproc 2>/dev/null || echo 2)
PARALLEL = -n $$((2 * $(WORKERS))) --dist worksteal
ELSEWHERE = not browser and not conformance and not wheel
TIMED = $$(grep -rl --include 'test_*.py' 'pytest\.mark\.timed' $(1))

test: test-untimed test-timed

test-untimed: .venv/dev.installed
	@$(BIN)/python -m pytest $(PARALLEL) -m "$(ELSEWHERE) and not timed"

test-timed: .venv/dev.installed
	@$(BIN)/python -m pytest $(PARALLEL) -m "$(ELSEWHERE) and timed" $(call TIMED,tests)

# The wheel, built from what it is made of and installed alone beside its locked dependencies.
WHEEL := .venv/wheel

test-wheel: .venv/dev.installed $(WHEEL)/installed
	@$(BIN)/python -m pytest -m wheel tests/wheel

# Tests that drive a real browser; they need Debian's chromium or another at BATCHCAST_CHROMIUM.
test-browser: .venv/dev.installed site
	@$(BIN)/python -m pytest -m browser

# Environments with locks of their own: two serving stacks (multi-model-server needs Java 17), Studio's SDK, and what the
# processing image has.
CONFORMANCE := $(addprefix conformance/, multi-model-server inference-server gluonts bentoml torchserve studio processing-image \
        sdk-2 airflow spark)

test-conformance: .venv/dev.installed $(CONFORMANCE:%=%/.venv/installed)
	@$(BIN)/python -m pytest -m conformance tests/conformance

# With the oldest libraries that pyproject.toml admits; each OLDEST_PYTHON, such as python3.12, has its environment.
# The SDK is not among them: the oldest one is in conformance/studio. Nor are a hundred thousand records and deaths on
# the endpoint, which no library's version changes.
HUNDRED_THOUSAND := test_a_hundred_thousand_records_at_20_x_4_lose_none_and_the_endpoint_sleeps_again
OLDEST_PYTHON ?= $(PYTHON)
OLDEST := .venv/oldest-$(notdir $(OLDEST_PYTHON))

OF_OLDEST := $(addprefix tests/, steps pipelines runs session cli container_check serving)

test-oldest: $(OLDEST)/installed
	@$(OLDEST)/bin/python -m pytest $(PARALLEL) -m "not timed" --ignore tests/pipelines/test_definition.py \
	        --ignore-glob '*_in_browser.py' --ignore tests/serving/test_bulk_killed.py \
	        --deselect tests/serving/test_bulk_submit.py::$(HUNDRED_THOUSAND) $(OF_OLDEST)
	@$(OLDEST)/bin/python -m pytest $(PARALLEL) -m timed $(call TIMED,$(OF_OLDEST))

check: .venv/dev.installed
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# The account's template with a security linter, whose pins are not those of the development environment. It asks nobody.
CHECKOV := .venv/checkov

test-template: .venv/dev.installed $(CHECKOV)/installed
	@$(BIN)/cfn-lint infra/batchcast.yaml
	@$(CHECKOV)/bin/checkov --quiet --compact --skip-download --framework cloudformation --file infra/batchcast.yaml

# Changes one operator, constant or comparison at a time in five modules that decide, and wants the tests to notice.
mutants: .venv/dev.installed
	@$(BIN)/python tests/mutation/mutants.py

# Takes one numbered behaviour of the engine away at a time, and wants its own tests to fail.
behaviours: .venv/dev.installed
	@$(BIN)/python tests/mutation/behaviours.py

# More of what the suite does a little of: N killed runs, 2,000 reads of a server that breaks off, and MINUTES of
# damaged input. A failure prints its seed, and SEED=… repeats it.
N ?= 100
MINUTES ?= 10

kills: .venv/dev.installed
	@BATCHCAST_KILLED_RUNS=$(N) BATCHCAST_KILL_SEED=$(SEED) BATCHCAST_READS=2000 $(BIN)/python -m pytest -rP \
	        -p no:randomly tests/end_to_end/test_killed_runs.py tests/end_to_end/test_readers_on_breaking_s3.py

fuzz: .venv/dev.installed
	@BATCHCAST_FUZZ_MINUTES=$(MINUTES) BATCHCAST_FUZZ_SEED=$(SEED) $(BIN)/python -m pytest -rP -p no:randomly \
	        tests/steps/test_fuzz.py tests/runs/test_fuzz_stored.py

# What every part costs by the size of its work, beside pandas, polars and duckdb in an environment of their own, with
# 5 GB of disk: half an hour, or SIZE=small within minutes. `bench-check` fails where it is worse than what is committed.
SIZE ?= full

bench: .venv/dev.installed benchmarks/.venv/installed conformance/spark/.venv/installed
	@$(BIN)/python benchmarks/suite.py --size $(SIZE)

bench-check: .venv/dev.installed benchmarks/.venv/installed conformance/spark/.venv/installed
	@$(BIN)/python benchmarks/suite.py --size $(SIZE) --check

# What is generated: the compiled pipelines, the engine's part of the service model and the reference pages.
definition: .venv/dev.installed
	@$(BIN)/python -m batchcast.pipelines.definition
	@PYTHONPATH=. $(BIN)/python tests/fixtures/engine_model.py

docs: .venv/dev.installed
	@$(BIN)/python docs/generate.py

# The documentation as a site in build/site. Its builder has no place among the tools that test the product; told to be
# quiet it would count no warning.
SITE := .venv/site

site: $(SITE)/installed
	@NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build --strict

# The pictures of docs/images that show pages, after a run whose report they show, and a run's recording. Look at them.
screenshots: .venv/dev.installed site run
	@$(BIN)/python docs/screenshots.py
	@$(BIN)/python docs/recording.py

lock: .venv/uv.installed
	@$(BIN)/uv pip compile $(LOCK) pyproject.toml --extra sample --extra plot --group dev --output-file locks/dev.lock
	@$(BIN)/uv pip compile $(LOCK) pyproject.toml --extra sample --extra plot --constraint locks/dev.lock \
	        --output-file locks/run.lock
	@$(BIN)/uv pip compile $(LOCK) pyproject.toml --extra plot --group test --resolution lowest-direct \
	        --output-file locks/oldest.lock
	@echo uv | $(BIN)/uv pip compile $(LOCK) - --output-file locks/uv-tool.lock
	@for each in checkov mkdocs-material; do echo $$each | $(BIN)/uv pip compile $(LOCK) - --output-file locks/$$each.lock; done
	@for each in $(CONFORMANCE); do $(BIN)/uv pip compile $(LOCK) $$each/requirements.in \
	        $$(test -e $$each/overrides.txt && echo --override $$each/overrides.txt) \
	        --output-file $$each/requirements.lock; done
	@$(BIN)/uv pip compile $(LOCK) benchmarks/requirements.in --constraint locks/dev.lock \
	        --output-file benchmarks/requirements.lock

LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

# uv installs in seconds what takes pip minutes; where a mirror is known to pip alone, pip does it. A lock is complete.
INSTALL = $(BIN)/uv pip install --quiet --python $(2)/python --no-deps --require-hashes -r $(1) \
          || $(BIN)/python -m pip --python $(2)/python install --quiet --no-deps --require-hashes -r $(1)

.venv/uv.installed: locks/uv-tool.lock
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/uv-tool.lock
	@touch $@

.venv/run.installed: locks/run.lock .venv/uv.installed
	@$(call INSTALL,locks/run.lock,$(BIN))
	@touch $@

.venv/dev.installed: locks/dev.lock .venv/uv.installed
	@$(call INSTALL,locks/dev.lock,$(BIN))
	@touch $@

# An environment of its own for the first prerequisite, a lock; a pip in each of them would cost more than most locks.
define ENVIRONMENT
@$(PYTHON) -m venv --clear --without-pip $(@D)
@$(call INSTALL,$<,$(@D)/bin)
@touch $@
endef

$(OLDEST)/installed: private PYTHON := $(OLDEST_PYTHON)
$(OLDEST)/installed: locks/oldest.lock .venv/uv.installed
	$(ENVIRONMENT)

$(WHEEL)/installed: locks/run.lock .venv/uv.installed
	$(ENVIRONMENT)

$(CHECKOV)/installed: locks/checkov.lock .venv/uv.installed
	$(ENVIRONMENT)

$(SITE)/installed: locks/mkdocs-material.lock .venv/uv.installed
	$(ENVIRONMENT)

conformance/%/.venv/installed: conformance/%/requirements.lock .venv/uv.installed
	$(ENVIRONMENT)

benchmarks/.venv/installed: benchmarks/requirements.lock .venv/uv.installed
	$(ENVIRONMENT)

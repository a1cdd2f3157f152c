# Everything sets up what it needs: git, make and Python 3.11+ are enough.
# make demo | test | chaos | serve | loadtest | overload | many-models | bench | bench-tracking
#      bench-tracking-large | bench-start | interop | interop-scoring | setup | interop-env
#      peers-env | lock | format | clean

SHELL := /bin/sh
PYTHON ?= $(shell for p in python3.12 python3.13 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && \
	$$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && \
	echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
MLFLOW := .venvs/mlflow
MLFLOW2 := .venvs/mlflow2
TRITON := .venvs/triton
PEERS := bentoml litserve mlserver
BOOT := $(VENV)/.boot
COMPILE := $(BOOT)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --quiet

.PHONY: setup interop-env peers-env interop interop-scoring demo test chaos check serve loadtest \
	overload many-models bench bench-tracking bench-tracking-large bench-start lock format clean

setup: $(READY)

$(BOOT)/bin/uv: requirements/uv.txt
	@test -n "$(PYTHON)" || { echo "Stagedoor needs Python 3.11, 3.12 or 3.13 with venv."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PYTHON) -m venv $(BOOT)
	$(BOOT)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(READY): $(BOOT)/bin/uv requirements/dev.txt pyproject.toml
	$(BOOT)/bin/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt
	$(BOOT)/bin/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

# The real mlflow (3.x and 2.x) and tritonclient, in environments of their own: their needs never
# bend our lock.
interop-env: $(MLFLOW)/.ready $(MLFLOW2)/.ready $(TRITON)/.ready

$(MLFLOW)/.ready: $(BOOT)/bin/uv requirements/interop.txt
	$(BOOT)/bin/uv venv --quiet --allow-existing --python $(BIN)/python $(MLFLOW)
	$(BOOT)/bin/uv pip sync --quiet --python $(MLFLOW)/bin/python --require-hashes requirements/interop.txt
	@touch $@

$(MLFLOW2)/.ready: $(BOOT)/bin/uv requirements/interop2.txt
	$(BOOT)/bin/uv venv --quiet --allow-existing --python $(BIN)/python $(MLFLOW2)
	$(BOOT)/bin/uv pip sync --quiet --python $(MLFLOW2)/bin/python --require-hashes requirements/interop2.txt
	@touch $@

$(TRITON)/.ready: $(BOOT)/bin/uv requirements/triton.txt
	$(BOOT)/bin/uv venv --quiet --allow-existing --python $(BIN)/python $(TRITON)
	$(BOOT)/bin/uv pip sync --quiet --python $(TRITON)/bin/python --require-hashes requirements/triton.txt
	@touch $@

# Other servers, to be compared with: each in an environment of its own.
peers-env: $(MLFLOW)/.ready $(PEERS:%=.venvs/%/.ready)

$(PEERS:%=.venvs/%/.ready): .venvs/%/.ready: $(BOOT)/bin/uv requirements/peers/%.txt
	$(BOOT)/bin/uv venv --quiet --allow-existing --python $(BIN)/python .venvs/$*
	$(BOOT)/bin/uv pip sync --quiet --python .venvs/$*/bin/python --require-hashes requirements/peers/$*.txt
	@touch $@

# Trains two models, serves them, splits the traffic, promotes under load. ONCE=1 ends it after.
demo: setup
	$(BIN)/stagedoor demo $(if $(ONCE),--once)

# All checks. Each of them also runs alone from .venv/bin. Three processes keep two cores busy, as
# tests wait as much as they compute; files of long tests begin first (tests/conftest.py).
test: check interop-env
	$(BIN)/pytest -n $(or $(JOBS),3) --dist loadfile --no-loadscope-reorder

# What takes minutes: kills, races, large files, full disks. ARGS="--only kills --loops 5 --seed 1".
chaos: setup
	$(BIN)/python -m tests.chaos.run $(ARGS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Asks a real `mlflow models serve`, and a server of ours, the same requests; keeps what it answers.
interop-scoring: setup interop-env
	$(BIN)/python -m tests.interop.record_scoring
	$(BIN)/pytest tests/interop/test_scoring.py

serve: setup
	$(BIN)/stagedoor server

# Three locust scenarios with a verdict and an HTML report; UI=1 opens locust's own page.
loadtest: setup
	$(BIN)/python -m loadtests.run $(if $(UI),--ui) $(ARGS)

# MLflow's own server and ours are asked the same, and answers compared field by field.
interop: setup interop-env
	$(BIN)/python -m tests.interop.compare $(ARGS)

# Predict beside a bare uvicorn floor and other servers; half an hour. ARGS=--quick leaves those out.
bench: setup peers-env
	$(BIN)/python -m loadtests.bench $(ARGS)

# Ten times what a model can answer, for a minute: what was promised, and what held.
overload: setup
	$(BIN)/python -m loadtests.overload $(ARGS)

# Tracking beside MLflow's own server, on the same data: ratios.
bench-tracking: setup interop-env
	$(BIN)/python -m loadtests.tracking_bench $(ARGS)

# The same, of ours alone, with ten million points.
bench-tracking-large: setup
	$(BIN)/python -m loadtests.tracking_large $(ARGS)

# How long a server takes to its first answer, in seconds and in CPU.
bench-start: setup
	$(BIN)/python -m loadtests.start_bench $(ARGS)

# A thousand models in Production, a hundred of them hot; ARGS="--models 100 --preload all".
many-models: setup
	$(BIN)/python -m loadtests.many_models $(ARGS)

lock: $(BOOT)/bin/uv
	$(COMPILE) --extra server --extra sklearn --extra compiled --extra postgres pyproject.toml -o requirements/server.txt
	$(COMPILE) --extra server --extra sklearn --extra postgres --extra arrow --extra grpc --extra otel --group pyproject.toml:dev pyproject.toml -o requirements/dev.txt
	$(COMPILE) requirements/uv.in -o requirements/uv.txt
	$(COMPILE) requirements/build.in -o requirements/build.txt
	$(COMPILE) requirements/interop.in -o requirements/interop.txt
	$(COMPILE) requirements/interop2.in -o requirements/interop2.txt
	$(COMPILE) requirements/triton.in -o requirements/triton.txt
	for peer in $(PEERS); do \
		$(COMPILE) requirements/peers/$$peer.in -o requirements/peers/$$peer.txt || exit 1; done

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .venvs .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist *.egg-info

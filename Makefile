# make demo   from a synthetic raw log to a trained and evaluated model
# make test   every check that .ci/run runs
# make pictures  the README's pictures of the pages that make demo wrote (wants Chromium)
# make docs   the documentation as a searchable site in build/docs
# make chaos  a long training under random faults, compared with an undisturbed one (a quarter of an hour)
# make bench  every figure beside its target, in one table (20 minutes; make bench QUICK=1: only whether all runs)
# make bench-peers  training against TorchRec's kernels and Keras on the same data (10 minutes; 2.4 GB, once)
# make test-gpu, bench-gpu  the towers on a GPU: equal to the CPU, and how fast (on a machine with one; minutes)
# make test-k8s  jobs for real in the cluster that KUBECONFIG points to (half an hour)
# All make .venv first (minutes, once). make PYTHON=/path/to/python3.11 names a Python that is not on PATH.

SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
export PYTHON

bin := .venv/bin
DIR ?= demo

.PHONY: help setup demo test pictures docs test-gpu bench-gpu test-k8s slow chaos bench bench-peers format doctor

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

setup:
	@sh launcher/setup/environment.sh

demo: setup
	@$(bin)/esmm demo $(DIR)

test: setup
	@sh launcher/setup/checks.sh

pictures: setup
	@$(bin)/python -m tests.support.readme_pictures $(DIR) esmm_dist/report/examples

docs: setup
	@sh launcher/setup/docs/build.sh

slow: setup
	@$(bin)/python -m pytest -m slow

chaos: setup
	@$(bin)/python -m tests.integration.chaos

bench: setup
	@$(bin)/python -m tests.benchmarks.bench $(if $(QUICK),--quick)

bench-peers: setup
	@sh tests/benchmarks/peers/environment.sh
	@$(bin)/python -m tests.benchmarks.peers.compare $(if $(QUICK),--quick)

test-gpu: setup
	@$(bin)/python -m pytest -m gpu -q -rs tests/gpu

bench-gpu: setup
	@$(bin)/python -m tests.benchmarks.gpu_speed

test-k8s: setup
	@$(bin)/python -m pytest -m k8s -s -q tests/k8s

format: setup
	@$(bin)/ruff check --fix --quiet
	@$(bin)/ruff format --quiet

doctor: setup
	@$(bin)/esmm doctor

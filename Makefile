# Five words: demo, test, check, bench, docs. Each installs what it needs; nothing else is required on day one than
# Python >= 3.11, a Rust toolchain, a JDK 17 and make.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

VENV   := .venv
PYTHON := $(VENV)/bin/python
CORE   := python/signal_stream/_core.abi3.so
WIRE   := python/signal_stream/wire/signals_pb2.py
TARGET := $(or $(CARGO_TARGET_DIR),target)
TAPE   ?=
OUT    ?= out/demo

export UV_PROJECT_ENVIRONMENT := $(VENV)
# Where it is set (many containers), every start of Python compiles all that it imports: tests start it thousands of times.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test check bench docs clean build wasm dot watchers chromium broker

help:  ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

# uv makes the environment: the one on PATH, else one from the package index in a venv of its own.
UV = $$(command -v uv || echo $(VENV)-uv/bin/uv)

$(VENV)/.installed: pyproject.toml uv.lock
	@command -v uv >/dev/null || test -x $(VENV)-uv/bin/uv || { python3 -m venv $(VENV)-uv && $(VENV)-uv/bin/pip install -q uv; }
	$(UV) sync --quiet --locked --no-install-project --all-extras
	@# The package is used where it stands; `signal-stream` is on the environment's path.
	@echo "$(CURDIR)/python" > $$($(PYTHON) -c 'import site; print(site.getsitepackages()[0])')/signal_stream_here.pth
	@printf '#!%s\nfrom signal_stream.__main__ import main\n\nmain()\n' "$(CURDIR)/$(PYTHON)" > $(VENV)/bin/signal-stream
	@chmod +x $(VENV)/bin/signal-stream
	@touch $@

# csp, beside which some figures are taken, wants an older Arrow than ours.
BENCH := $(VENV)-bench

$(BENCH)/.installed: pyproject.toml uv.lock $(VENV)/.installed
	UV_PROJECT_ENVIRONMENT=$(BENCH) $(UV) sync --quiet --locked --no-install-project --no-default-groups --group bench --extra calendars
	@echo "$(CURDIR)/python" > $$($(BENCH)/bin/python -c 'import site; print(site.getsitepackages()[0])')/signal_stream_here.pth
	@touch $@

$(CORE): $(shell find crates -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock
	cargo build --release --locked -p signal-py $(if $(CORE_FEATURES),--features $(CORE_FEATURES))
	@cp $(TARGET)/release/lib_core.so $@.$$$$ && mv $@.$$$$ $@

# Messages of the gRPC services, with their types: made from proto/, not committed.
$(WIRE): proto/signal_stream/v1/signals.proto $(VENV)/.installed
	@$(PYTHON) -m grpc_tools.protoc -I signal_stream/wire=$(<D) --python_out=python --pyi_out=python signal_stream/wire/$(<F)
	@touch $@

build: $(VENV)/.installed $(CORE) $(WIRE)

# What WASM modules are made of (ADR 34). rustup has the target where its servers are reached; else Debian's compiler for the web
# builds the standard library too, of which only the library's sources are unpacked.
WASM        := python/signal_stream/_runtime.wasm
WASM_TARGET := wasm32-unknown-unknown

wasm: $(WASM)

$(WASM): $(shell find crates/wasm crates/runtime/src crates/kernels/src -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock
	@if rustup target list --installed 2>/dev/null | grep -q $(WASM_TARGET) || timeout 20 rustup -q target add $(WASM_TARGET); then \
		cargo build --release --locked -p signal-wasm --target $(WASM_TARGET); \
	else \
		command -v wasm-ld >/dev/null && test -d /usr/lib/rustlib/src/rust/library || $(WEB_RUST) || { $(SUDO) apt-get update -q && $(WEB_RUST); }; \
		RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld /usr/bin/cargo build --release --locked \
			-p signal-wasm --target $(WASM_TARGET) -Zbuild-std=std,panic_abort --target-dir $(TARGET)/web; \
	fi
	@cp $$(ls -t $(TARGET)/web/$(WASM_TARGET)/release/signal_wasm.wasm $(TARGET)/$(WASM_TARGET)/release/signal_wasm.wasm 2>/dev/null | head -1) $@

# Graphviz draws `explain --svg`; a test draws every kind of graph with it.
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
APT  := $(SUDO) apt-get install -y -q --no-install-recommends
WEB_RUST = $(APT) -o 'Dpkg::Options::=--path-exclude=/usr/src/rustc-*/*' -o 'Dpkg::Options::=--path-include=/usr/src/rustc-*/library/*' \
	rustc-web cargo-web rust-web-src lld

dot:
	@command -v dot >/dev/null || $(APT) graphviz || { $(SUDO) apt-get update -q && $(APT) graphviz; }

# Tests run every panel's query and every alert against these two. The services that come with the packages are not needed.
watchers:
	@command -v promtool >/dev/null && command -v amtool >/dev/null || $(APT) prometheus prometheus-alertmanager || \
		{ $(SUDO) apt-get update -q && $(APT) prometheus prometheus-alertmanager; }

# A test runs examples/wasm in a browser.
chromium:
	@command -v chromium >/dev/null || $(APT) chromium || { $(SUDO) apt-get update -q && $(APT) chromium; }

# The Kafka broker of tests and benches: its jars, by Maven. Nothing of it ships.
BROKER := .broker

$(BROKER)/.installed: tests/broker/pom.xml
	@command -v mvn >/dev/null || $(APT) maven || { $(SUDO) apt-get update -q && $(APT) maven; }
	mvn -q -B -f $< dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/$(BROKER) -DincludeScope=runtime
	@touch $@

broker: $(BROKER)/.installed

demo: build  ## the whole line on real data or the simulator: make demo [TAPE=capture.gz]
	$(PYTHON) -m signal_stream demo $(if $(TAPE),--tape $(TAPE)) --out $(OUT)

test: build wasm dot watchers chromium broker  ## every test, real servers included
	cargo test --release --locked --workspace
	@# Formulas have the bits of any x86-64 where the compiler may use all that this processor has.
	RUSTFLAGS="-C target-cpu=native" cargo test --release --locked -p signal-runtime --test portable --target-dir $(TARGET)/native
	@# Many tests run real servers and processes against clocks. What fails in the crowd is run once more alone, and named: a
	@# busy machine fails once, a fault fails twice.
	$(PYTHON) -m pytest -n 3 --dist loadfile --no-loadscope-reorder --durations=30 || { test $$? = 1 && echo "FAILED IN THE CROWD, RUN AGAIN ALONE:" && \
		$(PYTHON) -m pytest --last-failed --last-failed-no-failures=none -v; }

check: build dot  ## style, types, layers, stubs, public names
	cargo fmt --check
	rustfmt --check --edition 2024 $(filter-out %/venues/mod.rs,$(wildcard crates/ingest/src/venues/*.rs crates/ingest/src/venues/*/mod.rs))  # named by a macro
	cargo clippy --release --locked --workspace --all-targets -- -D warnings
	$(VENV)/bin/ruff check python tests benches
	$(VENV)/bin/ruff format --check python tests benches
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PYTHON) -m pytest -q $(patsubst %,tests/contract/test_%.py,core_stub public_names crate_layers module_cycles errors words help operator_methods docs)

bench: build broker $(BENCH)/.installed  ## figures as ratios against named peers and floors in one run
	$(PYTHON) -m benches

docs: build  ## methods of operators and the pages under docs/ that are made from the code
	$(PYTHON) -m docs.methods
	$(PYTHON) -m docs.build

clean:
	rm -rf $(VENV) $(BENCH) $(VENV)-uv $(BROKER) $(CORE) $(WIRE) $(WIRE)i $(WASM) target out state benches/out

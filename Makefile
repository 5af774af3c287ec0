# Thin targets over cargo and scripts/. `make help` lists them.

# The Envoy versions that e2e runs on: the first with all tests, the others with those of E2E_OTHERS.
ENVOY_VERSIONS := 1.40.0 1.39.3 1.36.2
ENVOY_VERSION ?= $(firstword $(ENVOY_VERSIONS))
# The modules of testbed/tests/e2e that test what Envoy does for the filter. The others test what this project does
# around it, which is the same with every Envoy: the testbed itself, the mocked host, `patch`.
E2E_OTHERS := cases closed destination examples native operator reload security
FUZZ_SECONDS ?= 20
FUZZ_TARGETS := config cluster_name

# One set of packages for all tests. Cargo unites the features of the packages that it is given, so that another
# set would compile most dependencies again. The benchmark has no tests, and much to compile.
CARGO_TEST := cargo test --workspace --exclude ingress-waypoint-bench
CARGO_DIR := $(or $(CARGO_TARGET_DIR),target)

export ENVOY_VERSION
ifneq ($(ENVOY_PATH),)
# Absolute, as tests run in the folder of their package.
override ENVOY_PATH := $(abspath $(ENVOY_PATH))
export ENVOY_PATH
endif

WASM := dist/ingress_waypoint.wasm
# As cargo builds it, with every export; a copy, as the folder depends on the toolchain.
WASM_UNSTRIPPED := target/ingress_waypoint.wasm
WASM_MAX_KIB := 265
# The module's name in Envoy's configurations is ingress_waypoint.
MODULE_SO := dist/libingress_waypoint.so
# What Envoy needs, and the callbacks in which the filter or the SDK does something. Envoy calls whatever else
# is exported, for nothing.
WASM_EXPORTS := memory _initialize proxy_abi_version_0_2_1 proxy_on_memory_allocate \
	proxy_on_context_create proxy_on_configure proxy_on_tick proxy_on_request_headers proxy_on_delete

heading = printf '\n=== %s\n' '$(1)'

.PHONY: help wasm module cli run demo live live-demo bench bench-compile bench-state bench-controller test unit asan wasm-test e2e docs figures stress fuzz conformance conformance-api-server conformance-istiod conformance-istio conformance-envoy-gateway conformance-func-e lint fmt clean FORCE
.DELETE_ON_ERROR:

help: ## this list (default)
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | \
		while IFS='|' read -r target text; do printf '%-31s %s\n' "$$target" "$$text"; done
	@echo
	@echo 'Variables:'
	@echo '  ENVOY_PATH=…     an Envoy of your own, instead of the one that is downloaded'
	@echo '  ENVOY_VERSION=…  the Envoy that `make run` downloads: $(ENVOY_VERSIONS) (default $(ENVOY_VERSION))'
	@echo '  MODULE=1         `make run` takes the native module instead of the wasm filter'
	@echo '  LIVE=1           `make run` shows the controller on an API server: a real one if there is Go to build it, or else a stand-in'
	@echo '  KUBEBUILDER_ASSETS=…  a folder with kube-apiserver and etcd, instead of those that are built'
	@echo '  KEEP=1           `make run` keeps Envoy running until Ctrl-C'
	@echo '  QUICK=1          `make bench` takes fewer rounds and sizes'
	@echo '  SERVICES=…, UPDATES=…  how much `make bench-controller` measures (default 100000, 1000)'
	@echo '  CASES=…, SEED=…  how many random sets of objects `make conformance-istiod` compares, and which (default 280, 1)'
	@echo '  FUZZ_SECONDS=…   how long each fuzz target runs (default $(FUZZ_SECONDS))'

wasm: $(WASM) ## build the filter: dist/ingress_waypoint.wasm

module: FORCE ## build the native module: dist/libingress_waypoint.so
	@cargo build -q --profile module -p ingress-waypoint-module
	@mkdir -p dist
	@built=$(CARGO_DIR)/module/libingress_waypoint_module.so; \
		cmp -s "$$built" $(MODULE_SO) || { cp "$$built" $(MODULE_SO).new && mv $(MODULE_SO).new $(MODULE_SO); }

cli: FORCE ## build the command line: dist/ingress-waypoint
	@cargo build -q --profile cli -p ingress-waypoint-cli
	@mkdir -p dist
	@cmp -s $(CARGO_DIR)/cli/ingress-waypoint dist/ingress-waypoint || cp $(CARGO_DIR)/cli/ingress-waypoint dist/

run: ## show the filter in a real Envoy (MODULE=1: the native module; LIVE=1: with the controller)
	@$(if $(LIVE),scripts/install-kube --optional)
	@scripts/install-envoy $(ENVOY_VERSION) & installing=$$!; \
		$(MAKE) --no-print-directory $(DEMO) && wait $$installing
	@$(CARGO_DIR)/debug/$(DEMO) $(if $(MODULE),--module) $(if $(KEEP),--keep)

# Without optimization, and without what only tests need: most of the time of `make run` is the compiler's.
DEMO := $(if $(LIVE),live-demo,demo)
demo: $(if $(MODULE),module,wasm)
	@cargo build -q -p ingress-waypoint-cli --bin ingress-waypoint \
		-p ingress-waypoint-testbed --bin demo --no-default-features

# The controller serves the wasm filter, whichever form the gateway has.
live-demo: wasm $(if $(MODULE),module)
	@cargo build -q -p ingress-waypoint-cli --bin ingress-waypoint \
		-p ingress-waypoint-testbed --bin live-demo --no-default-features \
		--features ingress-waypoint-cli/controller,ingress-waypoint-testbed/live

bench: wasm module ## what the filter costs on a real Envoy, beside other ways (QUICK=1: in minutes)
	@scripts/install-envoy $(ENVOY_VERSION)
	@scripts/need h2load nghttp2-client
	@scripts/need taskset util-linux
	@cargo run -q --profile cli -p ingress-waypoint-bench -- $(if $(QUICK),--quick)

bench-compile: cli ## time and memory of compiling 100,000 services, per form of dump
	@for form in list documents json; do \
		cargo run -q -p ingress-waypoint-cli --example scale -- $$form || exit 1; \
	done

bench-state: ## time and memory of following a mesh of 100,000 services
	@cargo bench -q -p ingress-waypoint-mesh --bench state

bench-controller: wasm module ## the controller from the API server to a request (SERVICES=…, UPDATES=…)
	@scripts/install-kube
	@scripts/install-envoy $(ENVOY_VERSION)
	@cargo build -q --profile cli -p ingress-waypoint-cli -p ingress-waypoint-bench --bins
	@$(CARGO_DIR)/cli/bench controller $(if $(SERVICES),--services $(SERVICES)) $(if $(UPDATES),--updates $(UPDATES))

test: ## unit, asan, wasm-test, e2e, docs, figures and fuzz, in this order
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory asan
	@$(MAKE) --no-print-directory wasm-test
	@$(MAKE) --no-print-directory e2e
	@$(MAKE) --no-print-directory docs
	@$(MAKE) --no-print-directory figures
	@$(MAKE) --no-print-directory fuzz

unit: ## tests of the core and the tools, natively
	@$(call heading,unit tests)
	@$(CARGO_TEST)

# A stable toolchain has the sanitizer's runtime; its flag alone counts as unstable. Only the target's own
# code is instrumented, so that the target has to be named.
ASAN_TARGET = $(shell rustc -vV | sed -n 's/^host: //p')
asan: ## the tests of the native module under the address sanitizer
	@$(call heading,the native module under the address sanitizer)
	@if [ -e "$$(rustc --print sysroot)/lib/rustlib/$(ASAN_TARGET)/lib/librustc-stable_rt.asan.a" ]; then \
		RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address cargo test -p ingress-waypoint-module \
			--target $(ASAN_TARGET) --target-dir target/asan; \
	else \
		echo 'asan: this toolchain has no runtime of the sanitizer; skipped'; \
	fi

wasm-test: ## the tests of the core again as WebAssembly, in V8
	@$(call heading,core tests as WebAssembly in V8)
	@scripts/install-wasm-bindgen-runner
	@CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER='$(CURDIR)/.tools/bin/wasm-bindgen-test-runner' \
		scripts/wasm-cargo wasm32-unknown-unknown test -p ingress-waypoint

e2e: wasm module ## tests through a real Envoy, in each of the versions supported
ifneq ($(ENVOY_PATH),)
	@$(call heading,end-to-end tests on $(ENVOY_PATH))
	@scripts/install-envoy $(ENVOY_VERSION)
	@$(CARGO_TEST) --test e2e
else
	@set -e; tests=; for version in $(ENVOY_VERSIONS); do \
		$(call heading,end-to-end tests on Envoy '"$$version"'); \
		scripts/install-envoy $$version; \
		ENVOY_VERSION=$$version $(CARGO_TEST) --test e2e -- $$tests; \
		tests='$(E2E_OTHERS:=::)'; \
	done
endif

docs: wasm module ## the commands of the README and of docs/, with a real Envoy
	@$(call heading,the commands of the documentation)
	@scripts/install-envoy $(ENVOY_VERSION)
	@$(CARGO_TEST) --test docs -- --ignored

figures: wasm ## what no machine changes of the cost, compared with bench/figures.json (UPDATE_FIGURES=1: kept)
	@$(call heading,figures that no machine changes)
	@scripts/install-valgrind
	@$(if $(UPDATE_FIGURES),UPDATE_FIGURES=1) $(CARGO_TEST) --test figures

live: wasm module ## the controller on a real API server, with a real Envoy (LIVE_SOAK_SECONDS=…: random changes)
	@$(call heading,the controller on an API server)
	@scripts/install-kube
	@scripts/install-envoy $(ENVOY_VERSION)
	@cargo build -q --workspace --exclude ingress-waypoint-bench --bin ingress-waypoint
	@$(CARGO_TEST) --test live

# Each part takes the versions that its go.mod pins.
CONFORMANCE := api-server istiod istio envoy-gateway func-e
conformance: ## tests on real control planes, one part after the other: conformance-PART
	@for part in $(CONFORMANCE); do \
		begin=$$(date +%s); \
		$(MAKE) --no-print-directory conformance-$$part || exit 1; \
		echo "conformance: $$part took $$(($$(date +%s) - begin)) s"; \
	done

conformance-api-server: ## the command line on a real API server, with the real definitions of all kinds
	@$(call heading,the command line on an API server)
	@scripts/install-kube kubectl
	@scripts/install-crds
	@cargo build -q --workspace --exclude ingress-waypoint-bench --bin ingress-waypoint
	@$(CARGO_TEST) --test api-server

conformance-istio: wasm module ## what is written for Istio's gateways, delivered by istiod to a real Envoy
	@$(call heading,delivered by istiod)
	@scripts/install-kube
	@scripts/install-crds
	@scripts/install-go-tool istiod istio.io/istio/pilot/cmd/pilot-discovery PILOT_DISCOVERY
	@scripts/install-envoy $(ENVOY_VERSION)
	@cargo build -q --workspace --exclude ingress-waypoint-bench --bin ingress-waypoint
	@$(CARGO_TEST) --test istio --no-run
	@scripts/in-network $(CARGO_TEST) --offline --test istio

conformance-envoy-gateway: wasm module ## the controller at Envoy Gateway, and what is written for it, with a real Envoy
	@$(call heading,delivered by Envoy Gateway)
	@scripts/install-kube
	@scripts/install-crds
	@scripts/install-go-tool envoy-gateway github.com/envoyproxy/gateway/cmd/envoy-gateway ENVOY_GATEWAY
	@scripts/install-envoy $(ENVOY_VERSION)
	@cargo build -q --workspace --exclude ingress-waypoint-bench --bin ingress-waypoint
	@$(CARGO_TEST) --test envoy-gateway --no-run
	@scripts/in-network $(CARGO_TEST) --offline --test envoy-gateway

conformance-func-e: wasm module ## the examples and the shared cases, with an Envoy that func-e runs
	@$(call heading,the examples with func-e)
	@scripts/install-envoy $(ENVOY_VERSION)
	@scripts/install-func-e $(ENVOY_VERSION)
	@ENVOY_PATH='$(CURDIR)/.tools/func-e/envoy' $(CARGO_TEST) --test e2e -- examples:: cases::

conformance-istiod: ## decisions beside istiod's, for fixtures and random objects (CASES=…, SEED=…)
	@$(call heading,decisions beside those of istiod)
	@scripts/install-istiod
	@$(CARGO_TEST) --test istiod -- --nocapture

stress: module ## a hundred swaps of 100,000 services under load, in a real Envoy (takes minutes)
	@scripts/install-envoy $(ENVOY_VERSION)
	@$(CARGO_TEST) --test e2e -- stress:: --ignored --nocapture

# Without sanitizers, for which there is little to find: the core has no unsafe code.
# New inputs go to fuzz/corpus, which git ignores; the seeds are only read.
fuzz: ## fuzz the config and the cluster names side by side, for FUZZ_SECONDS
	@$(call heading,fuzzing for $(FUZZ_SECONDS) s)
	@scripts/need c++ g++
	@cd fuzz && cargo build -q --release --bins
	@$(MAKE) --no-print-directory -j $(FUZZ_TARGETS:%=fuzz-%)

fuzz-%:
	@mkdir -p fuzz/corpus/$* fuzz/artifacts/$*
	@cd fuzz && cargo run -q --release --bin $* -- corpus/$* ../testdata/fuzz/$* -artifact_prefix=artifacts/$*/ \
		-max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 >artifacts/$*.log 2>&1 || \
		{ cat fuzz/artifacts/$*.log; exit 1; }
	@sed -n 's/^stat::number_of_executed_units: */$*: inputs tried, none failed: /p' fuzz/artifacts/$*.log

lint: ## formatting, clippy, rustdoc and shellcheck; warnings are errors
	@cargo fmt --all --check
	@cargo fmt --check --manifest-path fuzz/Cargo.toml
	@cargo clippy -q --workspace --all-targets -- -D warnings
# The proxy-wasm shell exists on this target only. Debian's toolchain has no clippy for it.
	@scripts/wasm-cargo --setup wasm32-wasip1
	@if [ "$$(scripts/wasm-cargo --way wasm32-wasip1)" = rustup ]; then \
		scripts/wasm-cargo wasm32-wasip1 clippy -q -p ingress-waypoint --lib -- -D warnings; \
	else \
		echo 'lint: no clippy for wasm32-wasip1 here; skipped'; \
	fi
# With the examples, cargo unites the features of the dependencies as for clippy, and does not check them again.
	@RUSTDOCFLAGS=-Dwarnings cargo doc -q --workspace --no-deps --lib --bins --examples
	@if command -v shellcheck >/dev/null; then \
		shellcheck -x -P SCRIPTDIR .ci/run scripts/lib.sh scripts/install-* scripts/need scripts/wasm-cargo; \
	else \
		echo 'lint: shellcheck is not installed; skipped'; \
	fi

fmt: ## format the sources
	@cargo fmt --all
	@cargo fmt --manifest-path fuzz/Cargo.toml

clean: ## remove what was built; the downloads in .tools stay
	@rm -rf target dist fuzz/target fuzz/corpus fuzz/artifacts

# cargo knows best whether there is anything to build; the copy only changes when the module does.
$(WASM_UNSTRIPPED): FORCE
	@scripts/wasm-cargo wasm32-wasip1 build -q --release --lib
	@built="$$(scripts/wasm-cargo --target-dir wasm32-wasip1)/wasm32-wasip1/release/ingress_waypoint.wasm"; \
		cmp -s "$$built" $@ || cp "$$built" $@

$(WASM): $(WASM_UNSTRIPPED) tools/strip-exports/src/main.rs Makefile
	@mkdir -p $(@D)
	@cargo run -q -p strip-exports -- $< $@ $(WASM_EXPORTS)
	@test $$(wc -c <$@) -le $$(($(WASM_MAX_KIB) * 1024)) || \
		{ echo '$@ is larger than $(WASM_MAX_KIB) KiB' >&2; exit 1; }

# The commands of this project. `make` alone lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CRDS := crds/hydra.ory.sh.yaml
# Pages of docs/ that the subcommands of their names write.
PAGES := metrics reasons
REFERENCE := oauth2client jsonwebkeyset cli

.PHONY: help
help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Show a client and its keys come to life, on real servers (KEEP=1 keeps them up)
	@tests/servers/build etcd kubernetes kubectl hydra2 >/dev/null
	@cargo build --locked --example demo --bins
	@cargo run --locked --quiet --example demo -- $(if $(KEEP),--keep)

.PHONY: test
test: ## Run all tests, on real servers, which are built once
	@tests/run

# The variables that make it shorter are in tests/bench/options.rs: BENCH_CLIENTS=100 BENCH_RESTART=100 make bench
BENCH_OUTPUT ?= docs/benchmarks.md

.PHONY: bench
bench: ## Measure the operator against the limit of the servers, write docs/benchmarks.md (BENCH_OUTPUT)
	@tests/servers/build etcd kubernetes hydra2 >/dev/null
	@cargo build --release --locked --bins --example bench
	@target/release/examples/bench --date="$$(date -u +%F)" --output='$(BENCH_OUTPUT)'

# What needs a tool that not everybody has is left out visibly.
.PHONY: lint
lint: ## Check format, lints, documentation, licences and scripts
	cargo fmt --all --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps
	@if command -v cargo-deny >/dev/null; then \
	  echo 'cargo deny check bans licenses sources'; \
	  cargo deny --locked check bans licenses sources; \
	else \
	  echo 'NOT CHECKED: bans, licences and sources of dependencies (cargo-deny is not installed)'; \
	fi
	@if command -v shellcheck >/dev/null; then \
	  echo 'shellcheck (all scripts)'; \
	  git grep --name-only -z -E '^#!/(usr/bin/env bash|bin/(ba)?sh)$$' | xargs -0 shellcheck; \
	else \
	  echo 'NOT CHECKED: shell scripts (shellcheck is not installed)'; \
	fi

# With copies, because Helm and kustomize read no file outside of their folders.
.PHONY: crds
crds: ## Write the custom resource definitions from the Rust types to crds/, chart and deploy/
	@crds=$$(cargo run --locked --quiet -- crds); printf '%s\n' "$$crds" | tee deploy/crds/$(notdir $(CRDS)) \
	  charts/hydra-operator/files/crds.yaml > $(CRDS)

.PHONY: check-crds
check-crds: # Fails when crds/ is not what the Rust types say.
	@cargo run --locked --quiet -- crds | diff -u $(CRDS) - || \
	  { echo '$(CRDS) is out of date: run `make crds` and commit the result' >&2; exit 1; }

.PHONY: docs
docs: ## Write the generated pages of docs/: metrics, reasons, reference
	@for page in $(PAGES) $(REFERENCE:%=reference/%); do \
	  text=$$(cargo run --locked --quiet -- $${page/\// }); printf '%s\n' "$$text" > docs/$$page.md; \
	done

.PHONY: check-docs
check-docs: # Fails when a generated page of docs/ is not what the code says.
	@for page in $(PAGES) $(REFERENCE:%=reference/%); do \
	  cargo run --locked --quiet -- $${page/\// } | diff -u docs/$$page.md - || \
	  { echo "docs/$$page.md is out of date: run \`make docs\` and commit the result" >&2; exit 1; }; done

# A test of the target `chart` says when they are out of date.
.PHONY: chart
chart: ## Write the chart's schema and README, and deploy/, from the values and templates
	@tests/servers/build helm >/dev/null
	@CHART_WRITE=1 cargo test --locked --quiet --test chart -- --exact generated::generated_files_are_up_to_date >/dev/null

# Tests of the target `gitops` say when they are out of date.
.PHONY: gitops
gitops: ## Write the files for Argo CD that are made from the scripts and from real objects
	@tests/servers/build etcd kubernetes kubectl hydra2 kstatus lua >/dev/null
	@GITOPS_WRITE=1 cargo test --locked --quiet --test gitops -- --exact argocd::the_config_map_has_the_scripts \
	  states::argo_cd_and_kstatus_agree_about_each_state >/dev/null

.PHONY: image
image: ## Make the OCI image without a container engine, in target/image (PUSH=1 IMAGE=NAME pushes it)
	@deploy/image/build

.PHONY: check-image
check-image: # Tests what `make image` has made.
	@IMAGE_LAYOUT="$$PWD/target/image" cargo test --locked --test image

.PHONY: clean
clean: ## Remove all that was built, also the servers for tests
	cargo clean
	tests/servers/build --clean

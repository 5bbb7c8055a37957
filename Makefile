# What can be done in this checkout. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# One after the other: each of them uses every core.
.NOTPARALLEL:

# Where Scripts/prepare.sh puts the Python that the tests call, if the system's lacks something.
export PATH := $(CURDIR)/.build-tools/python/bin:$(PATH)

# In several processes: while Foundation's Process starts a program it copies the list of open files, and crashes if another thread
# opens hundreds of them meanwhile, as the engine's tests do. The limit of time is for a test that hangs.
TEST_GROUPS = 'PerdureDemoTests|PerdureBenchTests' 'PerdureTests|PerdureHistoryTests|HouseTests' \
	'PerdureEngineTests|PerdureSQLiteTests|PerdureMemoryTests|PerdureTestingTests|PerdureCommandsTests|PerdurePeerTests'
RUN_GROUP = timeout 900 swift test $(TEST_OPTIONS) --skip-build --filter
# Those of PostgreSQL have a server, which is started for them.
RUN_TESTS = for group in $(TEST_GROUPS); do $(RUN_GROUP) "$$group"; done; \
	Scripts/with_postgres.py $(RUN_GROUP) PerdurePostgresTests; \
	if [ -z "$${PERDURE_CORE:-}" ]; then $(RUN_GROUP) PerdureTelemetryTests; Scripts/with_postgres.py $(RUN_GROUP) PerdureServerTests; fi

# Hundreds of engines and servers that start at once take so long each that limits of time say nothing.
export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH = 16

LINTED = Package.swift Sources Tests Examples

.PHONY: help run demo test core-test check lint strict-test release-test api browser bench swarm failures soak simulate mutants house format clean

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Build and run everything in one process: example workflows, the services they call, the HTTP API and the page, at an address to open
	@Scripts/prepare.sh build
	swift run perdure dev

demo: ## Build and run the demo: workflows whose process is killed again and again, and effects counted at the other side
	@Scripts/prepare.sh build
	swift run perdure demo

test: ## Run every test (debug)
	@Scripts/prepare.sh test
	swift build --build-tests
	$(RUN_TESTS)

core-test: TEST_OPTIONS = --scratch-path .build-core
core-test: ## Run the tests of the core alone, without HTTP server and client (debug, builds in .build-core)
	@PERDURE_CORE=1 Scripts/prepare.sh test
	PERDURE_CORE=1 swift build --build-tests $(TEST_OPTIONS)
	export PERDURE_CORE=1; $(RUN_TESTS)

check: lint strict-test ## Check the formatting and run every test, with warnings as errors
	@echo "check: everything passed"

lint: ## Check the formatting
	@Scripts/prepare.sh build
	swift format lint --strict --recursive --parallel $(LINTED)

# Warnings are errors in our own targets. The tests of the house (file sizes, layers, links, pages) are among the tests.
strict-test:
	@Scripts/prepare.sh test
	PERDURE_STRICT=1 swift build --build-tests
	export PERDURE_STRICT=1; $(RUN_TESTS)

# The order in which tasks of a run take turns must not depend on the optimiser. The other tests are not built here.
release-test: ## Run the executor's tests in a release build of the core (builds in .build-release)
	@PERDURE_CORE=1 Scripts/prepare.sh test
	PERDURE_CORE=1 PERDURE_TESTS=PerdureEngineTests \
		swift test -c release --scratch-path .build-release --filter 'PerdureEngineTests.*(Executor|TaskFirstQueue|JobTaskID|ForeignAwait|ContextMisuse|EngineThreads|Watchdog)'

api: ## Compare the HTTP API with its description by schemathesis and openapi-spec-validator
	@Scripts/prepare.sh api
	swift build --product perdure
	.build-tools/api/bin/python3 Scripts/check_api.py .build/debug/perdure

browser: ## Use the page in a real browser: stories, kills, keyboard, rules of accessibility; BROWSER="--pictures FOLDER" for pictures
	@Scripts/prepare.sh browser
	swift build --product perdure
	.build-tools/browser/bin/python3 Scripts/check_page.py .build/debug/perdure $(BROWSER)

bench: ## Measure the engine beside a hand-written program (release build of the core, in .build-release); BENCH="--only a,b" to choose
	@Scripts/prepare.sh build
	PERDURE_CORE=1 swift build -c release --scratch-path .build-release --product perdure
	.build-release/release/perdure bench $(BENCH)

swarm: ## Let 10,000 runs of random shapes pass over ten minutes of kills (release build of the core); SWARM="--runs 1000 --minutes 1" to choose
	@Scripts/prepare.sh build
	PERDURE_CORE=1 swift build -c release --scratch-path .build-release --product perdure
	.build-release/release/perdure swarm $(SWARM)

failures: ## Let nodes and PostgreSQL servers fail 200 times under 10,000 runs (release build of the core); FAILURES="--only kill" to choose
	@PERDURE_CORE=1 Scripts/prepare.sh test
	PERDURE_CORE=1 swift build -c release --scratch-path .build-release --product perdure
	.build-release/release/perdure failures $(FAILURES)

SEEDS = 10000

soak: ## Keep nodes on PostgreSQL under a steady load for an hour, and see whether anything grows (release build of the core); SOAK="--minutes 10" to choose
	@PERDURE_CORE=1 Scripts/prepare.sh test
	PERDURE_CORE=1 swift build -c release --scratch-path .build-release --product perdure
	.build-release/release/perdure soak $(SOAK)

simulate: ## Let SEEDS=10000 whole clusters live and die in virtual time (release build of the core); SIMULATE="--seed 7" to replay one
	@Scripts/prepare.sh build
	PERDURE_CORE=1 swift build -c release --scratch-path .build-release --product perdure
	.build-release/release/perdure simulate --seeds $(SEEDS) $(SIMULATE)

# The names of mutants must be nowhere in a build that is used for anything else: the optimiser has taken away every place.
mutants: ## Break the engine in one way after the other: the crash matrix has to find each (release builds of the core)
	@Scripts/prepare.sh build
	PERDURE_CORE=1 swift build -c release --scratch-path .build-release --product perdure
	@! grep -qaE 'PERDURE_MUTANT|acknowledge before the commit|step: ' .build-release/release/perdure
	PERDURE_CORE=1 PERDURE_MUTANTS=1 swift build -c release --scratch-path .build-mutants --product perdure
	.build-mutants/release/perdure mutants $(MUTANTS)

house: ## Run only the tests of the house rules: sizes, layers, documentation
	@Scripts/prepare.sh test
	swift test --filter HouseTests

format: ## Format all sources in place
	swift format format --in-place --recursive --parallel $(LINTED)

clean: ## Remove everything that was built
	rm -rf .build .build-core .build-release .build-mutants .build-tools

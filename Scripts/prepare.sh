#!/usr/bin/env bash
# Makes sure that what a build or the tests need is there. Installs it where that is possible without asking,
# and otherwise says the one command that does.
#
#   Scripts/prepare.sh build   Swift and the headers of SQLite and of PostgreSQL's client
#   Scripts/prepare.sh test    the same, PostgreSQL and PgBouncer to start, and Python with the packages that tests compare with
#   Scripts/prepare.sh api     that of build, and Python with schemathesis and openapi-spec-validator
#   Scripts/prepare.sh browser that of build, Chromium, and Python with playwright and axe-playwright-python
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    printf '\n%s\n' "$*" >&2
    exit 1
}

# How to become root, if there is a way that does not ask for a password.
root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        return 1
    fi
}

install_packages() {
    if ! command -v apt-get >/dev/null; then
        fail "Missing: $*. Install the package that provides it on this system, then try again."
    fi
    echo "Installing $*"
    # The lists may be absent, as in a fresh container, or older than the mirror.
    if ! root apt-get update -qq || ! root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@"
    then
        fail "Could not install $*. Run this, then try again:

    sudo apt-get update && sudo apt-get install -y $*"
    fi
}

need_swift() {
    command -v swift >/dev/null || fail "Swift is not installed. Install Swift 6.2 or later from https://www.swift.org/install, then try again."
    local version major minor
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
    major=${version%%.*}
    minor=${version#*.}
    if [ -z "$version" ] || [ "$major" -lt 6 ] || { [ "$major" -eq 6 ] && [ "$minor" -lt 2 ]; }; then
        fail "Perdure needs Swift 6.2 or later; this is ${version:-unknown}. Get it from https://www.swift.org/install."
    fi
}

need_sqlite() {
    [ "$(uname)" = Linux ] || return 0
    if [ -e /usr/include/sqlite3.h ] || pkg-config --exists sqlite3 2>/dev/null; then return 0; fi
    install_packages libsqlite3-dev
}

need_libpq() {
    if [ -e /usr/include/postgresql/libpq-fe.h ] || pkg-config --exists libpq 2>/dev/null; then return 0; fi
    install_packages libpq-dev pkg-config
}

# Scripts/with_postgres.py starts servers of its own; none has to run.
need_postgres() {
    if command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then return 0; fi
    install_packages postgresql
}

# Which it puts in front of them, and what it makes their certificates with.
need_pooler() {
    if ! command -v pgbouncer >/dev/null && [ ! -x /usr/sbin/pgbouncer ]; then install_packages pgbouncer; fi
    command -v openssl >/dev/null || install_packages openssl
}

# The package goes into an environment of this checkout: Debian and Ubuntu do not let pip change the system's own Python.
need_python() {
    local environment=.build-tools/python
    if [ -x "$environment/bin/python3" ] && "$environment/bin/python3" -c 'import rfc8785' 2>/dev/null; then return 0; fi
    if command -v python3 >/dev/null && python3 -c 'import rfc8785, sqlite3' 2>/dev/null; then return 0; fi
    command -v python3 >/dev/null || install_packages python3 python3-venv
    if ! python3 -m venv --clear "$environment" >/dev/null 2>&1; then
        install_packages python3-venv
        python3 -m venv --clear "$environment" || fail "python3 cannot make a virtual environment in $environment."
    fi
    if ! "$environment/bin/python3" -m pip install --quiet --disable-pip-version-check rfc8785; then
        fail "The Python package rfc8785 could not be downloaded. One test compares our canonical JSON with it. Either go online, or
leave that comparison out:

    PERDURE_SKIP_INDEPENDENT=1 make test"
    fi
}

# need_packages FOLDER MODULES PACKAGE…: programs in Python that only one target wants, in an environment of their own.
need_packages() {
    local environment=.build-tools/$1 modules=$2
    shift 2
    if "$environment/bin/python3" -c "import $modules" 2>/dev/null; then return 0; fi
    command -v python3 >/dev/null || install_packages python3 python3-venv
    if ! python3 -m venv --clear "$environment" >/dev/null 2>&1; then
        install_packages python3-venv
        python3 -m venv --clear "$environment" || fail "python3 cannot make a virtual environment in $environment."
    fi
    "$environment/bin/python3" -m pip install --quiet --disable-pip-version-check "$@" ||
        fail "These Python packages could not be downloaded: $*. Go online; 'make test' can do without by PERDURE_SKIP_INDEPENDENT=1."
}

need_chromium() {
    [ -x /usr/bin/chromium ] || install_packages chromium
}

case "${1:-}" in
build)
    need_swift
    need_sqlite
    need_libpq
    ;;
test)
    need_swift
    need_sqlite
    need_libpq
    need_postgres
    need_pooler
    if [ "${PERDURE_SKIP_INDEPENDENT:-}" != 1 ]; then
        need_python
        # Another implementation of OpenTelemetry's protocol, and of the text of Prometheus.
        [ -n "${PERDURE_CORE:-}" ] || need_packages telemetry grpc,opentelemetry.proto,prometheus_client \
            'opentelemetry-proto==1.45.2' protobuf 'grpcio==1.85.1' prometheus-client
        # That of the authors of Standard Webhooks.
        [ -n "${PERDURE_CORE:-}" ] || need_packages webhooks standardwebhooks 'standardwebhooks==1.1.0'
    fi
    ;;
api)
    need_swift
    need_sqlite
    need_libpq
    need_packages api schemathesis,openapi_spec_validator 'schemathesis>=4.32,<5' 'openapi-spec-validator<1'
    ;;
browser)
    need_swift
    need_sqlite
    need_libpq
    need_chromium
    need_packages browser playwright,axe_playwright_python 'playwright>=1.50,<2' 'axe-playwright-python>=0.1,<1'
    ;;
*) fail "usage: Scripts/prepare.sh build|test|api|browser" ;;
esac

#!/bin/sh
# Installs the PostgreSQL clients that test/clients uses, and a browser, on Debian and its relatives.
#
# Owns: which package brings which client. Does nothing, quickly and without a word, where all of them are there; where
# it cannot install (no apt-get, not root) it says what is missing and succeeds: the tests skip what is absent, and fail
# it in CI. Starts no server and leaves none: Debian's pgbench comes with the server's package.
set -eu

missing=""
need() { missing="$missing $*"; }
for tool in psql pg_dump pg_isready; do
  command -v "$tool" >/dev/null || { need postgresql-client; break; }
done
command -v pgbench >/dev/null || need postgresql
# Debian's modules belong to Debian's python, whatever else is on the PATH.
for module in psycopg psycopg2 asyncpg sqlalchemy; do
  /usr/bin/python3 -c "import $module" 2>/dev/null || need "python3-$module"
done
/usr/bin/python3 -c "import pytest, xdist" 2>/dev/null || need python3-pytest python3-pytest-xdist
/usr/bin/python3 -c "import django" 2>/dev/null || need python3-django
{ command -v parallel_rspec && ruby -e 'require "pg"'; } >/dev/null 2>&1 || need ruby-parallel-tests ruby-rspec ruby-pg
[ -e /usr/share/java/postgresql.jar ] || need libpostgresql-jdbc-java
{ command -v java && command -v javac; } >/dev/null || need default-jdk-headless
# For the page of `trace show --html`.
command -v chromium >/dev/null || need chromium

[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
  echo "install-test-clients: not installed, as this needs root and apt-get:$missing" >&2
  exit 0
fi

no_cluster=/etc/postgresql-common/createcluster.d/pglite-devdb-tests.conf
log=$(mktemp)
trap 'rm -f "$no_cluster" "$log"; rmdir "$(dirname "$no_cluster")" 2>/dev/null || true' EXIT
mkdir -p "$(dirname "$no_cluster")"
echo "create_main_cluster = false" >"$no_cluster"

export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of words
{ apt-get update && apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1 || {
  cat "$log" >&2
  echo "install-test-clients: could not install:$missing" >&2
  exit 1
}
echo "install-test-clients: installed$missing"

#!/usr/bin/env bash
# Passes the tests: installs what is missing, runs the unit and integration tests (those that make containers and
# networks as root), and fails when anything is left on the machine afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "$(id -u)" = 0 ]; then bash tests/packages.sh build image test; fi
before=$(bash tests/leftovers.sh | sort)
cargo test "$@"
after=$(bash tests/leftovers.sh | sort)
left=$(comm -13 <(printf '%s\n' "$before") <(printf '%s\n' "$after"))
if [ -n "$left" ]; then
  printf 'left on this machine by the suite:\n%s\n' "$left" >&2
  exit 1
fi
echo "nothing is left on this machine"

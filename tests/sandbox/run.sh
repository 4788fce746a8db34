#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh [BUILDDIR]: builds the probe there (default: here) and runs it for every box, as root
# with a user for each role and as an ordinary user. See expected.txt.
set -eu
build=${1:-.}
here=$(cd "$(dirname "$0")" && pwd)
make -s -C "$build" schema_hash.h
make -s -C "$build" tests/sandbox/probe
exec python3 "$here/run.py" "$build/tests/sandbox/probe"

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The independent model answers the rows of contexts.txt, and 20,000 made-up rows get the
# same answers from tests/unit/context.
set -eu
dir=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}/tests/vectors
python3 "$dir/context_model.py" "$dir/contexts.txt"
rows=$(mktemp)
trap 'rm -f "$rows"' EXIT
python3 "$dir/context_model.py" --random 20000 "${AEGIS_SEED:-1}" > "$rows"
AEGIS_CONTEXT_ROWS=$rows tests/unit/context

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The independent model answers the rows of contexts.txt, and 20,000 made-up rows and one for
# every odd character get the same answers from tests/unit/context. AEGIS_SEED: other rows.
set -eu
dir=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}/tests/vectors
"${PYTHON:-python3}" "$dir/context_model.py" "$dir/contexts.txt"
rows=$(mktemp)
trap 'rm -f "$rows"' EXIT
for what in "--random 20000 ${AEGIS_SEED:-1}" --unicode; do
	"${PYTHON:-python3}" "$dir/context_model.py" $what > "$rows"
	AEGIS_CONTEXT_ROWS=$rows tests/unit/context
done

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# 5,000 made-up patterns and 20,000 texts get the answers of Python's re from common/nfa.
# AEGIS_SEED: other ones.
set -eu
dir=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}/tests/vectors
rows=$(mktemp)
trap 'rm -f "$rows"' EXIT
python3 "$dir/nfa_model.py" 5000 "${AEGIS_SEED:-1}" > "$rows"
CK_RUN_CASE=nfa AEGIS_NFA_ROWS=$rows tests/unit/nfa

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# policies.txt is what the independent model says, and 20,000 made-up requests get the same
# answers from tests/unit/policy. AEGIS_SEED: other ones.
set -eu
dir=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}/tests/vectors
rows=$(mktemp)
trap 'rm -f "$rows"' EXIT
python3 "$dir/policy_model.py" | cmp - "$dir/policies.txt"
python3 "$dir/policy_model.py" --random 2000 "${AEGIS_SEED:-1}" > "$rows"
AEGIS_POLICY_ROWS=$rows tests/unit/policy

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# merkle.txt is what the independent model says, and tests/unit/merkle agrees with what it
# says of larger trees.
set -eu
dir=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}/tests/vectors
vectors=$(mktemp)
trap 'rm -f "$vectors"' EXIT
python3 "$dir/merkle_model.py" | cmp - "$dir/merkle.txt"
python3 "$dir/merkle_model.py" 70 > "$vectors"
AEGIS_MERKLE_VECTORS=$vectors tests/unit/merkle

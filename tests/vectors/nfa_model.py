# SPDX-License-Identifier: Apache-2.0
"""Patterns and texts with the answer of Python's re, which works quite differently (it
backtracks): lines "pattern text 0|1", both in hexadecimal, for tests/unit/nfa.

    nfa_model.py [COUNT [SEED]]
"""

import random
import re
import sys

CHARS = "ab/-_1é"
CLASSES = [r"\d", r"\w", r"\s", r"\D", r"\W", r"\S"]


def literal(r):
    c = r.choice(CHARS)
    return r.choice([c, c, f"\\u{ord(c):04x}", re.escape(c) if c in "/-" else c])


def bracket(r):
    items = []
    for _ in range(r.randint(1, 3)):
        kind = r.random()
        if kind < 0.5:
            items.append(r.choice("ab/_1é"))
        elif kind < 0.8:
            lo, hi = sorted(r.sample("ab19zAé", 2))
            items.append(f"{lo}-{hi}")
        else:
            items.append(r.choice(CLASSES))
    return f"[{r.choice(['', '^'])}{''.join(items)}]"


def atom(r, depth):
    kind = r.random()
    if kind < 0.45 or depth > 3:
        return literal(r)
    if kind < 0.55:
        return "."
    if kind < 0.65:
        return r.choice(CLASSES)
    if kind < 0.78:
        return bracket(r)
    return r.choice(["(", "(?:"]) + alternatives(r, depth + 1) + ")"


def piece(r, depth):
    if r.random() < 0.08:
        return r.choice(["^", "$", r"\b", r"\B"])
    a = atom(r, depth)
    if r.random() < 0.35:
        lo = r.randint(0, 2)
        a += r.choice(["*", "+", "?", f"{{{lo}}}", f"{{{lo},}}", f"{{{lo},{lo + r.randint(0, 2)}}}"])
        a += r.choice(["", "", "?"])
    return a


def alternatives(r, depth):
    return "|".join("".join(piece(r, depth) for _ in range(r.randint(0 if depth else 1, 3)))
                    for _ in range(r.choice([1, 1, 1, 2, 3])))


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    r = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    for _ in range(count):
        pattern = alternatives(r, 0)
        compiled = re.compile(pattern, re.ASCII)
        # of \B in an empty text Python's word differs from that of ECMAScript
        shortest = 1 if r"\B" in pattern else 0
        for _ in range(4):
            text = "".join(r.choice(CHARS + " ") for _ in range(r.randint(shortest, 7)))
            print(pattern.encode().hex(), text.encode().hex(),
                  int(compiled.search(text) is not None))


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Merkle tree of RFC 9162 section 2.1, written as the RFC defines it: recursively,
over the whole list of leaves. Prints vectors for tests/unit/merkle.c (merkle.txt is what it
says of 13 leaves), one a line:

    leaf DATA HASH
    root SIZE ROOT                         over the first SIZE leaves
    path INDEX SIZE NODE,NODE...           PATH(INDEX, D_SIZE)
    proof OLD SIZE NODE,NODE...            PROOF(OLD, D_SIZE)

The first eight leaves are those of the tree in RFC 6962's reference implementation, whose
roots stand here as well; `-` stands for nothing.

usage: merkle_model.py [LEAVES]
"""
import hashlib
import sys

REFERENCE = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657",
             "606162636465666768696a6b6c6d6e6f"]
ROOTS = ["6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
         "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
         "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
         "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
         "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
         "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
         "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
         "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"]


def sha(octets):
    return hashlib.sha256(octets).digest()


def split(n):
    """The largest power of two smaller than n."""
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def mth(leaves):
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return sha(b"\0" + leaves[0])
    k = split(len(leaves))
    return sha(b"\1" + mth(leaves[:k]) + mth(leaves[k:]))


def path(m, leaves):
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return path(m, leaves[:k]) + [mth(leaves[k:])]
    return path(m - k, leaves[k:]) + [mth(leaves[:k])]


def subproof(m, leaves, whole):
    n = len(leaves)
    if m == n:
        return [] if whole else [mth(leaves)]
    k = split(n)
    if m <= k:
        return subproof(m, leaves[:k], whole) + [mth(leaves[k:])]
    return subproof(m - k, leaves[k:], False) + [mth(leaves[:k])]


def proof(m, leaves):
    return subproof(m, leaves, True)


def nodes(found):
    return ",".join(n.hex() for n in found) or "-"


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 13
    data = [bytes.fromhex(x) for x in REFERENCE]
    for n, root in enumerate(ROOTS, 1):
        if mth(data[:n]).hex() != root:
            raise SystemExit(f"the model is wrong about {n} leaves")
    data += [b"leaf %d" % i for i in range(len(data), count)]
    for leaf in data:
        print("leaf", leaf.hex() or "-", mth([leaf]).hex())
    for n in range(len(data) + 1):
        print("root", n, mth(data[:n]).hex())
    for n in range(1, len(data) + 1):
        for m in range(n):
            print("path", m, n, nodes(path(m, data[:n])))
        for m in range(1, n + 1):
            print("proof", m, n, nodes(proof(m, data[:n])))


if __name__ == "__main__":
    main()

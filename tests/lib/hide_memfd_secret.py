# SPDX-License-Identifier: Apache-2.0
"""Runs a program on a kernel that seems to have no memfd_secret(2): hide_memfd_secret.py
PROGRAM ARGUMENTS. So the tests see what root would see there: all memory that there is."""

import ctypes
import errno
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2
MEMFD_SECRET = 447  # on every architecture


def hide():
    ret = 0x06
    program = [
        (0x20, 0, 0, 0),  # load the number of the call
        (0x15, 0, 1, MEMFD_SECRET),  # equal: go on; else skip one
        (ret, 0, 0, 0x00050000 | errno.ENOSYS),
        (ret, 0, 0, 0x7fff0000),  # allow
    ]
    text = b"".join(struct.pack("HBBI", *line) for line in program)
    octets = ctypes.create_string_buffer(text, len(text))
    fprog = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(octets)))
    libc = ctypes.CDLL(None, use_errno=True)
    for args in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, MODE_FILTER, fprog, 0, 0)):
        if libc.prctl(*args) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    hide()
    os.execv(sys.argv[1], sys.argv[1:])

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long a tool server takes from being asked for to its first octet: started by toolexec in
its room, and by posix_spawn alone, in turns. The test is toolexec's master. As root.

    tests/bench/tool_start.py PREFIX [STARTS]"""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "lib"))
import proto  # noqa: E402

SOURCE = '#include <unistd.h>\nint main(void) { return write(1, "x", 1) == 1 ? pause() : 1; }\n'


def pipes():
    return os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)


def first_octet(fd):
    assert os.read(fd, 1) == b"x"
    return time.monotonic()


def end(pid, *fds):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    for fd in fds:
        os.close(fd)


def reap():
    """What a killed toolexec leaves counts against the number of processes of its user."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass


def bare(tool):
    (in_r, in_w), (out_r, out_w) = pipes()
    began = time.monotonic()
    pid = os.posix_spawn(tool, [tool], {}, file_actions=[
        (os.POSIX_SPAWN_DUP2, in_r, 0), (os.POSIX_SPAWN_DUP2, out_w, 1)])
    os.close(out_w)
    took = first_octet(out_r) - began
    end(pid, in_r, in_w, out_r)
    return took


def boxed(prefix, tool, number):
    (in_r, in_w), (out_r, out_w) = pipes()
    master, theirs = proto.Door.pair()
    uid = 62999 if os.getuid() == 0 else 0
    began = time.monotonic()
    pid = os.posix_spawn(f"{prefix}/libexec/aegis/toolexec", ["toolexec"], {}, file_actions=[
        (os.POSIX_SPAWN_DUP2, in_r, 0), (os.POSIX_SPAWN_DUP2, out_w, 1),
        (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)])
    master.hello("MASTER")
    master.send("conf_common", instance=number, name="bench", tenant="default", log_level=3,
                log_format=0, uid=uid, gid=uid, dir="")
    master.send("conf_tool_exec", name="bench", executable=tool, uid=uid, gid=uid, memory_mb=512,
                processes=64, max_output_bytes=1 << 20)
    master.send("conf_done")
    os.close(out_w)
    theirs.close()
    took = first_octet(out_r) - began
    end(pid, in_r, in_w, out_r)
    master.close()
    return took


def main():
    assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER
    prefix, starts = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o755)
        subprocess.run(["cc", "-O2", "-o", f"{d}/tool", "-xc", "-"], input=SOURCE, text=True, check=True)
        found = {"posix_spawn": [], "toolexec": []}
        for i in range(starts):
            found["posix_spawn"].append(bare(f"{d}/tool"))
            found["toolexec"].append(boxed(prefix, f"{d}/tool", i + 1))
            time.sleep(0.01)  # the namespaces of the last one go
            reap()
        for name, times in found.items():
            times.sort()
            print(f"{name:12} p50 {times[len(times) // 2] * 1000:.2f} ms, "
                  f"p99 {times[len(times) * 99 // 100] * 1000:.2f} ms")


main()

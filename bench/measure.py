"""Runs a command to its end and prints, after the command's own output, one JSON line of what it used.

    python3 measure.py COMMAND [ARGUMENT...]

The kernel counts: user and system time and the peak of the resident memory of that process and of what it waited for.
A small process in between, because a child's peak starts with the memory of the one that it was forked from.
"""

import json
import os
import signal
import sys
import time

command = sys.argv[1:]
started = time.monotonic()
child = os.posix_spawnp(command[0], command, os.environ)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda received, _: os.kill(child, received))
_, status, usage = os.wait4(child, 0)
wall = time.monotonic() - started
# Linux counts in KiB, macOS in bytes.
peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(
    json.dumps(
        {
            "wallMs": wall * 1000,
            "userMs": usage.ru_utime * 1000,
            "systemMs": usage.ru_stime * 1000,
            "peakRssBytes": peak,
        }
    )
)
sys.exit(os.waitstatus_to_exitcode(status) % 256)

"""The clock of a measured program in Python, started with its first line of work."""

import json
import resource
import time


def cpu_ms():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) * 1000


class ProgramClock:
    def __init__(self):
        self.start_cpu_ms = cpu_ms()
        self.started = time.monotonic()

    def report(self, messages):
        wall_ms = (time.monotonic() - self.started) * 1000
        print(
            json.dumps({"messages": messages, "workWallMs": wall_ms, "startCpuMs": self.start_cpu_ms}),
            flush=True,
        )

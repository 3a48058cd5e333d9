"""Runs a command on a pseudo-terminal of its own, as if a person sat before it.

    python3 pty_host.py COLUMNS ROWS COMMAND ARGUMENT…

What the command prints comes out on stdout, byte for byte. On stdin, one JSON document a line says what the person does:
{"type": TEXT}, {"resize": [COLUMNS, ROWS]}, {"signal": NAME}. When the command has ended, one JSON document on stderr says
how, and whether it left the terminal's modes as they were: {"code", "signal", "modesRestored"}.
"""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios


def set_size(terminal, columns, rows):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def obey(line, terminal, child):
    wish = json.loads(line)
    if "type" in wish:
        os.write(terminal, wish["type"].encode())
    if "resize" in wish:
        # The kernel tells the command by SIGWINCH.
        set_size(terminal, *wish["resize"])
    if "signal" in wish:
        os.kill(child, getattr(signal, wish["signal"]))


def relay(terminal, child):
    """Until everything that was started has let go of the terminal."""
    stdin = sys.stdin.fileno()
    inputs = [terminal, stdin]
    pending = b""
    while True:
        ready, _, _ = select.select(inputs, [], [])
        if stdin in ready:
            data = os.read(stdin, 65536)
            if not data:
                inputs.remove(stdin)
            pending += data
            *lines, pending = pending.split(b"\n")
            for line in lines:
                obey(line, terminal, child)
        if terminal in ready:
            try:
                data = os.read(terminal, 65536)
            except OSError:
                # Linux answers EIO where the other side is closed.
                return
            if not data:
                return
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


def main():
    columns, rows = int(sys.argv[1]), int(sys.argv[2])
    child, terminal = pty.fork()
    if child == 0:
        set_size(0, columns, rows)
        os.execvp(sys.argv[3], sys.argv[3:])
    before = termios.tcgetattr(terminal)
    relay(terminal, child)
    after = termios.tcgetattr(terminal)
    _, status = os.waitpid(child, 0)
    ended_by = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else None
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
    json.dump({"code": code, "signal": ended_by, "modesRestored": before == after}, sys.stderr)


if __name__ == "__main__":
    main()

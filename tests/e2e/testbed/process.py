"""Child processes, their logs, and waiting for a condition with a deadline."""

import os
import subprocess
import threading
import time

POLL_S = 0.01


class DeadlineError(AssertionError):
    """A condition did not become true in time."""


def wait_until(condition, what, deadline_s=20.0, poll_s=POLL_S):
    """Polls condition() until it is true and returns its value.

    An OSError of the condition counts as "not yet"; after deadline_s seconds
    a DeadlineError names `what` and the last such error.
    """
    end = time.monotonic() + deadline_s
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = None
        except OSError as error:
            last = error
        if time.monotonic() >= end:
            reason = f" ({last})" if last else ""
            raise DeadlineError(
                f"{what}: not within {deadline_s:g} s{reason}")
        time.sleep(poll_s)


class Process:
    """A server in the background, its output in a log file.

    With stamped=True its lines are also kept as (time.monotonic(), line) in
    `lines`, for servers whose log is what a test asserts on.
    """

    def __init__(self, name, argv, log_path, *, env=None, stamped=False,
                 cwd=None):
        self.name = name
        self.argv = argv
        self.log_path = log_path
        self.lines = []
        self._reader = None
        self._log = open(log_path, "ab")
        self.popen = subprocess.Popen(
            argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if stamped else self._log,
            stderr=subprocess.STDOUT)
        if stamped:
            self._reader = threading.Thread(target=self._read, daemon=True)
            self._reader.start()

    def _read(self):
        for raw in self.popen.stdout:
            now = time.monotonic()
            self._log.write(raw)
            self._log.flush()
            self.lines.append((now, raw.decode("utf-8", "replace").rstrip()))

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def wait_ready(self, condition, what, deadline_s=20.0):
        """Waits for condition(); fails at once when the process has ended."""
        def ready():
            if not self.running():
                raise AssertionError(
                    f"{self.name} ended with code {self.popen.returncode} "
                    f"before {what}:\n{tail(self.log_path)}")
            return condition()
        wait_until(ready, f"{self.name}: {what}", deadline_s)

    def stop(self, deadline_s=10.0):
        """Ends the process, gently first."""
        if self.running():
            self.popen.terminate()
            try:
                self.popen.wait(deadline_s)
            except subprocess.TimeoutExpired:
                self.kill()
        if self._reader:
            self._reader.join(deadline_s)
            self.popen.stdout.close()
        self._log.close()

    def kill(self):
        """As a crash would."""
        self.popen.kill()
        self.popen.wait()

    def signal(self, number):
        os.kill(self.pid, number)


def tail(path, lines=30):
    """The last lines of a text file, or why there are none."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 200 * lines))
            text = file.read().decode("utf-8", "replace")
    except OSError as error:
        return f"({error})"
    return "\n".join(text.splitlines()[-lines:])

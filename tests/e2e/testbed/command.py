"""Running the program under test, or a peer, and what it used."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass

from .process import tail, wait_until


@dataclass
class Result:
    """How a command ended."""
    argv: list
    code: int  # negative: ended by that signal
    out: str
    err: str
    seconds: float
    cpu_s: float
    max_rss_kib: int

    def json_lines(self):
        """Standard output as JSON, one value a line."""
        return [json.loads(line) for line in self.out.splitlines() if line]

    def assert_ok(self):
        assert self.code == 0, f"exit code {self.code} of {self}"
        return self

    def assert_failed(self, *words, code=None):
        """It failed, and said each of these words on standard error."""
        assert self.code > 0 if code is None else self.code == code, (
            f"exit code {self.code}, not {code or 'a failure'}, of {self}")
        for word in words:
            assert word.lower() in self.err.lower(), (
                f"{word!r} is not in what it said: {self}")
        return self

    def __str__(self):
        return (f"{' '.join(self.argv)} ({self.seconds:.2f} s)\n"
                f"-- standard output:\n{self.out}"
                f"-- standard error:\n{self.err}")


class Command:
    """A started command; wait() gives its Result."""

    def __init__(self, bed, argv, *, env=None, cwd=None, name="command"):
        folder = bed.new_folder(name)
        self.argv = [str(a) for a in argv]
        self.out_path = os.path.join(folder, "out")
        self.err_path = os.path.join(folder, "err")
        self._result = None
        self.started = time.monotonic()
        with open(self.out_path, "wb") as out, \
                open(self.err_path, "wb") as err:
            self.popen = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env=env, cwd=cwd or folder, start_new_session=True)
        self._ended = threading.Event()
        self._usage = None
        threading.Thread(target=self._reap, daemon=True).start()

    def _reap(self):
        _, status, usage = os.wait4(self.popen.pid, 0)
        self.seconds = time.monotonic() - self.started
        self._usage = usage
        self.popen.returncode = os.waitstatus_to_exitcode(status)
        self._ended.set()

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return not self._ended.is_set()

    def output(self):
        """What it wrote so far, both streams."""
        return _read(self.out_path) + _read(self.err_path)

    def wait_for(self, condition, what, deadline_s=30.0):
        """Waits for condition(self); fails when the command ends first."""
        def met():
            value = condition(self)
            if not value and not self.running():
                raise AssertionError(f"it ended before {what}: "
                                     f"{self.wait()}")
            return value
        return wait_until(met, what, deadline_s)

    def signal(self, number):
        """A signal; a process that has just ended needs none."""
        if self.running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self):
        """kill -9, and its children with it."""
        if self.running():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        return self.wait()

    def wait(self, timeout_s=120.0):
        """Its Result; a command that runs too long is killed and fails."""
        if not self._ended.wait(timeout_s):
            os.killpg(self.pid, signal.SIGKILL)
            self._ended.wait()
            raise AssertionError(
                f"{' '.join(self.argv)}: still running after {timeout_s:g} s\n"
                f"{tail(self.out_path)}\n{tail(self.err_path)}")
        return Result(self.argv, self.popen.returncode, _read(self.out_path),
                      _read(self.err_path), self.seconds,
                      self._usage.ru_utime + self._usage.ru_stime,
                      self._usage.ru_maxrss)


def _read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def clean_environment(bed, **more):
    """An environment without the host's proxies, homes and settings."""
    home = os.path.join(bed.dir, "home")
    os.makedirs(home, exist_ok=True)
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": home, "LANG": "C.UTF-8", "TZ": "UTC",
            **more}

"""A deploy command that keeps what it was given."""

import os

RECORD = r"""#!/bin/sh
# Appends what it was given to a file, then does as its first word says.
{
    echo "run $(date +%s%N)"
    for word in "$@"; do printf 'argv %s\n' "$word"; done
    tr '\0' '\n' < /proc/$$/environ | sed 's/^/env /'
    for fd in /proc/$$/fd/*; do
        printf 'fd %s %s\n' "${fd##*/}" "$(readlink "$fd")"
    done
    echo "pid $$"
    echo "cwd $(pwd)"
} >> "@LOG@"
case "$1" in
    fail) echo "to standard output"; echo "to standard error" >&2; exit 3;;
    hang) sleep 1000 & echo "pid $!" >> "@LOG@"; wait;;
    daemon) setsid sleep 1000 & echo "pid $!" >> "@LOG@";;
    loud) head -c 3000000 /dev/zero | tr '\0' 'x'; echo; echo "the end";;
    rude) printf 'a\033[31mred\007\r\nb\n';;
    read) cat;;
    kill) kill -9 $$;;
esac
"""


class Recorder:
    """A deploy command that keeps what it was given."""

    def __init__(self, bed):
        self.bed = bed
        self.log = bed.path("deploy.log")
        self.program = bed.write("bin/record", RECORD.replace(
            "@LOG@", self.log), mode=0o755)

    def runs(self):
        """A dictionary of lists for each run, in order."""
        found = []
        if not os.path.exists(self.log):
            return found
        with open(self.log, encoding="utf-8") as file:
            for line in file:
                kind, _, rest = line.rstrip("\n").partition(" ")
                if kind == "run":
                    found.append({"argv": [], "env": [], "fd": [], "pid": []})
                found[-1].setdefault(kind, []).append(rest)
        return found

    def command(self, *words):
        return [self.program, *words]

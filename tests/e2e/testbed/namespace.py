"""A network, mount and process namespace for one test.

A program is started through unshare(1).  In its own network namespace every
server may have port 53, and tests run side by side; in its own mount namespace
/etc/resolv.conf and its like are private; and because it is process 1 of its
own process namespace, the kernel kills everything that it started when it
ends, however it ends.
"""

import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile

SIOCSIFFLAGS = 0x8914
IFF_UP_RUNNING = 0x41


class NamespaceError(Exception):
    """The system does not let us have the namespaces; the text says why."""


def inside_command(argv):
    """The command that runs argv in namespaces of its own.  It is killed,
    and everything in the namespaces with it, when its parent thread ends."""
    tools = {name: shutil.which(name) for name in ("setpriv", "unshare")}
    for name, path in tools.items():
        if not path:
            raise NamespaceError(f"{name} is missing; install util-linux")
    command = [tools["setpriv"], "--pdeathsig", "KILL", tools["unshare"],
               "--net", "--mount", "--pid", "--fork", "--kill-child",
               "--mount-proc"]
    if os.geteuid() != 0:
        command += ["--user", "--map-root-user"]
    return command + ["--"] + argv


def check():
    """Raises NamespaceError unless namespaces can be had here."""
    probe = subprocess.run(inside_command(["true"]),
                           stdin=subprocess.DEVNULL, capture_output=True,
                           text=True, check=False)
    if probe.returncode != 0:
        raise NamespaceError(
            "no network namespace of our own can be had here: "
            + (probe.stderr.strip() or "unshare failed")
            + "; run as root, or allow unprivileged user namespaces"
            " (sysctl kernel.unprivileged_userns_clone=1)")


def only_root():
    """Whether root is the only user here, as where a plain user runs the
    tests: then says that a test of several users is left out."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        if int(file.read().split()[2]) > 1:
            return False
    print("left out: a second user can be had only when root runs the tests")
    return True


def run_inside(argv):
    """Runs a program inside, on this terminal, with a new folder's path as
    its last argument; returns its exit code.

    Ctrl-C reaches the program by itself, which ends in its own time;
    SIGTERM and SIGHUP end everything at once.
    """
    check()
    folder = tempfile.mkdtemp(prefix="dns01-bed-")
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        child = subprocess.Popen(
            inside_command(argv + [folder]),
            preexec_fn=lambda: signal.signal(signal.SIGINT,
                                             signal.default_int_handler))
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: child.kill())
        return child.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def prepare():
    """Brings the loopback interface up; IPv6 loopback comes with it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sH14x", b"lo", IFF_UP_RUNNING)
        fcntl.ioctl(sock, SIOCSIFFLAGS, request)


def add_addresses(addresses):
    """Adds addresses to the loopback interface.

    All of 127/8 answers there anyway, but BIND listens only on addresses
    that an interface has.
    """
    ip = shutil.which("ip") or shutil.which("ip", path="/usr/sbin:/sbin")
    if not ip:
        raise NamespaceError("ip is missing; install iproute2")
    lines = "".join(
        f"addr add {a}/{128 if ':' in a else 32} dev lo"
        f"{' nodad' if ':' in a else ''}\n" for a in addresses)
    subprocess.run([ip, "-batch", "-"], input=lines, text=True, check=True,
                   capture_output=True)


def bind_file(source, target):
    """Puts one file of ours over a system's file, for us alone."""
    target = os.path.realpath(target)
    if not os.path.exists(target):
        raise NamespaceError(
            f"{target} does not exist, so none of our own can be put over it")
    mount(["--bind", source, target])


def mount(arguments):
    """Runs mount(8); the namespace takes the mount with it when it ends."""
    done = subprocess.run(["mount"] + arguments, capture_output=True,
                          text=True, check=False)
    if done.returncode != 0:
        raise NamespaceError(f"mount {' '.join(arguments)}: "
                             + done.stderr.strip())

"""The bed: one test's folder, addresses, keys, child processes and tools."""

import glob
import itertools
import os
import random
import shutil
import socket
import subprocess

from . import namespace
from .process import Process
from .zone import TsigKey

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))))
PEERS = os.path.join(TOP, "build", "peers", "usr", "bin")
RESOLVER_ADDRESS = "127.0.53.2"
CA_RESOLVER_ADDRESS = "127.0.53.3"
HIERARCHY_ADDRESS = "127.0.53.4"
FIRST_ADDRESS, LAST_ADDRESS = 10, 199

# Which Debian package has a program, for the sentence that says so.
PACKAGES = {
    "named": "bind9", "dig": "bind9-dnsutils", "nsupdate": "bind9-dnsutils",
    "nsd": "nsd", "knotd": "knot", "pdns_server": "pdns-server",
    "pdnsutil": "pdns-server", "unbound": "unbound", "openssl": "openssl",
    "certbot": "certbot", "dehydrated": "dehydrated", "uacme": "uacme",
    "ip": "iproute2", "sqlite3": "sqlite3", "time": "time",
    "stable-pebble": "pebble", "stable-lego": "lego",
}
FETCHED = ("pebble", "pebble-challtestsrv", "lego")


class MissingTool(AssertionError):
    """A program that a test needs is not there."""


def find_tool(name):
    """The path of a program, or MissingTool saying how to have it."""
    if name in FETCHED:
        path = os.path.join(PEERS, name)
        if os.access(path, os.X_OK):
            return path
        raise MissingTool(f"{name} is missing; run tests/peer/fetch")
    if name.startswith("newest-"):
        path = os.path.join(PEERS, name.removeprefix("newest-"))
        if os.access(path, os.X_OK):
            return path
        raise MissingTool(f"{path} is missing; run tests/peer/fetch")
    if name == "dns01":
        path = os.environ.get("DNS01", os.path.join(TOP, "build", "dns01"))
        if os.access(path, os.X_OK):
            return path
        raise MissingTool(f"{path} is missing; run make")
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    found = shutil.which(name.removeprefix("stable-"), path=path)
    if found:
        return found
    package = PACKAGES.get(name, name)
    raise MissingTool(
        f"{name} is missing; install the package {package}, or run "
        "tests/peer/packages check")


class Bed:
    """Made inside the namespaces, in an empty folder; everything in it ends
    with close().

    `dir`, the folder, is a file system in memory unless on_disk is set (for timings that
    must include real disks).
    """

    def __init__(self, folder, *, on_disk=False):
        self.processes = []
        self._closers = []
        self._names = itertools.count(1)
        self._addresses = itertools.count(FIRST_ADDRESS)
        self._addresses6 = itertools.count(FIRST_ADDRESS)
        self._private_tools = {}
        self.dir = folder
        namespace.prepare()
        namespace.add_addresses(
            [RESOLVER_ADDRESS, CA_RESOLVER_ADDRESS, HIERARCHY_ADDRESS]
            + [f"127.0.53.{n}" for n in range(FIRST_ADDRESS,
                                              LAST_ADDRESS + 1)])
        if not on_disk:
            namespace.mount(["-t", "tmpfs", "-o", "mode=0700", "tmpfs",
                             self.dir])
        self._private_system_files()

    def _private_system_files(self):
        """The host's resolver settings must not reach into a test."""
        self.write("etc/resolv.conf",
                   f"nameserver {RESOLVER_ADDRESS}\noptions timeout:2\n")
        self.write("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
        self.write("etc/nsswitch.conf", "hosts: files dns\n")
        namespace.bind_file(self.path("etc/resolv.conf"), "/etc/resolv.conf")
        for name in ("hosts", "nsswitch.conf"):
            if os.path.exists(f"/etc/{name}"):
                namespace.bind_file(self.path(f"etc/{name}"), f"/etc/{name}")

    # Folder

    def path(self, name):
        """A path in the bed's folder; its parent folder is made."""
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def write(self, name, text, mode=0o644):
        """Writes a file in the bed's folder and returns its path."""
        path = self.path(name)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def new_folder(self, name):
        """A new folder of this name, numbered: `bind.1`, `nsd.2` ..."""
        path = os.path.join(self.dir, f"{name}.{next(self._names)}")
        os.makedirs(path)
        return path

    def key(self, name="acme", algorithm="hmac-sha256", **options):
        """A new TSIG key with its file."""
        folder = os.path.join(self.dir, "keys")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return TsigKey.create(folder, name, algorithm, **options)

    # Addresses

    def address(self):
        """An IPv4 loopback address that no server has yet."""
        number = next(self._addresses)
        if number > LAST_ADDRESS:
            raise AssertionError("the bed has no more addresses")
        return f"127.0.53.{number}"

    def address6(self):
        """An IPv6 address on the loopback interface that is free."""
        address = f"fd00:53::{next(self._addresses6)}"
        namespace.add_addresses([address])
        return address

    @staticmethod
    def port():
        """A TCP port that is free on every loopback address, below the
        range from which the kernel takes ports for connections."""
        while True:
            port = random.randint(10000, 30000)
            with socket.socket() as sock:
                try:
                    sock.bind(("0.0.0.0", port))
                except OSError:
                    continue
                return port

    # Processes

    @staticmethod
    def tool(name):
        return find_tool(name)

    def private_tool(self, name):
        """A copy of a program in the bed's folder.

        AppArmor confines the system's named and unbound, by their path, to
        the system's folders; a copy may use ours.
        """
        if name not in self._private_tools:
            path = self.path(f"bin/{name}")
            shutil.copy(find_tool(name), path)
            self._private_tools[name] = path
        return self._private_tools[name]

    @staticmethod
    def clock_offset(offset_s):
        """Environment variables (for `env`) with which a program's wall
        clock is offset_s seconds ahead, or behind if negative.  BIND's
        programs do not stand it; dns01 and Knot do."""
        found = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
        if not found:
            raise MissingTool("libfaketime is missing; install the package "
                              "faketime, or run tests/peer/packages check")
        return {"LD_PRELOAD": found[0], "FAKETIME": f"{offset_s:+d}s",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def spawn(self, name, argv, folder, **options):
        """Starts a server; its log is `log` in its folder."""
        process = Process(name, argv, os.path.join(folder, "log"), **options)
        self.processes.append(process)
        return process

    def on_close(self, function):
        """Has function() called by close(), last given first."""
        self._closers.append(function)

    def run(self, argv, *, timeout_s=60, **options):
        """Runs a tool to its end; a failure raises with its output."""
        done = subprocess.run(
            argv, stdin=options.pop("stdin", subprocess.DEVNULL)
            if "input" not in options else None, capture_output=True,
            text=True, timeout=timeout_s, check=False, **options)
        if done.returncode != 0:
            raise AssertionError(
                f"{' '.join(argv)}: exit code {done.returncode}\n"
                f"{done.stdout}{done.stderr}")
        return done.stdout

    def logs(self):
        """(server's name, path of its log) of every server of the bed."""
        return [(p.name, p.log_path) for p in self.processes]

    def close(self):
        """Ends every process; the folder goes with the namespace."""
        for function in reversed(self._closers):
            function()
        for process in reversed(self.processes):
            if process.running():
                process.kill()
        self._closers, self.processes = [], []

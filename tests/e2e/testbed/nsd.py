"""NSD as a secondary, and as the servers of the root and of the TLDs."""

import os

from . import dnswire


class Nsd:
    """One nsd process.  Add zones, then start()."""

    def __init__(self, bed, *, addresses=None, name="nsd", rate_limit=True):
        self.bed = bed
        self.folder = bed.new_folder(name)
        self.name = os.path.basename(self.folder)
        self.addresses = addresses or [bed.address()]
        self.rate_limit = rate_limit
        self.process = None
        self._zones = []
        self._blocks = []

    @property
    def address(self):
        return self.addresses[0]

    def secondary(self, zone, primary, *, notifiers=()):
        """Transfers a zone from `primary`; `notifiers` may send NOTIFY
        besides."""
        lines = [f"request-xfr: {primary} NOKEY"]
        lines += [f"allow-notify: {a} NOKEY" for a in (primary, *notifiers)]
        lines.append("provide-xfr: 0.0.0.0/0 NOKEY")
        if ":" not in primary:
            lines.append(f"outgoing-interface: {self.address}")
        self._add(zone.name, "", lines)

    def static(self, name, text):
        """Serves a zone that never changes."""
        path = os.path.join(self.folder, f"{name.rstrip('.') or 'root'}.zone")
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        self._add(name, path, ["provide-xfr: 0.0.0.0/0 NOKEY"])

    def _add(self, name, path, lines):
        path = path or os.path.join(self.folder, f"{name}.copy")
        block = [f'zone:\n\tname: "{name}"', f'zonefile: "{path}"'] + lines
        self._blocks.append("\n\t".join(block))
        self._zones.append(name)

    def config(self):
        server = [f"ip-address: {a}" for a in self.addresses]
        server += [
            'username: ""', "server-count: 1", 'chroot: ""',
            f'zonesdir: "{self.folder}"', 'pidfile: ""', 'database: ""',
            f'zonelistfile: "{self.folder}/zone.list"',
            f'xfrdfile: "{self.folder}/xfrd.state"',
            f'xfrdir: "{self.folder}"', "verbosity: 2",
        ]
        if not self.rate_limit:
            server.append("rrl-ratelimit: 0")
        return ("server:\n\t" + "\n\t".join(server)
                + "\nremote-control:\n\tcontrol-enable: no\n"
                + "\n".join(self._blocks) + "\n")

    def start(self):
        path = os.path.join(self.folder, "nsd.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(self.config())
        argv = [self.bed.tool("nsd"), "-d", "-c", path]
        self.process = self.bed.spawn(self.name, argv, self.folder)
        self.process.wait_ready(self._serves_all, "serves its zones")
        return self

    def _serves_all(self):
        return all(self.soa_serial(name) is not None for name in self._zones)

    def soa_serial(self, zone):
        return dnswire.serial(self.address, zone, timeout_s=0.5)

    def stop(self):
        self.process.stop()

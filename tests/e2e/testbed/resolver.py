"""The names' hierarchy of a bed (a root and TLDs of its own) and resolvers."""

import os

from . import dnswire
from .bed import CA_RESOLVER_ADDRESS, HIERARCHY_ADDRESS
from .nsd import Nsd
from .zone import Zone


class Hierarchy:
    """A root zone and the TLDs that the delegated zones need.

    Delegations are made by delegate() at any time; the server is started
    anew with them.
    """

    def __init__(self, bed):
        self.bed = bed
        self.server = None
        self._zones = {}

    def delegate(self, *zones):
        for zone in zones:
            self._zones[zone.name] = zone
        if self.server:
            self.server.stop()
            self.server = None
            self.start()

    def start(self):
        if self.server:
            return self
        self.server = Nsd(self.bed, addresses=[HIERARCHY_ADDRESS],
                          name="hierarchy", rate_limit=False)
        parents = {"": []}
        for zone in self._zones.values():
            tld = zone.name.rpartition(".")[2]
            parents.setdefault(tld, [])
            if not self._parent_of(zone):
                parents[tld] += zone.delegation()
        for tld in parents:
            self.server.static(tld or ".", self._parent(tld, parents))
        self.server.start()
        return self

    def _parent_of(self, zone):
        """A zone inside another one of the bed is delegated by that one:
        the test puts zone.delegation() among its records."""
        return any(zone.name.endswith("." + name) for name in self._zones)

    @staticmethod
    def _parent(tld, parents):
        zone = Zone(tld or ".")
        zone.add_nameserver(HIERARCHY_ADDRESS,
                            name=f"a.nic.{tld}" if tld else "a.root")
        lines = list(parents[tld])
        if not tld:
            for child in filter(None, parents):
                lines += [f"{child}. 60 IN NS a.nic.{child}.",
                          f"a.nic.{child}. 60 IN A {HIERARCHY_ADDRESS}"]
        zone.records = lines
        return zone.text()


class Resolver:
    """unbound, from our own root downwards, remembering nothing by default.

    `stubs` maps zones to the addresses to ask instead of following the
    delegation, which makes the inside view of a split horizon.
    """

    def __init__(self, bed, address, *, name="resolver", cache=False,
                 stubs=None, options=()):
        self.bed = bed
        self.address = address
        self.folder = bed.new_folder(name)
        self.name = os.path.basename(self.folder)
        self.cache = cache
        self.stubs = stubs or {}
        self.options = list(options)
        self.process = None

    @classmethod
    def for_ca(cls, bed):
        """As public CAs are known to run theirs: random case in questions,
        no shortened names; nothing is cached."""
        return cls(bed, CA_RESOLVER_ADDRESS, name="ca-resolver", options=[
            "use-caps-for-id: yes", "qname-minimisation: no",
            "harden-below-nxdomain: no", "edns-buffer-size: 1232"])

    def config(self):
        lines = [
            f"interface: {self.address}",
            f"outgoing-interface: {self.address}", "port: 53",
            "access-control: 127.0.0.0/8 allow", "do-not-query-localhost: no",
            'username: ""', 'chroot: ""', 'pidfile: ""',
            f'directory: "{self.folder}"', "use-syslog: no", "verbosity: 1",
            "log-time-ascii: yes", 'module-config: "iterator"',
            "do-ip6: no", "num-threads: 1", "unblock-lan-zones: yes",
            'local-zone: "test." nodefault', "minimal-responses: yes",
            f'root-hints: "{self.folder}/root.hints"',
        ] + self.options
        if not self.cache:
            lines += ["cache-max-ttl: 0", "cache-max-negative-ttl: 0"]
        text = "server:\n\t" + "\n\t".join(lines) + "\n"
        for zone, addresses in self.stubs.items():
            text += f'stub-zone:\n\tname: "{zone}"\n' + "".join(
                f"\tstub-addr: {a}\n" for a in addresses)
        return text + "remote-control:\n\tcontrol-enable: no\n"

    def start(self):
        with open(f"{self.folder}/root.hints", "w", encoding="ascii") as file:
            file.write(". 3600 IN NS a.root.\n"
                       f"a.root. 3600 IN A {HIERARCHY_ADDRESS}\n")
        path = os.path.join(self.folder, "unbound.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(self.config())
        argv = [self.bed.private_tool("unbound"), "-d", "-c", path]
        self.process = self.bed.spawn(self.name, argv, self.folder)
        self.process.wait_ready(self._answers, "answers for the root")
        return self

    def _answers(self):
        reply = dnswire.ask(self.address, ".", "NS", recurse=True,
                            timeout_s=0.5)
        return reply.rcode == dnswire.NOERROR and reply.answer

    def stop(self):
        self.process.stop()

"""A site: zones on a primary and its secondaries, delegated from the root."""

from . import dnswire
from .bind import Bind
from .knot import Knot
from .nsd import Nsd
from .powerdns import PowerDns
from .process import wait_until
from .proxy import Proxy
from .zone import Zone

SECONDARIES = {"bind": Bind, "nsd": Nsd, "knot": Knot}


class Behind:
    """A secondary that the world sees only through a misbehaving proxy:
    Behind("nsd", lag_s=5)."""

    def __init__(self, kind, **behaviour):
        self.kind = kind
        self.behaviour = behaviour


class Site:
    """One primary, its secondaries, one TSIG key, any number of zones.

    primary       "bind", "knot" or "powerdns"
    secondaries   of "bind", "nsd", "knot", Behind(...)
    hidden        the primary is not among the zones' name servers
    policy        BIND: update-policy rules without "grant KEY"
    owners        Knot: names that the key may update, relative to the zone
    default_notify  BIND sends NOTIFY by its slow defaults
    ipv6          every server has an IPv6 address, too

    `primary`, `secondaries` and `proxies` are then the running servers;
    `address` is where to send updates; `nameservers` are the addresses that
    a client must watch.
    """

    def __init__(self, bed, *names, primary="bind",
                 secondaries=("bind", "nsd"), hidden=False, policy=None,
                 owners=None, default_notify=False, records=(), key=None,
                 algorithm="hmac-sha256", keyname="acme", ipv6=False):
        self.bed = bed
        self._ipv6 = ipv6
        self.key = key or bed.key(keyname, algorithm)
        self.zones = [Zone(n, records=list(records)) for n in names]
        self.primary = self._make_primary(primary, default_notify)
        self.secondaries, self.proxies, self._delegated = [], [], []
        if not hidden:
            self._delegated.append(self.primary.addresses)
        for kind in secondaries:
            self._add_secondary(kind)
        for zone in self.zones:
            for addresses in self._delegated:
                zone.add_nameserver(*addresses)
        self._rules = {"bind": {"policy": policy},
                       "knot": {"owners": owners}}.get(primary, {})

    def _addresses(self):
        addresses = [self.bed.address()]
        return addresses + [self.bed.address6()] if self._ipv6 else addresses

    def _make_primary(self, kind, default_notify):
        if kind == "bind":
            return Bind(self.bed, name="primary", addresses=self._addresses(),
                        default_notify=default_notify)
        return {"knot": Knot, "powerdns": PowerDns}[kind](
            self.bed, name="primary", addresses=self._addresses())

    def _add_secondary(self, kind):
        behind = isinstance(kind, Behind)
        server = SECONDARIES[kind.kind if behind else kind](
            self.bed, name="secondary", addresses=self._addresses())
        self.secondaries.append(server)
        if behind:
            proxy = Proxy(self.bed, server.address, **kind.behaviour)
            self.proxies.append(proxy)
            self._delegated.append([proxy.address])
        else:
            self._delegated.append(server.addresses)

    @property
    def nameservers(self):
        return [a for addresses in self._delegated for a in addresses]

    @property
    def address(self):
        return self.primary.address

    def zone(self, name):
        """The zone of that name, to add records before start()."""
        return next(z for z in self.zones if z.name == name)

    def start(self):
        """Starts the servers and waits until each has every zone."""
        targets = [s.address for s in self.secondaries]
        for zone in self.zones:
            self.primary.primary(zone, key=self.key, secondaries=targets,
                                 **self._rules)
            for server in self.secondaries:
                server.secondary(zone, self.primary.address)
        self.primary.start()
        for server in self.secondaries + self.proxies:
            server.start()
        return self

    # Looks and changes

    def txt(self, server=None):
        """(name, value) of every TXT record in the zones, by transfer from
        the primary or the server address given."""
        found = []
        for zone in self.zones:
            for record in dnswire.transfer(server or self.address, zone.name):
                if record.type == dnswire.TXT:
                    found.append((record.name.rstrip("."), record.text()))
        return sorted(found)

    def assert_clean(self, *, expecting=()):
        """No TXT record is left at the primary but those expected, and its
        secondaries come to say the same."""
        left = self.txt()
        assert left == sorted(expecting), f"TXT records left: {left}"
        self.wait_in_sync()

    def in_sync(self):
        """Whether every secondary has the primary's serials."""
        return all(server.soa_serial(zone.name)
                   == self.primary.soa_serial(zone.name)
                   for server in self.secondaries for zone in self.zones)

    def wait_in_sync(self, deadline_s=20.0):
        wait_until(self.in_sync, "every secondary has the primary's serial",
                   deadline_s)

    def wait_shown(self, name, value, deadline_s=20.0):
        """Waits until every name server of the zones shows a TXT value."""
        def shown():
            return all(value in dnswire.txt_values(a, name, timeout_s=1.0)
                       for a in self.nameservers)
        wait_until(shown, f"{name} shows {value} everywhere", deadline_s)

    def update(self, *lines, key=None):
        """Sends one signed update by nsupdate(1), with lines like
        'add _acme-challenge.example.com 60 TXT "value"'."""
        text = f"server {self.address}\n" + "".join(
            f"update {line}\n" for line in lines) + "send\n"
        self.bed.run([self.bed.tool("nsupdate"), "-v", "-t", "5", "-k",
                      (key or self.key).path], input=text)

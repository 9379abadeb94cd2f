"""What a test is handed: a Bed that knows whole sites, resolvers, a CA, and
how to run dns01 and its peers against them."""

import os

from .bed import Bed, CA_RESOLVER_ADDRESS, RESOLVER_ADDRESS
from .command import Command, clean_environment
from .pebble import Pebble
from .pki import Certificate
from .resolver import Hierarchy, Resolver
from .site import Site
from .wire import Wire


class TestBed(Bed):
    """One test's world."""

    def __init__(self, folder, **options):
        super().__init__(folder, **options)
        self.hierarchy = Hierarchy(self)
        self._resolvers = {}

    # Places

    def site(self, *names, **options):
        """A running Site, delegated; example.com if no name is given."""
        site = self.new_site(*names, **options)
        return self.start_site(site)

    def new_site(self, *names, **options):
        """A Site that is not started yet: change its zones, then
        start_site()."""
        return Site(self, *(names or ("example.com",)), **options)

    def start_site(self, site):
        site.start()
        self.hierarchy.delegate(*site.zones)
        return site

    def resolver(self, **options):
        """The resolver that /etc/resolv.conf names; started once."""
        return self._resolver(RESOLVER_ADDRESS, lambda: Resolver(
            self, RESOLVER_ADDRESS, **options))

    def ca_resolver(self):
        """The CA's own resolver; started once."""
        return self._resolver(CA_RESOLVER_ADDRESS,
                              lambda: Resolver.for_ca(self))

    def extra_resolver(self, **options):
        """One more, at an address of its own (an inside view by stubs)."""
        address = self.address()
        return self._resolver(address, lambda: Resolver(
            self, address, **options))

    def _resolver(self, address, make):
        if address not in self._resolvers:
            self.hierarchy.start()
            self._resolvers[address] = make().start()
        return self._resolvers[address]

    def pebble(self, *, resolver=None, **options):
        """A running Pebble.  It asks the CA's resolver, or the one given;
        the resolver of /etc/resolv.conf is started as well."""
        self.resolver()
        resolver = resolver or self.ca_resolver()
        return Pebble(self, resolver.address, **options).start()

    def watch_wire(self):
        """Watches every packet from now on; a Wire."""
        return Wire(self)

    # Programs

    def start(self, argv, *, env=None, **options):
        """Starts any command in a clean environment."""
        return Command(self, argv,
                       env=clean_environment(self, **(env or {})), **options)

    def dns01(self, *arguments, timeout_s=120.0, env=None):
        """Runs dns01 to its end; a Result."""
        return self.start_dns01(*arguments, env=env).wait(timeout_s)

    def start_dns01(self, *arguments, env=None):
        """Starts dns01; a Command."""
        return self.start([self.tool("dns01"), *arguments], env=env,
                          name="dns01")

    def state(self, name="state"):
        """A state folder for dns01; the same name gives the same folder."""
        path = os.path.join(self.dir, name)
        os.makedirs(path, mode=0o700, exist_ok=True)
        return path

    def issue_arguments(self, pebble, site, *names, lineage="test",
                        state=None, settings=(), more=()):
        """dns01's arguments to issue without a configuration file.

        settings are further --set NAME=VALUE; more are further options.
        """
        arguments = ["issue", "--ca", pebble.directory, "--ca-root",
                     pebble.ca_root, "--agree-tos", "--state",
                     state or self.state(), "--provider", "rfc2136",
                     "--set", f"server={site.address}",
                     "--set", f"tsig_key_file={site.key.path}"]
        for setting in settings:
            arguments += ["--set", setting]
        return arguments + [*more, "--name", lineage, *names]

    def issue(self, pebble, site, *names, timeout_s=120.0, **options):
        """Runs dns01 issue by flags; a Result."""
        return self.dns01(
            *self.issue_arguments(pebble, site, *names, **options),
            timeout_s=timeout_s)

    def start_issue(self, pebble, site, *names, **options):
        """Starts dns01 issue by flags; a Command."""
        return self.start_dns01(
            *self.issue_arguments(pebble, site, *names, **options))

    # Certificates

    def current(self, lineage="test", state=None):
        """The folder that holds a lineage's current certificate."""
        return os.path.join(state or self.state(), "certs", lineage,
                            "current")

    def certificate(self, path):
        return Certificate(self, path)

    def assert_issued(self, pebble, names, *, lineage="test", state=None,
                      key_type="p256"):
        """A lineage's files are a whole, valid certificate for exactly
        these names, whose chain ends at Pebble's root; gives it."""
        folder = self.current(lineage, state)
        full = self.certificate(os.path.join(folder, "fullchain.pem"))
        leaf = self.certificate(os.path.join(folder, "cert.pem"))
        assert full.names == sorted(names), full.names
        assert full.key_type == key_type, full.key_type
        assert leaf.serial == full.serial
        key = os.path.join(folder, "privkey.pem")
        assert os.stat(key).st_mode & 0o077 == 0, "the key is not private"
        full.assert_key(key)
        full.assert_chains_to(pebble.issuing_root())
        leaf.assert_chains_to(pebble.issuing_root(),
                              os.path.join(folder, "chain.pem"))
        return full

    # Peers

    def lego(self, pebble, site, *names, folder=None, more=()):
        """Runs lego with its rfc2136 provider; a Result."""
        domains = [part for n in names for part in ("--domains", n)]
        argv = [self.tool("lego"), "--server", pebble.directory,
                "--accept-tos", "--email", "admin@example.com", "--path",
                folder or self.new_folder("lego"), "--dns", "rfc2136",
                "--dns.resolvers", f"{self.resolver().address}:53",
                *domains, *more, "run"]
        env = {"LEGO_CA_CERTIFICATES": pebble.ca_root,
               "RFC2136_NAMESERVER": f"{site.address}:53",
               "RFC2136_TSIG_KEY": site.key.name,
               "RFC2136_TSIG_ALGORITHM": f"{site.key.algorithm}.",
               "RFC2136_TSIG_SECRET": site.key.secret,
               "RFC2136_POLLING_INTERVAL": "1",
               "RFC2136_SEQUENCE_INTERVAL": "1"}
        return self.start(argv, env=env, name="lego").wait(180)

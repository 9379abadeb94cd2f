"""Split horizons: the same names in two views, and never the wrong one."""

from testbed import Bind, Zone, dnswire
from testbed.bed import RESOLVER_ADDRESS
from testbed.config import account, certificate, write_config, zone

SUFFIX = "example.com"
NAME = "_acme-challenge.example.com"
NAMES = ("*.example.com", "example.com")


class Horizon:
    """example.com twice: an inside and a public side, each with a key, a
    zone and a secondary of its own.  One BIND has both in views chosen by
    key, or each has its own BIND (one_server=False)."""

    def __init__(self, bed, *, one_server=True):
        self.bed = bed
        self.keys = {view: bed.key(view) for view in ("inside", "public")}
        self.zones = {view: Zone(SUFFIX) for view in self.keys}
        self.primaries = dict.fromkeys(self.keys, Bind(bed, name="primary"))
        if not one_server:
            self.primaries["inside"] = Bind(bed, name="inside")
        self.one_server = one_server
        self.secondaries = {view: Bind(bed, name="secondary")
                            for view in self.keys}
        self._fill()
        bed.hierarchy.delegate(self.zones["public"])
        self.resolver = bed.extra_resolver(
            stubs={SUFFIX: self.zones["inside"].addresses})

    def _fill(self):
        if self.one_server:
            self.primaries["public"].view("inside", self.keys["inside"])
            self.primaries["public"].view("public")
        for view, key in self.keys.items():
            secondary = self.secondaries[view]
            zone_ = self.zones[view]
            zone_.records = [f'@ TXT "{view}"']
            zone_.add_nameserver(secondary.address)
            if view == "public":
                zone_.add_nameserver(self.primaries[view].address)
            self.primaries[view].primary(
                zone_, key=key, secondaries=[secondary.address],
                view=view if self.one_server else "")
            secondary.secondary(zone_, self.primaries[view].address, key=key)
        for server in set(self.primaries.values()):
            server.start()
        for server in self.secondaries.values():
            server.start()

    def serial(self, view):
        return self.primaries[view].soa_serial(
            SUFFIX, view if self.one_server else "")

    def txt(self, view):
        """The TXT records of one view's zone at its primary."""
        out = self.bed.run([
            self.bed.tool("dig"), "+noall", "+answer", "+onesoa", "-k",
            self.keys[view].path, f"@{self.primaries[view].address}", SUFFIX,
            "AXFR"])
        rows = [line.split(maxsplit=4) for line in out.splitlines()]
        return [(r[0].rstrip("."), r[4].strip('"')) for r in rows
                if r[3] == "TXT"]

    def assert_clean(self):
        for view in self.keys:
            assert self.txt(view) == [(SUFFIX, view)], self.txt(view)

    def providers(self, **keys):
        """One provider for each view; inside="public" signs the inside
        view's updates with the other view's key."""
        return [{"name": view, "type": "rfc2136",
                 "server": self.primaries[view].address,
                 "tsig_key_file": self.keys[keys.get(view, view)].path}
                for view in self.keys]

    def zone_settings(self, **inside):
        """The parent's delegation leads to the public servers, so the
        inside view names its own."""
        inside.setdefault("servers", self.zones["inside"].addresses)
        return [zone(SUFFIX, "public", view="public"),
                zone(SUFFIX, "inside", view="inside",
                     resolvers=[self.resolver.address], **inside)]


class World:
    """A horizon, a CA on each side, and the configuration for all."""

    def __init__(self, bed, *, keys=None, one_server=True, **zone_settings):
        self.bed = bed
        self.horizon = Horizon(bed, one_server=one_server)
        self.pebbles = {"public": bed.pebble(),
                        "inside": bed.pebble(resolver=self.horizon.resolver)}
        self.conf = write_config(
            bed,
            accounts=[account(pebble, name=view, view=view)
                      for view, pebble in self.pebbles.items()],
            providers=self.horizon.providers(**(keys or {})),
            zones=self.horizon.zone_settings(**zone_settings),
            certificates=[certificate(*NAMES, lineage=view, account=view)
                          for view in self.pebbles])
        self.wire = bed.watch_wire()

    def issue(self, *lineages):
        return self.bed.dns01("issue", "-c", self.conf, *lineages)

    def assert_issued(self, view):
        self.bed.assert_issued(self.pebbles[view], NAMES, lineage=view)

    def signers(self):
        """The names of the keys that signed updates."""
        return {u.message.additional[-1].name.rstrip(".")
                for u in self.wire.updates()}


def _only_this_view_changes(bed, view, **options):
    other = {"inside": "public", "public": "inside"}[view]
    world = World(bed, **options)
    horizon = world.horizon
    before = {v: horizon.serial(v) for v in horizon.keys}
    world.issue(view).assert_ok()
    world.assert_issued(view)
    assert horizon.serial(view) > before[view]
    assert horizon.serial(other) == before[other]
    assert world.signers() == {view}
    horizon.assert_clean()
    return world


def test_account_of_the_inside_view_changes_the_inside_zone_only(bed):
    _only_this_view_changes(bed, "inside")


def test_account_of_the_public_view_changes_the_public_zone_only(bed):
    _only_this_view_changes(bed, "public")


def test_views_on_two_primaries_get_their_own_updates(bed):
    world = _only_this_view_changes(bed, "inside", one_server=False)
    assert {u.server for u in world.wire.updates()} == {
        world.horizon.primaries["inside"].address}


def test_one_run_issues_in_both_views(bed):
    world = World(bed)
    world.issue().assert_ok()
    for view in world.pebbles:
        world.assert_issued(view)
    assert world.signers() == {"inside", "public"}
    world.horizon.assert_clean()


def test_two_runs_at_once_in_both_views_do_not_disturb_each_other(bed):
    world = World(bed)
    runs = [bed.start_dns01("issue", "-c", world.conf, view)
            for view in world.pebbles]
    for run in runs:
        run.wait().assert_ok()
    for view, pebble in world.pebbles.items():
        world.assert_issued(view)
        assert pebble.issued() == 1
    world.horizon.assert_clean()


def test_each_view_asks_its_own_resolver_and_watches_its_own_servers(bed):
    world = World(bed)
    wire, horizon = world.wire, world.horizon
    inside = horizon.resolver.address
    public = [r.address for r in (bed.resolver(), bed.ca_resolver())]
    world.issue("inside").assert_ok()
    assert not wire.messages(server=RESOLVER_ADDRESS)
    assert wire.messages(server=inside)
    watched = {m.server for m in wire.messages(name=NAME, qtype="TXT")}
    assert watched <= {horizon.secondaries["inside"].address,
                       horizon.primaries["inside"].address, inside}, watched
    asked_before = len(wire.messages(server=inside))
    world.issue("public").assert_ok()
    assert len(wire.messages(server=inside)) == asked_before
    assert wire.messages(server=public[0])
    horizon.assert_clean()


def test_servers_of_the_public_delegation_are_named_with_what_to_set(bed):
    world = World(bed, servers=[])
    world.issue("inside").assert_failed(
        "ns2.example.com", "parent's delegation", "`servers`", code=11)
    assert not world.pebbles["inside"].challenges_answered()
    world.horizon.assert_clean()


def test_probe_tries_the_view_that_is_named(bed):
    world = World(bed)
    before = world.horizon.serial("public")
    result = bed.dns01("probe", "-c", world.conf, "--view", "inside",
                       SUFFIX).assert_ok()
    assert world.horizon.secondaries["inside"].address in result.out
    assert world.signers() == {"inside"}
    assert world.horizon.serial("public") == before
    world.horizon.assert_clean()


def test_value_published_in_the_wrong_view_never_shows_and_is_removed(bed):
    """The inside zone's updates are signed with the public view's key: BIND
    takes them into the public zone."""
    world = World(bed, keys={"inside": "public"}, deadline="1s")
    result = world.issue("inside")
    result.assert_failed(world.horizon.secondaries["inside"].address, NAME,
                         code=75)
    assert not world.pebbles["inside"].challenges_answered()
    assert world.signers() == {"public"}
    world.horizon.assert_clean()


def test_name_that_the_accounts_view_does_not_hold_is_refused(bed):
    world = World(bed)
    bed.site("example.org", keyname="other", secondaries=())
    result = bed.dns01("issue", "-c", world.conf, "--account", "inside",
                       "--name", "other", "www.example.org")
    result.assert_failed("www.example.org", 'view "inside"', "zone", code=78)
    assert not world.wire.updates()
    world.horizon.assert_clean()


def test_retract_works_in_the_view_that_is_named(bed):
    world = World(bed)
    horizon, value = world.horizon, "left behind"
    for view, key in horizon.keys.items():
        bed.run([bed.tool("nsupdate"), "-k", key.path], input=(
            f"server {horizon.primaries[view].address}\n"
            f'update add {NAME} 60 TXT "{value}"\nsend\n'))
    bed.dns01("retract", "-c", world.conf, "--view", "inside", SUFFIX,
              value).assert_ok()
    assert horizon.txt("inside") == [(SUFFIX, "inside")]
    assert (NAME, value) in horizon.txt("public")
    bed.dns01("retract", "-c", world.conf, "--view", "public", SUFFIX,
              value).assert_ok()
    horizon.assert_clean()


def test_secondary_of_the_other_view_is_not_what_is_watched(bed):
    """The public servers lag or fail: the inside view does not care."""
    world = World(bed)
    world.horizon.secondaries["public"].stop()
    world.issue("inside").assert_ok()
    assert dnswire.serial(world.horizon.secondaries["inside"].address,
                          SUFFIX) > 1
    world.horizon.assert_clean()

"""Primaries of several makers, hidden ones, keys of several algorithms."""

import signal

from testbed import Bind, Zone, dnswire
from testbed.config import site_config

NAME = "_acme-challenge.example.com"
NAMES = ("*.example.com", "example.com")


def issued(bed, site, *, settings=(), sibling=True):
    """A certificate from a strict Pebble; somebody else's value stays."""
    pebble = bed.pebble(reject_nonces=5)
    kept = []
    if sibling:
        site.update(f'add {NAME} 60 TXT "somebody-else"')
        site.wait_shown(NAME, "somebody-else")
        kept = [(NAME, "somebody-else")]
    result = bed.issue(pebble, site, *NAMES, settings=settings).assert_ok()
    bed.assert_issued(pebble, NAMES)
    site.assert_clean(expecting=kept)
    return result


def test_bind_with_nsd_and_knot_as_secondaries(bed):
    issued(bed, bed.site(secondaries=("nsd", "knot")))


def test_knot_with_nsd_as_secondary(bed):
    issued(bed, bed.site(primary="knot", secondaries=("nsd",)))


def test_powerdns_with_bind_as_secondary(bed):
    issued(bed, bed.site(primary="powerdns", secondaries=("bind",)))


def test_hidden_primary(bed):
    site = bed.site(secondaries=("bind", "nsd"), hidden=True)
    wire = bed.watch_wire()
    issued(bed, site, sibling=False)
    # Only its updates and their signed read-back go there.
    unsigned = [m for m in wire.messages(server=site.address)
                if m.type == "TXT" and m.source in (site.address, "127.0.0.1")
                and not any(r.type == dnswire.TSIG
                            for r in m.message.additional)]
    assert unsigned == [], unsigned


def test_updates_by_udp(bed):
    for kind in ("bind", "knot"):
        site = bed.site(primary=kind, secondaries=())
        wire = bed.watch_wire()
        result = bed.dns01("probe", "example.com", "--state", bed.state(kind),
                           "--provider", "rfc2136", "--set",
                           f"server={site.address}", "--set",
                           f"tsig_key_file={site.key.path}", "--set",
                           "transport=udp", "--server", site.address,
                           "--zone", "example.com")
        bed.resolver()
        result.assert_ok()
        seen = wire.updates(server=site.address)
        assert len(seen) == 2 and {m.transport for m in seen} == {"udp"}
        site.assert_clean()


def test_sha384(bed):
    issued(bed, bed.site(secondaries=(), algorithm="hmac-sha384"))


def test_sha512_on_knot(bed):
    issued(bed, bed.site(primary="knot", secondaries=(),
                         algorithm="hmac-sha512"))


def test_unsigned_updates_to_a_server_that_goes_by_address(bed):
    zone = Zone("example.com")
    server = Bind(bed, name="primary")
    zone.add_nameserver(server.address)
    server.primary(zone)
    server._views[""][0] = server._views[""][0].replace(
        "type primary;", "type primary;\n\tallow-update { 127.0.0.0/8; };")
    server.start()
    bed.hierarchy.delegate(zone)
    bed.resolver()
    probe = ["probe", "example.com", "--state", bed.state(), "--provider",
             "rfc2136", "--set", f"server={server.address}"]
    bed.dns01(*probe).assert_failed("tsig_key_file", "unsigned")
    bed.dns01(*probe, "--set", "unsigned=true").assert_ok()
    assert dnswire.txt_values(server.address, NAME) == []


def test_key_file_with_comments(bed):
    site = bed.site(secondaries=())
    bed.resolver()
    path = bed.write("keys/commented.key", (
        "# made by hand\n// for dns01\n/* and\n more */\n"
        f"key {site.key.name} {{ # ours\n  secret \"{site.key.secret}\";\n"
        "  algorithm HMAC-SHA256; };\n"), 0o600)
    bed.dns01("probe", "example.com", "--state", bed.state(), "--provider",
              "rfc2136", "--set", f"server={site.address}", "--set",
              f"tsig_key_file={path}").assert_ok()
    site.assert_clean()


def test_primary_that_restarts_before_the_retraction(bed):
    """The kept connection is gone; the record leaves all the same."""
    site = bed.site(secondaries=())
    pebble = bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES,
                       zone_settings={"settle": "2s"})
    command = bed.start_dns01("issue", "-c", conf)
    command.wait_for(lambda _: dnswire.txt_values(site.address, NAME),
                     "it has published")
    site.primary.process.kill()
    site.primary.start()
    result = command.wait()
    bed.dns01("sweep", "-c", conf).assert_ok()
    assert result.code == 0 or "example.com" in result.err, result
    site.assert_clean()


def test_primary_that_hangs_while_it_retracts(bed):
    """Nothing is lost: the run says what is left, a sweep removes it."""
    site = bed.site(secondaries=())
    pebble = bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES,
                       zone_settings={"settle": "2s"},
                       provider_settings={"timeout": "1s"})
    command = bed.start_dns01("issue", "-c", conf)
    command.wait_for(lambda _: dnswire.txt_values(site.address, NAME),
                     "it has published")
    site.primary.process.signal(signal.SIGSTOP)
    command.signal(signal.SIGINT)
    result = command.wait()
    site.primary.process.signal(signal.SIGCONT)
    assert result.code != 0 and "sweep" in result.err, result
    bed.dns01("sweep", "-c", conf).assert_ok()
    site.assert_clean()

"""The test bed itself: what the other tests stand on."""

import os
import time

from testbed import (Behind, Bind, NotifyRelay, Nsd, Zone, dnswire,
                     wait_until)

NAME = "_acme-challenge.example.com"


def test_bind_primary_propagates_an_update_to_bind_and_nsd(bed):
    site = bed.site()
    before = site.primary.soa_serial("example.com")
    site.update(f'add {NAME} 60 TXT "one"', f'add {NAME} 60 TXT "two"')
    for value in ("one", "two"):
        site.wait_shown(NAME, value)
    assert len(site.nameservers) == 3
    for address in site.nameservers:
        assert dnswire.serial(address, "example.com") > before
        assert dnswire.txt_values(address, NAME, tcp=True) == ["one", "two"]
        assert site.txt(address) == [(NAME, "one"), (NAME, "two")]
    site.update(f'delete {NAME} TXT "one"')
    site.assert_clean(expecting=[(NAME, "two")])


def test_update_policy_denies_other_names(bed):
    site = bed.site(policy=[f"name {NAME}. TXT"], secondaries=())
    site.update(f'add {NAME} 60 TXT "good"')
    try:
        site.update('add www.example.com 60 TXT "bad"')
    except AssertionError as error:
        assert "REFUSED" in str(error)
    else:
        raise AssertionError("an update that the policy denies was taken")
    site.assert_clean(expecting=[(NAME, "good")])


def test_key_file_is_private_and_a_wrong_secret_is_refused(bed):
    site = bed.site(secondaries=())
    assert os.stat(site.key.path).st_mode & 0o777 == 0o600
    wrong = bed.key(site.key.name, filename="wrong.key")
    try:
        site.update(f'add {NAME} 60 TXT "x"', key=wrong)
    except AssertionError as error:
        assert "BADSIG" in str(error)
    else:
        raise AssertionError("a wrong secret was taken")
    site.assert_clean()


def test_a_program_can_have_a_wrong_clock(bed):
    date = bed.start(["date", "+%s"], env=bed.clock_offset(-900)).wait()
    assert -905 < int(date.assert_ok().out) - time.time() < -895


def test_servers_answer_by_ipv6_too(bed):
    site = bed.site(secondaries=("bind", "nsd", "knot"), ipv6=True)
    assert sum(":" in a for a in site.nameservers) == 4
    site.update(f'add {NAME} 60 TXT "x"')
    site.wait_shown(NAME, "x")
    reply = dnswire.ask(bed.resolver().address, "ns1.example.com", "AAAA",
                        recurse=True)
    assert [r.type for r in reply.answer] == [dnswire.AAAA]


def test_default_notify_timers_space_two_secondaries(bed):
    site = bed.site(default_notify=True)
    began = time.monotonic()
    site.update(f'add {NAME} 60 TXT "x"')
    site.wait_shown(NAME, "x")
    assert time.monotonic() - began > 0.4


def _primary_takes_an_update(bed, kind, **options):
    site = bed.site(primary=kind, **options)
    site.update(f'add {NAME} 60 TXT "x"')
    site.wait_shown(NAME, "x")
    site.update(f'delete {NAME} TXT "x"')
    site.assert_clean()


def test_knot_primary_takes_a_signed_update(bed):
    _primary_takes_an_update(bed, "knot", owners=["_acme-challenge"],
                             secondaries=("knot", "nsd"))


def test_powerdns_primary_takes_a_signed_update(bed):
    _primary_takes_an_update(bed, "powerdns")


def test_views_are_chosen_by_key(bed):
    inside, public = bed.key("inside"), bed.key("public")
    server = Bind(bed)
    server.view("inside", inside)
    server.view("public")
    for view, key in (("inside", inside), ("public", public)):
        zone = Zone("example.com", records=[f'@ TXT "{view}"'])
        zone.add_nameserver(server.address)
        server.primary(zone, key=key, view=view)
    server.start()
    assert dnswire.txt_values(server.address, "example.com") == ["public"]
    dig = [bed.tool("dig"), "+short", "-k", inside.path,
           f"@{server.address}", "example.com", "TXT"]
    assert bed.run(dig) == '"inside"\n'


def test_resolver_finds_zones_from_the_root(bed):
    site = bed.site("example.com", "example.org")
    resolver = bed.resolver()
    for zone in site.zones:
        reply = dnswire.ask(resolver.address, zone.name, "NS", recurse=True)
        assert len([r for r in reply.answer if r.type == dnswire.NS]) == 3
    late = bed.site("late.net", secondaries=(), keyname="late")
    reply = dnswire.ask(resolver.address, "ns1.late.net", "A", recurse=True)
    assert reply.answer[0].rdata == bytes(
        map(int, late.address.split(".")))


def test_lagging_proxy_shows_a_value_late(bed):
    site = bed.site(secondaries=(Behind("nsd", lag_s=1.0),))
    proxy = site.proxies[0]
    site.update(f'add {NAME} 60 TXT "new"')
    site.wait_in_sync()
    began = time.monotonic()
    reply = dnswire.ask(proxy.address, NAME)
    assert reply.txt() == [] and reply.authoritative
    assert [r.type for r in reply.authority] == [dnswire.SOA]
    site.wait_shown(NAME, "new")
    assert 0.9 < time.monotonic() - began < 3
    assert proxy.first_shown(NAME, "new") - began > 0.9
    assert proxy.questions(NAME, "TXT")[0].transport == "udp"
    assert proxy.highest_rate() > 1


def test_proxy_is_silent_refuses_is_lame_truncates_and_is_closed(bed):
    site = bed.site(secondaries=(Behind("bind"),))
    proxy = site.proxies[0]
    assert dnswire.ask(proxy.address, "example.com", "SOA").authoritative
    proxy.rcode = dnswire.REFUSED
    assert dnswire.ask(proxy.address, NAME).rcode == dnswire.REFUSED
    proxy.rcode = None
    proxy.lame = True
    assert not dnswire.ask(proxy.address, "example.com", "SOA").authoritative
    proxy.lame = False
    proxy.truncate = True
    proxy.log.clear()
    assert dnswire.ask(proxy.address, "example.com", "SOA").answer
    assert [q.transport for q in proxy.questions()] == ["udp", "tcp"]
    proxy.silent = True
    _assert_no_answer(proxy.address, TimeoutError)
    proxy.stop()
    _assert_no_answer(proxy.address, ConnectionRefusedError)


def _assert_no_answer(address, kind):
    for tcp in (False, True):
        try:
            dnswire.ask(address, NAME, tcp=tcp, timeout_s=0.3)
        except kind:
            continue
        raise AssertionError(f"{address} answered (tcp={tcp})")


def test_wire_sees_questions_updates_and_connections(bed):
    wire = bed.watch_wire()
    site = bed.site(secondaries=("bind",))
    server = site.secondaries[0].address
    assert dnswire.ask(server, NAME).txt() == []
    site.update(f'add {NAME} 60 TXT "x"')
    site.wait_shown(NAME, "x")
    asked = len(wire.messages(server=server, name=NAME))
    assert asked >= 2
    shown = wire.shown(server, NAME, ["x"])
    assert shown and not wire.asked_after_shown(server, NAME, ["x"])
    assert wire.shown(server, NAME, ["x", "y"]) is None
    assert dnswire.txt_values(server, NAME, tcp=True) == ["x"]
    assert len(wire.asked_after_shown(server, NAME, ["x"])) == 1
    assert len(wire.messages(server=server, name=NAME)) == asked + 1
    updates = wire.updates(server=site.address)
    assert [u.name for u in updates] == ["example.com"]
    assert updates[0].message.additional[-1].type == dnswire.TSIG
    assert wire.highest_rate(server, name=NAME) == asked
    pebble = bed.pebble()
    before = len(wire.connections(pebble.port))
    pebble.get(pebble.directory)
    assert len(wire.connections(pebble.port)) == before + 1


def test_notify_relay_makes_a_real_secondary_lag(bed):
    zone, key = Zone("example.com"), bed.key()
    primary, secondary = Bind(bed), Nsd(bed)
    for server in (primary, secondary):
        zone.add_nameserver(server.address)
    relay = NotifyRelay(bed, secondary.address, 1.0).start()
    primary.primary(zone, key=key, secondaries=[relay.address])
    secondary.secondary(zone, primary.address, notifiers=[relay.address])
    primary.start()
    secondary.start()
    before = secondary.soa_serial("example.com")
    began = time.monotonic()
    bed.run([bed.tool("nsupdate"), "-k", key.path], input=(
        f"server {primary.address}\nupdate add {NAME} 60 TXT x\nsend\n"))
    assert primary.soa_serial("example.com") > before
    assert secondary.soa_serial("example.com") == before
    wait_until(lambda: secondary.soa_serial("example.com") > before,
               "the secondary has the new zone")
    assert time.monotonic() - began > 0.9


def test_pebble_answers_over_https_that_the_made_ca_vouches_for(bed):
    bed.site(secondaries=())
    pebble = bed.pebble(profiles={"short": 518400})
    assert b"newOrder" in pebble.get(pebble.directory)
    assert b'"short"' in pebble.get(pebble.directory)
    assert bed.certificate(pebble.issuing_root()).subject
    assert pebble.count("/dir", "GET") >= 2


def test_lego_issues_a_wildcard_and_its_apex(bed):
    site = bed.site(secondaries=("bind",))
    pebble = bed.pebble(reject_nonces=5)
    folder = bed.new_folder("lego")
    result = bed.lego(pebble, site, "*.example.com", "example.com",
                      folder=folder).assert_ok()
    leaf = bed.certificate(f"{folder}/certificates/_.example.com.crt")
    assert leaf.names == ["*.example.com", "example.com"]
    leaf.assert_key(f"{folder}/certificates/_.example.com.key")
    leaf.assert_chains_to(pebble.issuing_root())
    assert pebble.issued() == 1
    assert pebble.count("/chalZ/") == len(pebble.challenges_answered()) >= 2
    assert result.cpu_s > 0 and result.max_rss_kib > 1000
    site.assert_clean()

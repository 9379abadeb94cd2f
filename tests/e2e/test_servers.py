"""Name servers that lag, lose, lie or are dead, and who is asked instead."""

from testbed import Behind, dnswire, namespace, time_limit
from testbed.config import site_config
from testbed.doh import Doh

NAME = "_acme-challenge.example.com"
NAMES = ("*.example.com", "example.com")
DNS_WRONG, NOT_NOW = 11, 75


def watched(bed, site, *more, conf=None, **settings):
    """A probe with a short deadline."""
    bed.resolver()
    arguments = ["--state", bed.state(), "--provider", "rfc2136", "--set",
                 f"server={site.address}", "--set",
                 f"tsig_key_file={site.key.path}", "--deadline", "4s"]
    return bed.dns01("probe", "example.com",
                     *(["-c", conf] if conf else arguments), *more)


def answered_after_shown(bed, site, pebble, *names):
    """No challenge was answered before each proxy had shown its values."""
    shown = max(p.first_shown(NAME) for p in site.proxies)
    assert min(pebble.challenges_answered()) >= shown
    bed.assert_issued(pebble, names)
    site.assert_clean()


def test_secondary_that_lags_5_s_is_waited_for(bed):
    site = bed.site(secondaries=("bind", Behind("nsd", lag_s=5)))
    pebble = bed.pebble(reject_nonces=5)
    result = bed.issue(pebble, site, *NAMES).assert_ok()
    answered_after_shown(bed, site, pebble, *NAMES)
    # As long as needed: the poll that saw it came at most a tenth later.
    late = pebble.challenges_answered()[0] - site.proxies[0].first_shown(NAME)
    assert late < 2, late
    assert 5 < result.seconds < 15, result.seconds


def test_silent_server_fails_by_name(bed):
    site = bed.site(secondaries=("bind", Behind("bind", silent=True)))
    result = watched(bed, site)
    result.assert_failed("ns3.example.com", site.proxies[0].address)
    assert result.code in (DNS_WRONG, NOT_NOW), result
    site.assert_clean()


def test_silent_server_is_passed_over_by_quorum_reachable(bed):
    site = bed.site(secondaries=("bind", Behind("bind", silent=True)))
    result = watched(bed, site, "--quorum", "reachable", "--deadline", "30s")
    result.assert_ok()
    assert "unreachable" in result.out + result.err, result
    site.assert_clean()


def test_closed_port_fails_by_name_and_passes_by_number(bed):
    site = bed.site(secondaries=("bind", Behind("bind")))
    site.proxies[0].stop()
    watched(bed, site).assert_failed("ns3.example.com")
    watched(bed, site, "--quorum", "2", "--deadline", "30s").assert_ok()
    site.assert_clean()


def test_refusing_server_fails_by_name(bed):
    site = bed.site(secondaries=(
        "bind", Behind("bind", rcode=dnswire.REFUSED)))
    watched(bed, site).assert_failed(
        "ns3.example.com", "REFUSED", code=DNS_WRONG)
    site.assert_clean()


def test_refusing_server_is_passed_over_by_quorum_reachable(bed):
    site = bed.site(secondaries=(
        "bind", Behind("bind", rcode=dnswire.REFUSED)))
    watched(bed, site, "--quorum", "reachable").assert_ok()
    site.assert_clean()


def test_refusing_server_is_passed_over_by_ignore(bed):
    site = bed.site(secondaries=(
        "bind", Behind("bind", rcode=dnswire.REFUSED)))
    pebble = bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES, zone_settings={
        "ignore": ["ns3.example.com"], "deadline": "5s"})
    result = watched(bed, site, conf=conf).assert_ok()
    assert "ignore" in result.out + result.err, result
    site.assert_clean()


def test_lame_server_fails_by_name(bed):
    site = bed.site(secondaries=("bind", Behind("bind", lame=True)))
    watched(bed, site).assert_failed("ns3.example.com", "author")
    site.assert_clean()


def test_nobody_that_shows_it_is_told_with_the_setting(bed):
    site = bed.site(secondaries=(Behind("bind", rcode=dnswire.SERVFAIL),),
                    hidden=True)
    result = watched(bed, site)
    result.assert_failed("servers")
    site.assert_clean()


def test_truncated_answers_are_asked_for_by_tcp(bed):
    site = bed.site(secondaries=(Behind("bind", truncate=True),))
    watched(bed, site).assert_ok()
    kinds = {q.transport for q in site.proxies[0].questions(NAME, "TXT")}
    assert kinds == {"udp", "tcp"} or kinds == {"tcp"}, kinds
    site.assert_clean()


def test_loss_of_a_third_is_lived_with(bed):
    site = bed.site(secondaries=(Behind("bind", loss=0.33),
                                 Behind("nsd", loss=0.33)))
    watched(bed, site, "--deadline", "60s").assert_ok()
    site.assert_clean()


def test_nobody_is_asked_again_who_has_shown_it(bed):
    site = bed.site(secondaries=("bind", Behind("bind", lag_s=2)))
    resolver = bed.resolver()
    wire = bed.watch_wire()
    watched(bed, site, "--deadline", "30s").assert_ok()
    for address in site.nameservers:
        asked = [m for m in wire.asked_after_shown(
            address, NAME, shown_values(wire, address),
            excluding=[resolver.address])
            if not any(r.type == dnswire.TSIG for r in m.message.additional)]
        if address != site.address:
            assert asked == [], (address, asked)
    site.assert_clean()


def shown_values(wire, address):
    values = set()
    for reply in wire.messages(replies=True, server=address, name=NAME,
                               qtype="TXT"):
        values |= set(reply.message.txt(NAME))
    return values


def test_settle_asks_once_more(bed):
    site = bed.site(secondaries=(Behind("bind"),))
    result = watched(bed, site, "--settle", "1s").assert_ok()
    asked = [q for q in site.proxies[0].questions(NAME, "TXT") if q.shown]
    assert len(asked) >= 2
    assert asked[-1].time - asked[0].time > 0.9
    assert result.seconds > 1
    site.assert_clean()


@time_limit(180)
def test_a_hundred_names_stay_below_the_rate_limit(bed):
    site = bed.site(secondaries=(Behind("nsd", lag_s=1), "bind"))
    pebble = bed.pebble()
    names = [f"h{n}.example.com" for n in range(100)]
    resolvers = [bed.resolver().address, bed.ca_resolver().address]
    wire = bed.watch_wire()
    bed.issue(pebble, site, *names).assert_ok()
    for address in site.nameservers:
        rate = wire.highest_rate(address, excluding=resolvers)
        assert rate <= 50, f"{rate} a second to {address}"
    bed.assert_issued(pebble, names)
    site.assert_clean()


def test_ipv6_servers_are_watched_too(bed):
    site = bed.site(secondaries=("bind", "nsd"), ipv6=True)
    result = watched(bed, site, "--deadline", "20s").assert_ok()
    for address in site.nameservers:
        assert address in result.out, result
    site.assert_clean()


def test_servers_setting_replaces_the_zones_own(bed):
    site = bed.site(secondaries=("bind", Behind("bind", silent=True)))
    result = watched(bed, site, "--server", site.address, "--server",
                     site.secondaries[0].address)
    result.assert_ok()
    assert site.proxies[0].questions(NAME) == []
    site.assert_clean()


def test_watch_by_resolvers_asks_no_name_server(bed):
    site = bed.site(secondaries=("bind", Behind("bind", silent=True)))
    resolver = bed.extra_resolver()
    wire = bed.watch_wire()
    result = watched(bed, site, "--watch", "resolvers", "--resolver",
                     resolver.address, "--deadline", "20s")
    result.assert_ok()
    asked = [m for m in wire.messages(name=NAME, qtype="TXT",
                                      server=resolver.address)]
    assert asked, "the resolver was not asked"
    site.assert_clean()


def trust_by_system(bed, root):
    """The bed's own folder of hashed roots over the system's."""
    with open(root, encoding="ascii") as file:
        bed.write("roots/root.pem", file.read())
    folder = bed.path("roots")
    bed.run([bed.tool("openssl"), "rehash", folder])
    namespace.mount(["--bind", folder, "/etc/ssl/certs"])


def test_watch_by_resolvers_over_https(bed):
    site = bed.site(secondaries=("bind",))
    doh = Doh(bed, bed.resolver().address)
    pebble = bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES, zone_settings={
        "watch": "resolvers", "resolvers": [doh.url], "deadline": "20s"})
    trust_by_system(bed, doh.ca_root)
    watched(bed, site, conf=conf).assert_ok()
    assert (NAME, dnswire.TXT) in doh.questions
    site.assert_clean()


def test_watch_by_provider_asks_nobody(bed):
    site = bed.site(secondaries=(Behind("bind"),))
    watched(bed, site, "--watch", "provider").assert_ok()
    assert [q for q in site.proxies[0].questions(NAME, "TXT")] == []
    site.assert_clean()


def test_ttl_setting_is_published(bed):
    site = bed.site(secondaries=())
    pebble = bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES,
                       zone_settings={"ttl": 7, "settle": "1s"})
    wire = bed.watch_wire()
    watched(bed, site, conf=conf).assert_ok()
    ttls = {r.ttl for m in wire.messages(replies=True, name=NAME, qtype="TXT")
            for r in m.message.answer if r.type == dnswire.TXT}
    assert ttls == {7}, ttls
    site.assert_clean()

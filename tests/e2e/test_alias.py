"""Aliases: a CNAME or DNAME at the challenge's name leads elsewhere."""

from testbed.config import (account, certificate, rfc2136, write_config,
                            zone)

NAME = "_acme-challenge.example.com"
TARGET = "_acme-challenge.example.com.validation.org"
NAMES = ("*.example.com", "example.com")


def _two_sites(bed, *records, secondaries=(), **options):
    """example.com with these records, and validation.org with a primary and
    a key of its own."""
    site = bed.site("example.com", records=records, secondaries=(), **options)
    target = bed.site("validation.org", keyname="second",
                      secondaries=secondaries)
    return site, target


def _config(bed, pebble, site, target, names=NAMES, **zone_settings):
    return write_config(
        bed, accounts=[account(pebble)],
        providers=[rfc2136(site, "first"), rfc2136(target, "second")],
        zones=[zone("example.com", "first", **zone_settings),
               zone("validation.org", "second")],
        certificates=[certificate(*names)])


def _assert_clean(*sites, expecting=()):
    for site in sites:
        site.assert_clean(expecting=expecting)


def test_cname_into_another_zone_uses_that_zones_credential(bed):
    site, target = _two_sites(bed, f"_acme-challenge CNAME {TARGET}.",
                              secondaries=("bind", "nsd"))
    pebble, wire = bed.pebble(), bed.watch_wire()
    conf = _config(bed, pebble, site, target)
    result = bed.dns01("issue", "-c", conf).assert_ok()
    bed.assert_issued(pebble, NAMES)
    assert f"{TARGET}  in zone validation.org, alias of {NAME}" in result.err
    assert not wire.updates(server=site.address)
    assert {u.name for u in wire.updates(server=target.address)} == {
        "validation.org"}
    for address in target.nameservers:
        assert wire.messages(server=address, name=TARGET)
    _assert_clean(site, target)


def test_only_the_zone_that_the_alias_leads_to_needs_a_provider(bed):
    site, target = _two_sites(bed, f"_acme-challenge CNAME {TARGET}.")
    pebble = bed.pebble()
    conf = write_config(
        bed, accounts=[account(pebble)], providers=[rfc2136(target)],
        zones=[zone("validation.org")], certificates=[certificate(*NAMES)])
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.assert_issued(pebble, NAMES)
    _assert_clean(site, target)


def test_chain_of_cnames_is_followed_to_its_end(bed):
    site = bed.site("example.com", records=[
        "_acme-challenge CNAME one", "one CNAME two.example.net."])
    middle = bed.site("example.net", keyname="middle", secondaries=(),
                      records=[f"two CNAME {TARGET}."])
    target = bed.site("validation.org", keyname="second", secondaries=())
    pebble, wire = bed.pebble(), bed.watch_wire()
    conf = write_config(
        bed, accounts=[account(pebble)], providers=[rfc2136(target)],
        zones=[zone("validation.org")], certificates=[certificate(*NAMES)])
    result = bed.dns01("issue", "-c", conf).assert_ok()
    hops = f"{NAME} -> one.example.com -> two.example.net"
    assert f"{TARGET}  in zone validation.org, alias of {hops}" in result.err
    assert {u.server for u in wire.updates()} == {target.address}
    _assert_clean(site, middle, target)


def test_dname_above_the_name_is_followed(bed):
    site, target = _two_sites(bed, "old DNAME new.validation.org.")
    pebble = bed.pebble()
    names = ("*.www.old.example.com", "www.old.example.com")
    conf = _config(bed, pebble, site, target, names)
    result = bed.dns01("issue", "-c", conf).assert_ok()
    assert ("_acme-challenge.www.new.validation.org  in zone validation.org,"
            in result.err)
    bed.assert_issued(pebble, names)
    _assert_clean(site, target)


def _assert_refused_unpublished(bed, pebble, conf, sites, *words, code):
    wire = bed.watch_wire()
    result = bed.dns01("issue", "-c", conf).assert_failed(*words, code=code)
    assert not wire.updates()
    assert not pebble.challenges_answered()
    assert "no certificate" in bed.dns01("status", "-c", conf).out
    _assert_clean(*sites)
    return result


def test_cname_loop_is_named_and_nothing_is_published(bed):
    site = bed.site("example.com", secondaries=(),
                    records=["_acme-challenge CNAME loop.validation.org."])
    target = bed.site("validation.org", keyname="second", secondaries=(),
                      records=[f"loop CNAME {NAME}."])
    pebble = bed.pebble()
    conf = _config(bed, pebble, site, target)
    _assert_refused_unpublished(
        bed, pebble, conf, (site, target), "loop",
        f"{NAME} -> loop.validation.org -> {NAME}", code=11)


def test_name_that_is_its_own_alias_is_a_loop(bed):
    site, target = _two_sites(bed, f"_acme-challenge CNAME {NAME}.")
    pebble = bed.pebble()
    conf = _config(bed, pebble, site, target)
    _assert_refused_unpublished(bed, pebble, conf, (site, target),
                                "loop", f"{NAME} -> {NAME}", code=11)


def _wildcard_is_not_followed(bed, record):
    policy = [f"name {NAME}. TXT"]  # publishing elsewhere would be refused
    site, target = _two_sites(bed, record, policy=policy)
    pebble = bed.pebble()
    conf = _config(bed, pebble, site, target)
    result = bed.dns01("issue", "-c", conf).assert_ok()
    assert f"{NAME}  in zone example.com\n" in result.err
    bed.assert_issued(pebble, NAMES)
    _assert_clean(site, target)


def test_wildcard_cname_to_a_foreign_host_is_not_followed(bed):
    _wildcard_is_not_followed(bed, "* CNAME lb.cloud.invalid.")


def test_wildcard_cname_to_a_host_of_the_zone_is_not_followed(bed):
    _wildcard_is_not_followed(bed, "* CNAME www.example.com.")


def test_wildcard_cname_to_a_host_of_another_zone_of_ours_is_not_followed(
        bed):
    _wildcard_is_not_followed(bed, "* CNAME www.validation.org.")


def test_wildcard_cname_is_not_followed_when_flags_are_the_configuration(bed):
    site = bed.site(records=["* CNAME lb.cloud.invalid."], secondaries=(),
                    policy=[f"name {NAME}. TXT"])
    pebble = bed.pebble()
    bed.issue(pebble, site, *NAMES).assert_ok()
    bed.assert_issued(pebble, NAMES)
    site.assert_clean()


def test_cname_to_a_host_of_the_same_zone_is_followed(bed):
    site = bed.site(records=["_acme-challenge CNAME challenges"], secondaries=(),
                    policy=["name challenges.example.com. TXT"])
    pebble = bed.pebble()
    result = bed.issue(pebble, site, *NAMES).assert_ok()
    assert "challenges.example.com  in zone example.com, alias" in result.err
    bed.assert_issued(pebble, NAMES)
    site.assert_clean()


def test_alias_off_publishes_at_the_name_itself(bed):
    site, target = _two_sites(bed, "* CNAME challenges.validation.org.")
    pebble, wire = bed.pebble(), bed.watch_wire()
    conf = _config(bed, pebble, site, target, alias="off")
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.assert_issued(pebble, NAMES)
    assert not wire.updates(server=target.address)
    _assert_clean(site, target)


def test_alias_off_where_a_cname_stands_says_that_it_hides_the_record(bed):
    site, target = _two_sites(bed, f"_acme-challenge CNAME {TARGET}.")
    pebble = bed.pebble()
    conf = _config(bed, pebble, site, target, alias="off")
    bed.dns01("issue", "-c", conf).assert_failed(
        NAME, "CNAME", site.address, code=11)
    assert not pebble.challenges_answered()
    _assert_clean(site, target)


def test_alias_name_publishes_there_whatever_the_dns_says_here(bed):
    """Our side of a split horizon may not show the CNAME that the CA sees."""
    site, target = _two_sites(bed, f"_acme-challenge CNAME {TARGET}.")
    pebble, wire = bed.pebble(), bed.watch_wire()
    conf = _config(bed, pebble, site, target, alias=TARGET)
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.assert_issued(pebble, NAMES)
    asked = wire.messages(name=NAME,
                          excluding=[bed.ca_resolver().address])
    assert {m.server for m in asked} <= {bed.ca_resolver().address}, asked
    assert {u.server for u in wire.updates()} == {target.address}
    _assert_clean(site, target)


def test_alias_by_flag_publishes_there(bed):
    site = bed.site(records=["_acme-challenge CNAME challenges"],
                    secondaries=())
    pebble = bed.pebble()
    bed.issue(pebble, site, *NAMES,
              more=["--alias", "challenges.example.com"]).assert_ok()
    bed.assert_issued(pebble, NAMES)
    site.assert_clean()


def test_alias_into_a_zone_without_provider_says_what_to_set(bed):
    site, target = _two_sites(bed, f"_acme-challenge CNAME {TARGET}.")
    pebble = bed.pebble()
    conf = write_config(
        bed, accounts=[account(pebble)], providers=[rfc2136(site)],
        zones=[zone("example.com")], certificates=[certificate(*NAMES)])
    _assert_refused_unpublished(
        bed, pebble, conf, (site, target), f'"{NAME}" is an alias of '
        f'"{TARGET}"', "add its zone", 'alias = "off"', code=78)


def test_alias_to_a_name_that_does_not_exist_says_so(bed):
    site, target = _two_sites(bed, "_acme-challenge CNAME x.gone.invalid.")
    pebble = bed.pebble()
    conf = _config(bed, pebble, site, target)
    _assert_refused_unpublished(
        bed, pebble, conf, (site, target),
        f'"{NAME}" is an alias of "x.gone.invalid"', "add its zone", code=78)


def test_two_names_may_share_one_alias_target(bed):
    """Both values stand side by side at the target."""
    site, target = _two_sites(
        bed, f"_acme-challenge CNAME {TARGET}.",
        f"_acme-challenge.www CNAME {TARGET}.")
    target.update(f'add {TARGET} 60 TXT "a sibling"')
    pebble = bed.pebble()
    names = ("*.example.com", "example.com", "*.www.example.com")
    conf = _config(bed, pebble, site, target, names)
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.assert_issued(pebble, names)
    site.assert_clean()
    target.assert_clean(expecting=[(TARGET, "a sibling")])


def _by_resolvers(bed, *records):
    """Where port 53 of strangers is blocked, resolvers tell of aliases."""
    site, target = _two_sites(bed, *records)
    pebble, wire = bed.pebble(), bed.watch_wire()
    asked = {"watch": "resolvers", "resolvers": [bed.resolver().address]}
    conf = write_config(
        bed, accounts=[account(pebble)],
        providers=[rfc2136(site, "first"), rfc2136(target, "second")],
        zones=[zone("example.com", "first", **asked),
               zone("validation.org", "second", **asked)],
        certificates=[certificate(*NAMES)])
    result = bed.dns01("issue", "-c", conf).assert_ok()
    bed.assert_issued(pebble, NAMES)
    _assert_clean(site, target)
    return result, {u.name for u in wire.updates()}


def test_alias_is_followed_through_resolvers(bed):
    result, updated = _by_resolvers(bed, f"_acme-challenge CNAME {TARGET}.")
    assert f"{TARGET}  in zone validation.org, alias of" in result.err
    assert updated == {"validation.org"}


def test_wildcard_cname_is_not_followed_through_resolvers(bed):
    _, updated = _by_resolvers(bed, "* CNAME www.validation.org.")
    assert updated == {"example.com"}


def test_alias_into_a_delegated_child_zone_is_published_there(bed):
    child = bed.new_site("acme.example.com", keyname="child", secondaries=())
    parent = bed.new_site("example.com", secondaries=())
    parent.zone("example.com").records = [
        "_acme-challenge CNAME example.acme", *child.zones[0].delegation()]
    bed.start_site(child)
    bed.start_site(parent)
    pebble, wire = bed.pebble(), bed.watch_wire()
    conf = write_config(
        bed, accounts=[account(pebble)],
        providers=[rfc2136(parent, "parent"), rfc2136(child, "child")],
        zones=[zone("example.com", "parent"),
               zone("acme.example.com", "child")],
        certificates=[certificate(*NAMES)])
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.assert_issued(pebble, NAMES)
    assert {u.name for u in wire.updates()} == {"acme.example.com"}
    _assert_clean(parent, child)


def test_longest_chain_is_followed_and_a_longer_one_is_named(bed):
    for hops, code in ((8, 0), (9, 11)):
        name = f"deep{hops}"
        records = [f"_acme-challenge.{name} CNAME h1.{name}"]
        records += [f"h{n}.{name} CNAME h{n + 1}.{name}"
                    for n in range(1, hops)]
        site = bed.site(f"{name}.org", secondaries=(), keyname=name,
                        records=records)
        bed.resolver()
        result = bed.dns01(
            "probe", "--state", bed.state(), "--provider", "rfc2136", "--set",
            f"server={site.address}", "--set",
            f"tsig_key_file={site.key.path}", f"{name}.{name}.org")
        assert result.code == code, result
        if code:
            result.assert_failed("longer than 8 names", f"h8.{name}")
        site.assert_clean()


def test_retract_and_probe_go_where_the_alias_leads(bed):
    site, target = _two_sites(bed, f"_acme-challenge CNAME {TARGET}.")
    for value in ("left behind", "sibling"):
        target.update(f'add {TARGET} 60 TXT "{value}"')
    conf = _config(bed, bed.pebble(), site, target)
    result = bed.dns01("retract", "-c", conf, "*.example.com", "left behind")
    assert f"{TARGET}: 1 record removed" in result.assert_ok().out
    result = bed.dns01("probe", "-c", conf, "*.example.com").assert_ok()
    assert target.address in result.out
    site.assert_clean()
    target.assert_clean(expecting=[(TARGET, "sibling")])

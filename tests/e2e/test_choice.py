"""What an issuance chooses: the CA, the profile, the chain; and the limit it keeps."""

import contextlib
import json
import os
import shutil
import sqlite3

from testbed.config import account, certificate, rfc2136, write_config, zone

NAME = "example.com"
DAY = 86400


def configure(bed, site, accounts, **more):
    return write_config(
        bed, accounts=accounts, providers=[rfc2136(site)],
        zones=[zone("example.com")],
        certificates=[certificate(NAME, lineage="test", account=accounts[0]["name"], **more)])


def issued(bed, path, *arguments):
    """The JSON of one certificate that `dns01 issue` issued."""
    result = bed.dns01("issue", "-c", path, "--json", *arguments).assert_ok()
    return json.loads(result.out)["certificates"][0]


def test_first_profile_that_the_ca_offers_is_asked_for(bed):
    site = bed.site(secondaries=())
    pebble = bed.pebble(profiles={"short": 6 * DAY, "long": 90 * DAY})
    path = configure(bed, site, [account(pebble, profiles=["tlsserver", "short", "long"])])
    assert issued(bed, path)["profile"] == "short"
    path = configure(bed, site, [account(pebble, profiles=["tlsserver"])])
    assert "profile" not in issued(bed, path)
    site.assert_clean()


def test_profile_of_a_certificate_is_a_demand(bed):
    site = bed.site(secondaries=())
    pebble = bed.pebble(profiles={"short": 6 * DAY})
    path = configure(bed, site, [account(pebble, profiles=["short"])], profile="other")
    mark = pebble.mark()
    bed.dns01("issue", "-c", path).assert_failed("other", "short")
    assert pebble.count("/order-plz", since=mark) == 0
    path = configure(bed, site, [account(pebble)], profile="short")
    assert issued(bed, path)["profile"] == "short"


def test_chain_is_the_one_that_leads_to_the_named_root(bed):
    site = bed.site(secondaries=())
    pebble = bed.pebble(alternate_roots=2)
    for number in range(3):
        root = pebble.issuing_root(number)
        name = bed.run(["openssl", "x509", "-noout", "-subject", "-nameopt", "multiline",
                        "-in", root]).split("commonName")[1].strip(" =\n")
        print_of = bed.run(["openssl", "x509", "-noout", "-fingerprint", "-sha256",
                            "-in", root]).split("=")[1].strip()
        for wish in (name, print_of, print_of.replace(":", "").lower()):
            path = configure(bed, site, [account(pebble, chain=wish)])
            # a fingerprint is that of a root which the system trusts
            result = bed.dns01("issue", "-c", path, env={"SSL_CERT_FILE": root}).assert_ok()
            assert "none of the" not in result.err, result
            folder = bed.current()
            bed.run(["openssl", "verify", "-CAfile", root, "-untrusted", f"{folder}/chain.pem",
                     f"{folder}/cert.pem"])
            # ... and of no other
            result = bed.dns01("issue", "-c", path).assert_ok()
            assert ("only of a root that this system trusts" in result.err) == (wish != name)
    path = configure(bed, site, [account(pebble)], chain="No Such Root")
    result = bed.dns01("issue", "-c", path).assert_ok()
    assert 'none of the 3 chains that the CA offers leads to "No Such Root"' in result.err


def test_another_ca_takes_the_place_of_one_that_is_down(bed):
    site = bed.site(secondaries=())
    first, second = bed.pebble(), bed.pebble()
    accounts = [account(first, name="first"), account(second, name="second")]
    path = configure(bed, site, accounts, fallback=["second"])
    assert issued(bed, path)["account"] == "first"
    first.stop()
    assert issued(bed, path)["account"] == "second"
    bed.assert_issued(second, [NAME])
    second.stop()
    bed.dns01("issue", "-c", path).assert_failed("no CA could be reached", "first: ", "second: ")
    site.assert_clean()


def test_refusal_of_a_ca_is_no_reason_to_ask_another(bed):
    site = bed.site(secondaries=())
    first, second = bed.pebble(eab_keys={"kid": "A" * 43}), bed.pebble()
    accounts = [account(first, name="first"), account(second, name="second")]
    path = configure(bed, site, accounts, fallback=["second"])
    mark = second.mark()
    bed.dns01("issue", "-c", path).assert_failed("external account")
    assert second.requests(mark) == []


def test_limit_of_orders_is_kept(bed):
    site = bed.site(secondaries=())
    pebble = bed.pebble()
    path = configure(bed, site, [account(pebble, orders_per_3h=2)])
    bed.dns01("issue", "-c", path).assert_ok()
    bed.dns01("issue", "-c", path).assert_ok()
    mark = pebble.mark()
    bed.dns01("issue", "-c", path).assert_failed("2 orders were made within three hours")
    assert pebble.count("/order-plz", since=mark) == 0
    with contextlib.closing(sqlite3.connect(f"{bed.state()}/renewals.db")) as database:
        database.execute("UPDATE account_order SET at = at - 3 * 3600 - 5")
        database.commit()
    bed.dns01("issue", "-c", path).assert_ok()


def test_order_says_which_certificate_it_replaces(bed):
    """Pebble refuses to replace one certificate twice; then it is asked without."""
    site = bed.site(secondaries=())
    pebble = bed.pebble()
    path = configure(bed, site, [account(pebble)])
    bed.dns01("issue", "-c", path).assert_ok()
    shutil.copytree(bed.state(), bed.state() + ".kept", symlinks=True)
    result = bed.dns01("issue", "-c", path, "-v").assert_ok()
    assert "without \"replaces\"" not in result.err
    shutil.rmtree(bed.state())
    os.rename(bed.state() + ".kept", bed.state())
    result = bed.dns01("issue", "-c", path, "-v").assert_ok()
    assert "without \"replaces\"" in result.err

"""dns01 revoke and dns01 delete, against Pebble; its profiles, chains and
renewal information beside them."""

import json
import os
import subprocess

from testbed.config import (account, certificate, rfc2136, site_config,
                            write_config, zone)

NAMES = ("*.example.com", "example.com")
REVOKE = "/revoke-cert"


def _issued(bed, **certificate_settings):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES, **certificate_settings)
    bed.dns01("issue", "-c", conf).assert_ok()
    kind = certificate_settings.get("keys", ["p256"])[0]
    return site, pebble, conf, bed.assert_issued(pebble, NAMES,
                                                 key_type=kind).serial


def _status(pebble, serial):
    """What Pebble says of a certificate: (status, reason)."""
    answer = json.loads(pebble.manage(
        f"/cert-status-by-serial/{serial}"))
    return answer["Status"], answer.get("Reason")


def _serial_of(path):
    text = subprocess.run(["openssl", "x509", "-in", path, "-noout",
                           "-serial"], check=True, capture_output=True,
                          text=True).stdout
    return text.strip().partition("=")[2]


def _current(bed, lineage="test"):
    return f"{bed.state()}/certs/{lineage}/current"


# by the account


def test_a_lineage_is_revoked_by_the_account(bed):
    _, pebble, conf, serial = _issued(bed)
    assert _status(pebble, serial)[0] == "Valid"
    result = bed.dns01("revoke", "-c", conf, "test", "--reason",
                       "cessationOfOperation").assert_ok()
    assert "test: revoked" in result.out
    assert _status(pebble, serial) == ("Revoked", 5)
    # Once more is no failure, and nothing else was touched.
    again = json.loads(bed.dns01("revoke", "-c", conf, "test", "--json"
                                 ).assert_ok().out)
    assert again["revoked"] and again["by"] == "account"
    assert again["serial"].upper() == serial
    assert _serial_of(f"{_current(bed)}/cert.pem") == serial


def test_what_was_revoked_is_critical_and_replaced_by_the_next_run(bed):
    """Pebble's window for it moves, but no CA needs to say it."""
    site, pebble, conf, serial = _issued(bed)
    bed.dns01("renew", "-c", conf).assert_ok()
    result = bed.dns01("revoke", "-c", conf, "test").assert_ok()
    assert "next run of `dns01 renew` replaces it" in result.out
    result = bed.dns01("status", "-c", conf)
    assert result.code == 2, result
    assert "CRITICAL: test: it was revoked at" in result.out
    since = pebble.mark()
    result = json.loads(bed.dns01("renew", "-c", conf, "--json"
                                  ).assert_ok().out)
    assert "it was revoked at" in result["certificates"][0]["why"]
    assert pebble.count("/renewalInfo/", "GET", since=since) == 0
    assert bed.assert_issued(pebble, NAMES).serial != serial
    bed.dns01("status", "-c", conf).assert_ok()
    assert bed.dns01("renew", "-c", conf).assert_ok().out == ""
    site.assert_clean()


def test_a_file_revoked_is_no_news_of_a_lineage_renewed_meanwhile(bed):
    _, pebble, conf, serial = _issued(bed)
    with open(f"{_current(bed)}/cert.pem", encoding="ascii") as file:
        old = bed.write("old.pem", file.read())
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.dns01("revoke", "-c", conf, "--cert", old).assert_ok()
    assert _status(pebble, serial)[0] == "Revoked"
    bed.dns01("status", "-c", conf).assert_ok()
    assert bed.dns01("renew", "-c", conf).assert_ok().out == ""


def test_what_was_issued_by_flags_is_revoked_without_more(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    bed.issue(pebble, site, *NAMES).assert_ok()
    serial = bed.assert_issued(pebble, NAMES).serial
    bed.dns01("revoke", "--state", bed.state(), "test").assert_ok()
    assert _status(pebble, serial)[0] == "Revoked"
    assert "  revoked at 20" in bed.dns01("status", "--state", bed.state()).assert_ok().out


def test_an_account_that_did_not_issue_it_is_told_so(bed):
    _, pebble, conf, serial = _issued(bed)
    two = write_config(bed, "two.conf", accounts=[
        account(pebble), account(pebble, **{"name": "other"})])
    bed.dns01("account", "-c", two, "register", "--account", "other"
              ).assert_ok()
    bed.dns01("revoke", "-c", two, "test", "--account", "other"
              ).assert_failed("--by-key", "the CA refused to revoke")
    assert _status(pebble, serial)[0] == "Valid"
    bed.dns01("revoke", "-c", two, "test", "--account", "none"
              ).assert_failed("--account NAME")
    bed.dns01("revoke", "-c", two, "test").assert_ok()  # it is remembered
    assert _status(pebble, serial)[0] == "Revoked"
    assert conf


def test_after_a_rollover_the_new_key_revokes(bed):
    _, pebble, conf, serial = _issued(bed)
    folder = f"{bed.state()}/accounts/pebble"
    with open(f"{folder}/account.key", "rb") as file:
        old = file.read()
    bed.dns01("account", "-c", conf, "rollover").assert_ok()
    # As if the rollover had been cut off before the rename.
    os.rename(f"{folder}/account.key", f"{folder}/next.key")
    bed.write(f"{folder}/account.key", old.decode(), 0o600)
    bed.dns01("revoke", "-c", conf, "test").assert_ok()
    assert _status(pebble, serial)[0] == "Revoked"
    assert not os.path.exists(f"{folder}/next.key")


# by the certificate's key


def test_a_lineage_is_revoked_by_its_own_key(bed):
    _, pebble, conf, serial = _issued(bed)
    os.rename(f"{bed.state()}/accounts", bed.path("accounts"))
    bed.dns01("revoke", "-c", conf, "test").assert_failed(
        "not in the state folder", "--by-key")
    bed.dns01("revoke", "-c", conf, "test", "--by-key", "--reason",
              "keyCompromise").assert_ok()
    assert _status(pebble, serial) == ("Revoked", 1)
    assert not os.path.exists(f"{bed.state()}/accounts")


def test_a_file_is_revoked_by_a_key_in_a_file(bed):
    _, pebble, conf, serial = _issued(bed, keys=["rsa2048"])
    cert, key = bed.path("old.pem"), bed.path("old.key")
    for name, path in (("fullchain.pem", cert), ("privkey.pem", key)):
        with open(f"{_current(bed)}/{name}", encoding="ascii") as file:
            bed.write(path, file.read(), 0o600)
    bed.dns01("issue", "-c", conf).assert_ok()  # another key is current
    bed.dns01("revoke", "-c", conf, "--cert", cert, "--by-key"
              ).assert_failed("--key-file")
    bed.dns01("revoke", "-c", conf, "--cert", cert, "--key-file",
              f"{_current(bed)}/privkey.pem").assert_failed(
                  "not the key of this certificate")
    by_flags = ("--state", bed.path("nowhere"), "--ca", pebble.directory,
                "--ca-root", pebble.ca_root)
    result = json.loads(bed.dns01(
        "revoke", *by_flags, "--cert", cert, "--key-file", key, "--json"
    ).assert_ok().out)
    assert result["by"] == "key" and result["serial"].upper() == serial
    assert _status(pebble, serial)[0] == "Revoked"
    bed.assert_issued(pebble, NAMES, key_type="rsa2048")


def test_a_file_is_revoked_by_the_account(bed):
    _, pebble, conf, serial = _issued(bed)
    bed.dns01("revoke", "-c", conf, "--cert", f"{_current(bed)}/cert.pem"
              ).assert_ok()
    assert _status(pebble, serial)[0] == "Revoked"


def test_what_cannot_be_meant_is_refused_before_the_ca_is_asked(bed):
    _, pebble, conf, serial = _issued(bed)
    junk = bed.write("junk.pem", "no certificate\n")
    key = f"{_current(bed)}/privkey.pem"
    since = pebble.mark()
    for arguments, words in (
            ((), "--cert FILE"),
            (("test", "--cert", junk), "--cert FILE"),
            (("--cert", junk), junk),
            (("--cert", key), "not hold a certificate in PEM"),
            (("--cert", bed.path("none.pem")), "none.pem"),
            (("--cert", junk, "--replace"), "--replace goes with a lineage"),
            (("nobody",), "no certificate of this name"),
            (("../test",), "no certificate of this name"),
            (("test", "--reason", "boredom"), "keyCompromise"),
            (("test", "--key-file", bed.path("none.key")), "none.key")):
        result = bed.dns01("revoke", "-c", conf, *arguments).assert_failed(words)
        assert "no certificate\"" not in result.err  # what a file holds may be a secret
    assert pebble.requests(since) == []
    assert _status(pebble, serial)[0] == "Valid"
    assert os.listdir(f"{bed.state()}/certs") == ["test"]


# with a replacement


def _deploying(bed, script):
    path = bed.write("deploy", f"#!/bin/sh\n{script}\n", 0o755)
    return _issued(bed, deploy=[[path]])


def test_replace_revokes_after_the_new_one_is_deployed(bed):
    deployed = bed.path("deployed")
    site, pebble, conf, serial = _deploying(
        bed, f"cp $RENEWED_LINEAGE/cert.pem {deployed}")
    with open(f"{_current(bed)}/privkey.pem", encoding="ascii") as file:
        old_key = file.read()
    result = json.loads(bed.dns01("revoke", "-c", conf, "test", "--replace",
                                  "--by-key", "--json").assert_ok().out)
    fresh = bed.assert_issued(pebble, NAMES).serial
    assert fresh != serial and result["replaced_by"].upper() == fresh
    assert _serial_of(deployed) == fresh
    assert _status(pebble, serial) == ("Revoked", 4)
    assert _status(pebble, fresh)[0] == "Valid"
    with open(f"{_current(bed)}/privkey.pem", encoding="ascii") as file:
        assert file.read() != old_key
    site.assert_clean()


def test_replace_revokes_nothing_where_the_deployment_fails(bed):
    stop = bed.path("stop")
    _, pebble, conf, serial = _deploying(bed, f"test ! -e {stop}")
    bed.write(stop, "")
    bed.dns01("revoke", "-c", conf, "test", "--replace").assert_failed(
        "deployment failed, so the old certificate is not revoked", code=12)
    assert _status(pebble, serial)[0] == "Valid"
    assert bed.assert_issued(pebble, NAMES).serial != serial
    assert pebble.count(REVOKE) == 0


def test_replace_revokes_nothing_where_no_new_one_comes(bed):
    site, pebble, conf, serial = _issued(bed)
    site.primary.stop()
    bed.dns01("revoke", "-c", conf, "test", "--replace").assert_failed(
        "no new certificate was issued, so the old certificate is not")
    assert _status(pebble, serial)[0] == "Valid"
    assert bed.assert_issued(pebble, NAMES).serial == serial


def test_replace_by_the_lineages_own_conf(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    bed.issue(pebble, site, *NAMES, more=["--key", "p384"]).assert_ok()
    serial = bed.assert_issued(pebble, NAMES, key_type="p384").serial
    bed.dns01("revoke", "--state", bed.state(), "test", "--replace"
              ).assert_ok()
    assert bed.assert_issued(pebble, NAMES, key_type="p384").serial != serial
    assert _status(pebble, serial)[0] == "Revoked"
    site.assert_clean()


def test_lineages_of_several_key_types_are_told_apart(bed):
    _, pebble, conf, serial = _issued(bed, keys=["p256", "rsa2048"])
    other = bed.assert_issued(pebble, NAMES, lineage="test-rsa2048",
                              key_type="rsa2048").serial
    bed.dns01("revoke", "-c", conf, "test-rsa2048", "--replace").assert_ok()
    assert _status(pebble, other)[0] == "Revoked"
    assert _status(pebble, serial)[0] == "Valid"
    assert bed.assert_issued(pebble, NAMES, lineage="test-rsa2048",
                             key_type="rsa2048").serial != other
    assert bed.assert_issued(pebble, NAMES).serial == serial


# delete


def test_delete_removes_a_lineage_that_nobody_names(bed):
    site, pebble, conf, _ = _issued(bed)
    bed.dns01("delete", "-c", conf, "test").assert_failed(
        "the configuration still names it", os.path.basename(conf),
        "--force")
    bed.assert_issued(pebble, NAMES)
    without = write_config(bed, "without.conf", accounts=[account(pebble)],
                           providers=[rfc2136(site)],
                           zones=[zone("example.com")],
                           certificates=[certificate("a.example.com",
                                                     lineage="tes")])
    result = bed.dns01("delete", "-c", without, "test").assert_ok()
    assert result.out == "test: deleted, with its keys\n"
    assert os.listdir(f"{bed.state()}/certs") == []
    bed.dns01("delete", "-c", without, "test").assert_failed(
        "no certificate of this name", code=66)
    # And the name is free again.
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.assert_issued(pebble, NAMES)


def test_delete_by_force_and_each_key_type_alone(bed):
    _, pebble, conf, _ = _issued(bed, keys=["p256", "rsa2048"])
    bed.dns01("delete", "-c", conf, "test-rsa2048").assert_failed("--force")
    deleted = json.loads(bed.dns01("delete", "-c", conf, "--force", "--json",
                                   "test-rsa2048").assert_ok().out)
    assert deleted == {"lineage": "test-rsa2048", "deleted": True}
    assert os.listdir(f"{bed.state()}/certs") == ["test"]
    bed.assert_issued(pebble, NAMES)


def test_delete_waits_for_nobody_at_work(bed):
    from testbed import Behind
    site = bed.site(secondaries=(Behind("nsd", lag_s=3600.0),))
    pebble = bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    run = bed.start_dns01("issue", "-c", conf)
    run.wait_for(lambda r: "watching the name servers" in r.output(),
                 "it watches")
    bed.dns01("delete", "-c", conf, "--force", "test").assert_failed(
        "another process", code=75)
    site.proxies[0].lag_s = 0.0
    run.wait().assert_ok()
    bed.assert_issued(pebble, NAMES)
    site.assert_clean()


def test_names_lead_nowhere_else(bed):
    _, pebble, conf, _ = _issued(bed)
    for name in ("../certs/test", ".", "..", "/etc", "test/"):
        bed.dns01("delete", "-c", conf, "--force", name).assert_failed()
    bed.assert_issued(pebble, NAMES)

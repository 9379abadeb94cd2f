"""dns01 account: registration with external binding, contacts, a new key,
recovery and the end, against Pebble."""

import base64
import json
import os
import re
import shutil
import time

from testbed import wait_until
from testbed.config import (account, certificate, rfc2136, site_config,
                            write_config, zone)

NAMES = ("*.example.com", "example.com")
NEW_ACCOUNT = "/sign-me-up"
KEY_CHANGE = "/rollover-account-key"


def _folder(bed, name="pebble"):
    return f"{bed.state()}/accounts/{name}"


def _account(bed, conf, what, *more):
    return json.loads(bed.dns01("account", "-c", conf, what, "--json", *more)
                      .assert_ok().out)


def _registered(bed, **more):
    """A Pebble, the configuration of an account there, and what is shown of
    it once it is registered."""
    pebble = bed.pebble()
    conf = write_config(bed, accounts=[account(pebble, **more)])
    return pebble, conf, _account(bed, conf, "register")


def _keys(bed):
    return sorted(f for f in os.listdir(_folder(bed)) if f.endswith(".key"))


def _put(path, octets, age_s=0):
    with open(path, "wb") as file:
        file.write(octets)
    os.chmod(path, 0o600)
    then = time.time() - age_s
    os.utime(path, (then, then))


def _read(path):
    with open(path, "rb") as file:
        return file.read()


# external account binding


def _bound_by(bed, alg, octets, text):
    """Registered with a MAC key of that many octets, written as text()."""
    secret = os.urandom(octets)
    known = base64.urlsafe_b64encode(secret).decode().rstrip("=")
    pebble = bed.pebble(eab_keys={"kid-1": known})
    key = bed.write("eab.key", text(secret) + "\n", 0o600)
    conf = write_config(bed, accounts=[account(
        pebble, eab_kid="kid-1", eab_key_file=key,
        **({"eab_alg": alg} if alg else {}))])
    result = bed.dns01("account", "-c", conf, "register", "-vv").assert_ok()
    assert text(secret) not in result.out + result.err
    assert pebble.count(NEW_ACCOUNT) == 1


def _url_safe(octets):
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def _padded(octets):
    return base64.b64encode(octets).decode()


def test_external_binding_by_default_is_hs256(bed):
    _bound_by(bed, None, 32, _url_safe)


def test_external_binding_by_hs256_with_a_standard_base64_key(bed):
    _bound_by(bed, "HS256", 35, _padded)


def test_external_binding_by_hs384(bed):
    _bound_by(bed, "HS384", 48, _url_safe)


def test_external_binding_by_hs512(bed):
    _bound_by(bed, "HS512", 64, _padded)


def test_external_binding_by_flags_names_the_algorithm(bed):
    secret = base64.urlsafe_b64encode(os.urandom(48)).decode()
    pebble = bed.pebble(eab_keys={"kid-1": secret})
    key = bed.write("eab.key", secret, 0o600)
    flags = ("account", "register", "--state", bed.state(), "--ca",
             pebble.directory, "--ca-root", pebble.ca_root, "--agree-tos",
             "--eab-kid", "kid-1", "--eab-key-file", key)
    bed.dns01(*flags, "--eab-alg", "HS1").assert_failed("HS256", "HS512")
    assert pebble.count(NEW_ACCOUNT) == 0
    bed.dns01(*flags, "--eab-alg", "HS384").assert_ok()


def test_external_binding_with_another_key_is_refused_by_the_ca(bed):
    pebble = bed.pebble(eab_keys={"kid-1": _url_safe(b"x" * 32)})
    key = bed.write("eab.key", _url_safe(b"y" * 32), 0o600)
    conf = write_config(bed, accounts=[account(
        pebble, eab_kid="kid-1", eab_key_file=key)])
    bed.dns01("account", "-c", conf, "register").assert_failed(
        "the CA refused to make an account", "`eab_key_file` and `eab_alg`")


# contacts


def test_update_sends_the_contacts_of_the_configuration(bed):
    pebble, conf, before = _registered(bed, contact=["mailto:a@example.com"])
    contacts = ["mailto:b@example.com", "mailto:c@example.com"]
    conf = write_config(bed, accounts=[account(pebble, contact=contacts)])
    after = _account(bed, conf, "update")
    assert after["contact"] == contacts and after["url"] == before["url"]
    conf = write_config(bed, accounts=[account(
        pebble, contact=["mailto:a@example.com?subject=x"])])
    bed.dns01("account", "-c", conf, "update").assert_failed("contact")
    bed.dns01("account", "-c", write_config(bed, accounts=[account(
        pebble, contact=[])]), "update").assert_ok()


def test_account_that_the_configuration_does_not_have_is_said(bed):
    pebble = bed.pebble()
    conf = write_config(bed, accounts=[account(pebble)])
    for what in ("register", "update", "rollover", "deactivate"):
        bed.dns01("account", "-c", conf, what, "--account", "other"
                  ).assert_failed("other: the configuration has no account of this name", code=64)
    assert pebble.count(NEW_ACCOUNT) == 0


def test_what_is_not_registered_cannot_be_changed(bed):
    pebble = bed.pebble()
    conf = write_config(bed, accounts=[account(pebble)])
    for what in ("update", "rollover"):
        bed.dns01("account", "-c", conf, what).assert_failed(
            "not registered yet", "`dns01 account register`")
    bed.dns01("account", "-c", conf, "deactivate", "--account", "pebble"
              ).assert_failed("not registered yet")
    assert not os.path.exists(_folder(bed))


# a new key


def test_rollover_gives_the_account_a_new_key(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    bed.dns01("issue", "-c", conf).assert_ok()
    before = _account(bed, conf, "show")[0]
    after = _account(bed, conf, "rollover")
    assert after["url"] == before["url"]
    assert after["thumbprint"] != before["thumbprint"]
    assert _account(bed, conf, "show")[0] == after
    assert _keys(bed) == ["account.key"]
    assert os.stat(f"{_folder(bed)}/account.key").st_mode & 0o777 == 0o600
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.assert_issued(pebble, NAMES)
    assert pebble.count(NEW_ACCOUNT) == 2  # one of them proves the new key
    site.assert_clean()


def test_rollover_changes_the_type_of_key_to_the_configured_one(bed):
    pebble, conf, _ = _registered(bed)
    conf = write_config(bed, accounts=[account(pebble, key_type="rsa2048")])
    assert _account(bed, conf, "rollover")["key_type"] == "rsa2048"
    conf = write_config(bed, accounts=[account(pebble, key_type="p384")])
    assert _account(bed, conf, "rollover")["key_type"] == "p384"
    assert _account(bed, conf, "update")["contact"] == []


def test_rollover_that_is_not_proven_keeps_both_keys(bed):
    """Pebble accepts the key of another account, and leaves it where it was."""
    pebble, conf, _ = _registered(bed)
    other = write_config(bed, "other.conf", accounts=[
        account(pebble, **{"name": "other"})])
    taken = _account(bed, other, "register")
    mine = _read(f"{_folder(bed)}/account.key")
    theirs = _read(f"{_folder(bed, 'other')}/account.key")
    _put(f"{_folder(bed)}/next.key", theirs)
    bed.dns01("account", "-c", conf, "rollover").assert_failed(
        "both keys are kept", "another account at the CA", taken["url"])
    assert _read(f"{_folder(bed)}/account.key") == mine
    assert _read(f"{_folder(bed)}/next.key") == theirs


def test_cut_off_after_the_ca_took_the_key_the_next_use_goes_on_with_it(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    first = _account(bed, conf, "register")
    old = _read(f"{_folder(bed)}/account.key")
    after = _account(bed, conf, "rollover")
    new = _read(f"{_folder(bed)}/account.key")
    # As if killed before the rename.
    _put(f"{_folder(bed)}/account.key", old)
    _put(f"{_folder(bed)}/next.key", new)
    shown = _account(bed, conf, "show")[0]
    assert shown["thumbprint"] == first["thumbprint"]
    assert shown["next_thumbprint"] == after["thumbprint"]
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.assert_issued(pebble, NAMES)
    assert _keys(bed) == ["account.key"]
    assert _read(f"{_folder(bed)}/account.key") == new
    site.assert_clean()


def test_cut_off_before_the_ca_took_the_key_the_old_one_goes_on(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    first = _account(bed, conf, "register")
    spare = write_config(bed, "spare.conf", state=bed.path("spare"),
                         accounts=[account(bed.pebble())])
    bed.dns01("account", "-c", spare, "register").assert_ok()
    fresh = _read(f"{bed.path('spare')}/accounts/pebble/account.key")
    # The request may still be on its way: both stay.
    _put(f"{_folder(bed)}/next.key", fresh)
    bed.dns01("issue", "-c", conf).assert_ok()
    assert _keys(bed) == ["account.key", "next.key"]
    # Later the new one is given up.
    _put(f"{_folder(bed)}/next.key", fresh, age_s=3600)
    given_up = bed.dns01("issue", "-c", conf).assert_ok()
    assert "is given up" in given_up.err
    assert _keys(bed) == ["account.key"]
    assert _account(bed, conf, "show")[0] == first
    # Or the next rollover takes it up.
    _put(f"{_folder(bed)}/next.key", fresh)
    _account(bed, conf, "rollover")
    assert _read(f"{_folder(bed)}/account.key") == fresh
    site.assert_clean()


def _kill_at(bed, conf, reached):
    """A rollover that is killed when reached() is, or has ended before."""
    run = bed.start_dns01("account", "-c", conf, "rollover")
    wait_until(lambda: reached() or not run.running(), "its moment", 30)
    run.kill()


def test_killed_at_any_moment_the_account_stays_usable(bed):
    pebble, conf, before = _registered(bed)
    next_key = f"{_folder(bed)}/next.key"
    moments = (
        lambda _: os.path.exists(next_key),
        lambda since: pebble.count("/dir", "GET", since=since),
        lambda since: pebble.count("/nonce-plz", "HEAD", since=since),
        lambda since: pebble.count(KEY_CHANGE, since=since),
        lambda since: pebble.count(NEW_ACCOUNT, since=since),
    )
    changed = set()
    for moment in moments * 4:
        since = pebble.mark()
        _kill_at(bed, conf, lambda m=moment, s=since: m(s))
        shown = _account(bed, conf, "update")
        assert shown["url"] == before["url"]
        changed.add(shown["thumbprint"] != before["thumbprint"])
        before = shown
    assert changed == {False, True}, "always, or never, in time"


def test_the_ca_is_silent_in_the_middle_both_keys_stay(bed):
    pebble, conf, first = _registered(bed)
    old = _read(f"{_folder(bed)}/account.key")
    spare = _read(f"{_folder(bed)}/account.key")
    pebble.stop()
    bed.dns01("account", "-c", conf, "rollover").assert_failed(code=69)
    assert _keys(bed) == ["account.key"]  # nothing was begun
    _put(f"{_folder(bed)}/next.key", spare)
    bed.dns01("account", "-c", conf, "update").assert_failed(code=69)
    assert _keys(bed) == ["account.key", "next.key"]
    assert _read(f"{_folder(bed)}/account.key") == old
    assert first["url"]


# recovery


def test_recover_finds_the_account_of_a_key(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    before = _account(bed, conf, "register")
    key = bed.path("saved.key")
    _put(key, _read(f"{_folder(bed)}/account.key"))
    shutil.rmtree(bed.state())
    bed.dns01("account", "-c", conf, "recover").assert_failed("--key-file")
    since = pebble.mark()
    assert _account(bed, conf, "recover", "--key-file", key) == before
    assert _account(bed, conf, "recover", "--key-file", key) == before
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.assert_issued(pebble, NAMES)
    assert pebble.count(NEW_ACCOUNT, since=since) == 2  # no third one
    site.assert_clean()


def _jwk(bed, key):
    """The key as JSON, as certbot keeps it."""
    text = bed.run(["openssl", "ec", "-in", key, "-noout", "-text"])
    def octets(name, size):
        block = re.search(name + r":\n((?:    .*\n)+)", text).group(1)
        return bytes.fromhex(re.sub(r"[\s:]", "", block))[-size:]
    public = octets("pub", 64)
    return json.dumps({
        "kty": "EC", "crv": "P-256", "x": _url_safe(public[:32]),
        "y": _url_safe(public[32:]),
        "d": _url_safe(octets("priv", 32).rjust(32, b"\0"))})


def test_recover_reads_a_key_that_is_json(bed):
    _, conf, before = _registered(bed)
    jwk = _jwk(bed, f"{_folder(bed)}/account.key")
    shutil.rmtree(bed.state())
    for text in ("{", "{}", jwk.replace("P-256", "P-257")):
        key = bed.write("bad.json", text, 0o600)
        bed.dns01("account", "-c", conf, "recover", "--key-file", key
                  ).assert_failed("bad.json")
    key = bed.write("private_key.json", "\n" + jwk, 0o600)
    assert _account(bed, conf, "recover", "--key-file", key) == before


def test_recover_overwrites_no_other_key(bed):
    pebble, conf, _ = _registered(bed)
    mine = _read(f"{_folder(bed)}/account.key")
    other = write_config(bed, "other.conf", state=bed.path("elsewhere"),
                         accounts=[account(pebble)])
    _account(bed, other, "register")
    key = f"{bed.path('elsewhere')}/accounts/pebble/account.key"
    bed.dns01("account", "-c", conf, "recover", "--key-file", key
              ).assert_failed("has another key", f"move {_folder(bed)} away")
    assert _read(f"{_folder(bed)}/account.key") == mine


def test_recover_needs_an_account_and_a_private_key_file(bed):
    pebble = bed.pebble()
    conf = write_config(bed, accounts=[account(pebble)])
    spare = write_config(bed, "spare.conf", state=bed.path("spare"),
                         accounts=[account(bed.pebble())])
    bed.dns01("account", "-c", spare, "register").assert_ok()
    key = f"{bed.path('spare')}/accounts/pebble/account.key"
    bed.dns01("account", "-c", conf, "recover", "--key-file", key
              ).assert_failed("the CA has no account for this key")
    os.chmod(key, 0o644)
    bed.dns01("account", "-c", conf, "recover", "--key-file", key
              ).assert_failed(key)
    assert not os.path.exists(_folder(bed))


# the end


def test_deactivate_ends_the_account_for_good(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    conf = write_config(
        bed, accounts=[account(pebble)], providers=[rfc2136(site)],
        zones=[zone("example.com")], certificates=[certificate(*NAMES)])
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.dns01("account", "-c", conf, "deactivate").assert_failed(
        "cannot be undone", "--account NAME")
    ended = _account(bed, conf, "deactivate", "--account", "pebble")
    assert ended["status"] == "deactivated"
    serial = bed.assert_issued(pebble, NAMES).serial
    requests = len(pebble.requests())
    for verb in (("issue",), ("account", "update"), ("account", "register")):
        bed.dns01(verb[0], "-c", conf, *verb[1:]).assert_failed(
            "pebble: the account was deactivated", "move", "accounts/pebble away")
    bed.dns01("revoke", "-c", conf, "test").assert_failed("was deactivated", "--by-key")
    assert len(pebble.requests()) == requests
    assert "status      deactivated" in bed.dns01("account", "-c", conf).assert_ok().out
    assert bed.assert_issued(pebble, NAMES).serial == serial
    # With a new key there may be a new account.
    os.rename(_folder(bed), bed.path("old-account"))
    bed.dns01("issue", "-c", conf).assert_ok()
    site.assert_clean()

"""What a CA answers that it should not, and what it refuses: the old certificate stays, and a
sentence says why."""

import base64
import json
import os
import time

from test_renew import DAY, changed, configure, database, grow_older, plan, renew, serial
from testbed.config import account, certificate
from testbed.meddler import Meddler

NAMES = ("*.example.com", "example.com")
ORDER = "/order-plz"
HOUR = 3600


class Renewed:
    """A lineage that was issued and deployed, and a CA that will meddle with the next one."""

    def __init__(self, bed, **more):
        self.bed = bed
        self.site, self.pebble = bed.site(secondaries=()), bed.pebble(**more.pop("ca", {}))
        self.ca = Meddler(bed, self.pebble)
        self.account = {**account(self.pebble, **more.pop("account", {})),
                        "directory": self.ca.directory}
        self.deployed = bed.path("deployed")
        script = bed.write("deploy", f"#!/bin/sh\necho >> {self.deployed}\n", 0o755)
        self.path = configure(bed, self.site, certificate(*NAMES, deploy=[[script]]),
                              accounts=[self.account], **more)
        renew(bed, self.path).assert_ok()
        self.serial = serial(bed)

    def assert_refused(self, *words):
        """The next renewal fails so; nothing is changed by it."""
        result = renew(self.bed, self.path, "--force")
        if self.ca.error:
            raise self.ca.error
        result.assert_failed("test: ", *words)
        self.bed.assert_issued(self.pebble, NAMES)
        assert serial(self.bed) == self.serial
        with open(self.deployed, encoding="ascii") as file:
            assert len(file.readlines()) == 1
        self.site.assert_clean()
        return result

    def assert_recovers(self):
        """An honest CA is all that it takes."""
        self.ca.change = self.ca.refuse = None
        renew(self.bed, self.path, "--force").assert_ok()
        assert serial(self.bed) != self.serial
        self.bed.assert_issued(self.pebble, NAMES)


# Certificates that are not what was ordered


def _chain(made, edit):
    def change(answer):
        if "/certZ/" in answer.path:
            answer.body = edit(answer.body)
    made.ca.change = change


def test_chain_with_a_private_key_inside_is_refused(bed):
    made = Renewed(bed)
    with open(os.path.join(bed.current(), "privkey.pem"), "rb") as file:
        key = file.read()
    for edit in (lambda chain: chain + key, lambda chain: key + chain):
        _chain(made, edit)
        made.assert_refused("PRIVATE KEY")
    made.assert_recovers()


def test_leaf_for_another_key_is_refused(bed):
    made = Renewed(bed)
    with open(os.path.join(bed.current(), "fullchain.pem"), "rb") as file:
        old = file.read()
    _chain(made, lambda _: old)
    made.assert_refused("key")
    made.assert_recovers()


def test_leaf_without_all_names_is_refused(bed):
    """Of our key, and from a CA, but for half of what was ordered."""
    made = Renewed(bed)
    seen = {}

    def change(answer):
        if "csr" in answer.payload:
            text = answer.payload["csr"]
            seen["csr"] = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if "/certZ/" in answer.path:
            answer.body = _signed(bed, made.pebble.ca, seen["csr"], seen["names"])

    for names, words in ((["example.com"], ["*.example.com"]),
                         (["example.com", "*.example.com", "evil.example"], ["evil.example"])):
        seen["names"] = names
        made.ca.change = change
        made.assert_refused(*words)
    made.assert_recovers()


def _signed(bed, ca, csr, names):
    request, leaf = bed.path("meddled/csr.der"), bed.path("meddled/leaf.pem")
    with open(request, "wb") as file:
        file.write(csr)
    extensions = bed.write("meddled/ext", "subjectAltName="
                           + ",".join(f"DNS:{name}" for name in names) + "\n")
    bed.run(["openssl", "x509", "-req", "-inform", "DER", "-in", request, "-CA", ca.root,
             "-CAkey", os.path.join(ca.folder, "root.key"), "-days", "10",
             "-extfile", extensions, "-out", leaf])
    with open(leaf, "rb") as one, open(ca.root, "rb") as two:
        return one.read() + two.read()


# Addresses and tokens


def test_http_urls_are_refused(bed):
    made = Renewed(bed)

    def directory(answer):
        if answer.path == "/dir":
            answer.change('"newOrder": "https://', '"newOrder": "http://')

    def finalize(answer):
        if answer.path == ORDER:
            answer.change('"finalize": "https://', '"finalize": "http://')

    def location(answer):
        if answer.path == ORDER:
            answer.header("Location", made.ca.directory.replace("https", "http"))

    for change, field in ((directory, "newOrder"), (finalize, "finalize"),
                          (location, "Location")):
        made.ca.change = change
        made.assert_refused(field, "no valid https URL")
    made.assert_recovers()


def test_tokens_with_slashes_are_refused(bed):
    made = Renewed(bed)

    def change(answer):
        if "/authZ/" in answer.path:
            body = json.loads(answer.body)
            for challenge in body["challenges"]:
                challenge["token"] = "../../../etc/passwd/0123456789"
            answer.body = json.dumps(body).encode()

    made.ca.change = change
    made.assert_refused("token")
    made.assert_recovers()


def test_directory_may_change_between_renewals(bed):
    """Its addresses are read anew each time; another host's are not taken for it."""
    made = Renewed(bed)

    def moved(answer):
        if answer.path == "/dir":
            body = json.loads(answer.body)
            del body["renewalInfo"]
            body["newNonce"] += "?moved"
            body["unheardOf"] = {"a": ["b"]}
            answer.body = json.dumps(body).encode()

    made.ca.change = moved
    made.ca.asked.clear()
    assert changed(bed, made.path, "--force")["test"][0] == "issued"
    assert made.ca.paths("?moved") > 0
    assert [p for _, path, p in made.ca.asked if path == ORDER and "replaces" in p] == []
    made.serial = serial(bed)
    os.unlink(made.deployed)
    bed.write("deployed", "\n")

    def elsewhere(answer):
        if answer.path == "/dir":
            answer.change('"newOrder": "https://127.0.0.1', '"newOrder": "https://evil.example')

    made.ca.change = elsewhere
    made.assert_refused("evil.example")
    made.assert_recovers()


# Refusals


def _refuse_orders(made, status, kind, detail, headers=(), **fields):
    def refuse(answer):
        if answer.path == ORDER:
            answer.problem(status, kind, detail, **fields)
            for name, value in headers:
                answer.header(name, value)
            return True
        return False
    made.ca.refuse = refuse


def test_rate_limit_is_shown_and_obeyed(bed):
    made = Renewed(bed)
    _refuse_orders(made, 429, "rateLimited", "too many orders lately",
                   [("Retry-After", "7200"), ("Link", '<https://ca.example/limits>;rel="help"')])
    made.assert_refused("too many orders lately", "https://ca.example/limits", "try again after")
    row = plan(bed, made.path)["test"]
    assert row["state"] == "waits", row  # forced, and not due without that
    grow_older(bed, 62 * DAY)
    database(bed, "UPDATE renewal SET window_start = 0, cert_id = NULL,"
                  " failed_at = ?, retry_at = ?", int(time.time()), int(time.time()) + 7200)
    row = plan(bed, made.path)["test"]
    assert row["state"] == "backs-off" and "https://ca.example/limits" in row["why"], row
    count = made.ca.paths(ORDER)
    assert renew(bed, made.path).assert_ok().out == ""
    assert made.ca.paths(ORDER) == count  # it is not asked before its time
    grow_older(bed, 7200)
    made.ca.refuse = None
    assert changed(bed, made.path)["test"][0] == "issued"


def test_rate_limit_names_the_time_of_the_next_try(bed):
    made = Renewed(bed)
    _refuse_orders(made, 429, "rateLimited", "slowly", [("Retry-After", "7200")])
    made.assert_refused("slowly")
    (failed, retry), = database(bed, "SELECT failed_at, retry_at FROM renewal")
    assert retry - failed == 7200


def test_paused_names_stop_and_name_the_page(bed):
    page = "https://portal.ca.example/unpause?jwt=abc.def"
    events = bed.path("events")
    pager = bed.write("page", f"#!/bin/sh\ncat >> {events}\n", 0o755)
    made = Renewed(bed, notify={"run": [pager]})
    _refuse_orders(made, 429, "rateLimited", f"Your account is paused. Please visit {page}.")
    made.assert_refused(page)
    with open(events, encoding="utf-8") as file:
        told = json.load(file)
    assert told["event"] == "paused" and page in told["error"]["text"], told
    grow_older(bed, 62 * DAY)
    database(bed, "UPDATE renewal SET window_start = 0, cert_id = NULL")
    count = made.ca.paths(ORDER)
    for _ in range(2):
        assert renew(bed, made.path).assert_ok().out == ""
        grow_older(bed, 2 * DAY)
    assert made.ca.paths(ORDER) == count
    result = bed.dns01("status", "-c", made.path)
    assert result.code == 1 and page in result.out.splitlines()[0], result
    made.assert_recovers()


def test_terms_that_changed_are_told_with_their_address(bed):
    events = bed.path("events")
    pager = bed.write("page", f"#!/bin/sh\ncat >> {events}\n", 0o755)
    made = Renewed(bed, notify={"run": [pager]})
    _refuse_orders(made, 403, "userActionRequired", "the terms have changed",
                   [("Link", '<https://ca.example/terms/2>;rel="terms-of-service"')],
                   instance="https://ca.example/agree")
    made.assert_refused("the terms have changed", "https://ca.example/agree",
                        "https://ca.example/terms/2")
    with open(events, encoding="utf-8") as file:
        told = json.load(file)
    assert told["event"] == "terms-changed", told
    assert "https://ca.example/agree" in told["error"]["text"]
    made.assert_recovers()


def test_profile_that_is_refused_gives_way_to_the_next(bed):
    made = Renewed(bed, ca={"profiles": {"first": 6 * DAY, "second": 90 * DAY}},
                   account={"profiles": ["first", "second"]})

    def refuse(answer):
        if answer.path == ORDER and answer.payload.get("profile") == "first":
            answer.problem(400, "invalidProfile", "not for you")
            return True
        return False

    made.ca.refuse = refuse
    result = renew(bed, made.path, "--force", "--json").assert_ok()
    assert json.loads(result.out)["certificates"][0]["profile"] == "second"
    assert "ordered without that profile" in result.err
    assert renew(bed, made.path).assert_ok().out == ""  # the wish has not changed


def test_order_is_tried_once_more_without_what_it_replaces(bed):
    made = Renewed(bed)
    for status, kind in ((404, "malformed"), (409, "alreadyReplaced"), (403, "unauthorized")):
        orders = []

        def refuse(answer, orders=orders, status=status, kind=kind):
            if answer.path == ORDER:
                orders.append("replaces" in answer.payload)
                if orders[-1]:
                    answer.problem(status, kind, "no such certificate of yours")
                    return True
            return False

        made.ca.refuse = refuse
        renew(bed, made.path, "--force").assert_ok()
        assert orders == [True, False], orders


def test_order_is_not_tried_again_at_once_where_a_limit_is_met(bed):
    made = Renewed(bed)
    _refuse_orders(made, 429, "rateLimited", "slowly", [("Retry-After", "60")])
    count = made.ca.paths(ORDER)
    made.assert_refused("slowly")
    assert made.ca.paths(ORDER) == count + 1


def _due_again(bed):
    """What failed backs off no more, and is due by its lifetime."""
    database(bed, "UPDATE renewal SET retry_at = 0, cert_id = NULL, window_start = 0,"
             " issued_at = not_before - ?1, not_before = not_before - ?1, not_after = ?2",
             9 * DAY, int(time.time()) + HOUR)


def test_no_more_validations_fail_within_an_hour_than_cas_allow(bed):
    """Five of a name; a wildcard beside its name takes two of them each time."""
    made = Renewed(bed)

    def change(answer):
        if answer.path.startswith("/authZ/"):
            authz = json.loads(answer.body)
            for challenge in authz["challenges"]:
                challenge["token"] = "of-another-challenge"
            answer.body = json.dumps(authz).encode()

    made.ca.change = change
    for _ in range(2):
        _due_again(bed)
        renew(bed, made.path).assert_failed("could not validate")
    _due_again(bed)
    orders = made.ca.paths(ORDER)
    assert renew(bed, made.path).assert_ok().out == ""
    assert made.ca.paths(ORDER) == orders
    row = plan(bed, made.path)["test"]
    assert row["state"] == "backs-off", row
    assert "a CA allows 5 failed validations of example.com in an hour" in row["why"], row
    database(bed, "UPDATE failed_validation SET at = at - 3700")
    renew(bed, made.path).assert_failed("could not validate")
    made.site.assert_clean()
    _due_again(bed)
    made.assert_recovers()


def test_certificates_that_share_names_use_the_same_authorizations(bed):
    """One runs after the other, however many may run side by side."""
    site, pebble = bed.site(secondaries=()), bed.pebble(reuse_authz=100)
    ca = Meddler(bed, pebble)
    path = configure(bed, site, certificate(*NAMES, keys=["p256", "p384"]), parallel=8,
                     accounts=[{**account(pebble), "directory": ca.directory}])
    assert len(changed(bed, path)) == 2
    assert ca.paths("/chalZ/") == len(NAMES)


def test_page_of_a_cdn_passes(bed):
    made = Renewed(bed)

    def change(answer):
        if answer.path == ORDER:
            answer.status = 503
            answer.header("Content-Type", "text/html")
            answer.body = b"<html>be right back</html>"

    made.ca.change = change
    made.assert_refused("HTTP status 503")
    assert database(bed, "SELECT failures, refusals FROM renewal") == [(1, 0)]
    made.assert_recovers()


# When to renew


def test_answers_that_are_no_window_are_none(bed):
    made = Renewed(bed)
    now = int(time.time())

    def window(start, end):
        return json.dumps({"suggestedWindow": {
            "start": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + start)),
            "end": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + end))}}).encode()

    bodies = (b"<html>", b"{}", b'{"suggestedWindow": 1}', window(0, -60), window(0, 0),
              b'{"suggestedWindow": {"start": "now", "end": "then"}}')
    for body in bodies:
        def change(answer, body=body):
            if "renewalInfo" in answer.path:
                answer.status, answer.body = 200, body
        made.ca.change = change
        count = made.ca.paths("renewalInfo")
        database(bed, "UPDATE renewal SET ask_at = 0, window_start = 0, window_end = 0")
        assert renew(bed, made.path).assert_ok().out == ""
        assert made.ca.paths("renewalInfo") == count + 1
        assert plan(bed, made.path)["test"]["reason"] == "life", body
        (ask_at,), = database(bed, "SELECT ask_at FROM renewal")
        assert 5 * HOUR < ask_at - now < 7 * HOUR, ask_at - now


def test_time_of_the_next_question_is_bounded(bed):
    made = Renewed(bed)
    for said, least, most in (("0", 50, 120), ("1", 50, 120), ("99999999999", 23 * HOUR, 25 * HOUR),
                              ("3600", 3500, 3700)):
        def change(answer, said=said):
            if "renewalInfo" in answer.path:
                answer.header("Retry-After", said)
        made.ca.change = change
        database(bed, "UPDATE renewal SET ask_at = 0")
        now = time.time()
        assert renew(bed, made.path).assert_ok().out == ""
        (ask_at,), = database(bed, "SELECT ask_at FROM renewal")
        assert least <= ask_at - now <= most, (said, ask_at - now)

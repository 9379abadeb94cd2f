"""One table of who may publish what, through every door that can say it."""

import json

from testbed import dnswire, tsig, wait_until
from testbed.broker import Broker, digest
from testbed.config import zone

RECORDS = [
    "_acme-challenge.www CNAME _acme-challenge.mail",
    "_acme-challenge.steal CNAME mail.example.com.acme.example.com.",
    "_acme-challenge.good CNAME good.example.com.acme.example.com.",
    "_acme-challenge.listed CNAME drop",
    "_acme-challenge.host CNAME mail",
]
CLIENTS = [
    {"name": "web", "names": [f"{n}.example.com" for n in (
        "plain", "www", "steal", "good", "listed", "host")],
     "targets": ["drop.example.com"]},
    {"name": "mail", "names": ["mail.example.com"]},
    {"name": "apps", "under": ["apps.example.com"],
     "except": ["admin.apps.example.com"]},
    {"name": "wide", "under": ["example.com"]},
    {"name": "apex", "names": ["example.com"]},
    {"name": "whole", "names": ["example.com"], "wildcard": True},
    {"name": "lead", "names": ["team.example.com"]},
    {"name": "member", "names": ["a.team.example.com"]},
    {"name": "idn", "names": ["xn--bcher-kva.example.com"]},
    {"name": "reader", "names": ["plain.example.com"], "role": "read"},
    {"name": "boss", "names": ["plain.example.com"], "role": "admin"},
    {"name": "far", "names": ["plain.example.com"],
     "networks": ["192.0.2.0/24"]},
    {"name": "near", "names": ["plain.example.com"],
     "networks": ["127.0.0.0/8"]},
    {"name": "nobody"},
]


class Case:
    """Who asks for what; owner: where it goes, reason: or why not."""

    def __init__(self, who, name, owner=None, reason=None, *, not_by=(),
                 **more):
        self.who, self.name, self.reason = who, name, reason
        bare = name.lower().rstrip(".").removeprefix("*.")
        ascii_name = bare.encode("idna").decode() if bare else bare
        self.owner = None if reason else (
            owner or f"_acme-challenge.{ascii_name}")
        self.not_by = not_by
        self.value, self.view = more.get("value"), more.get("view")

    def __repr__(self):
        return f"{self.who} {self.name} {self.value or ''}{self.view or ''}"


# `dns01 policy` asks no name server, and knows no address of a client.
ASIDE = ("policy",)
# These doors have no way to say a wildcard, a view, or any other value.
NO_WILDCARD = ("acmedns", "update")
NO_VALUE = ("acmedns", "raw", "policy", "check")
NO_VIEW = ("acmedns", "httpreq", "raw", "update")

CASES = [
    Case("web", "plain.example.com"),
    Case("web", "PLAIN.Example.COM."),
    Case("web", "*.plain.example.com", not_by=NO_WILDCARD),
    Case("web", "mail.example.com", reason="ungranted"),
    Case("web", "a.plain.example.com", reason="ungranted"),
    Case("web", "evilplain.example.com", reason="ungranted"),
    Case("nobody", "plain.example.com", reason="ungranted"),
    Case("wide", "evilexample.com", reason="ungranted"),
    Case("wide", "example.com", reason="ungranted"),
    Case("wide", "deep.down.below.example.com"),
    Case("wide", "team.example.com", reason="wildcard"),
    Case("wide", "_acme-challenge.plain.example.com", reason="name"),
    Case("wide", "_x.example.com", reason="name"),
    Case("wide", "-x.example.com", reason="name"),
    Case("apps", "apps.example.com", reason="ungranted"),
    Case("apps", "x.apps.example.com"),
    Case("apps", "z.y.x.apps.example.com"),
    Case("apps", "evilapps.example.com", reason="ungranted"),
    Case("apps", "admin.apps.example.com", reason="except"),
    Case("apps", "x.Admin.apps.example.com.", reason="except"),
    Case("apps", "notadmin.apps.example.com"),
    Case("apex", "example.com", reason="wildcard"),
    Case("whole", "example.com"),
    Case("lead", "team.example.com", reason="wildcard"),
    Case("member", "a.team.example.com"),
    Case("idn", "b\u00fccher.example.com"),
    Case("idn", "XN--BCHER-KVA.example.com"),
    Case("web", "www.example.com", reason="alias", not_by=ASIDE),
    Case("web", "steal.example.com", reason="alias", not_by=ASIDE),
    Case("web", "host.example.com", reason="alias", not_by=ASIDE),
    Case("web", "good.example.com", "good.example.com.acme.example.com",
         not_by=ASIDE),
    Case("web", "listed.example.com", "drop.example.com", not_by=ASIDE),
    Case("reader", "plain.example.com", reason="role"),
    Case("boss", "plain.example.com"),
    Case("boss", "mail.example.com", reason="ungranted"),
    Case("far", "plain.example.com", reason="network", not_by=ASIDE),
    Case("near", "plain.example.com"),
    Case("web", "plain.example.com", reason="value", value="short",
         not_by=NO_VALUE),
    Case("web", "plain.example.com", reason="value", not_by=NO_VALUE,
         value="v=spf1 include:example.org -all            "),
    Case("web", "plain.example.com", reason="value", not_by=NO_VALUE,
         value="LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ"),
    Case("web", "plain.example.com", reason="view", view="inside",
         not_by=NO_VIEW),
]


class House:
    """Each door says (owner, None) or (None, reason)."""

    def __init__(self, bed):
        self.bed = bed
        self.site = bed.site(secondaries=(), records=RECORDS)
        self.broker = Broker(
            bed, self.site, CLIENTS,
            zones=[zone("example.com"), zone("example.com", view="inside"),
                   zone("acme.example.com", target=True)]).start()
        self.keys, self.accounts = {}, {}

    def key(self, client):
        """A TSIG key of that client, by `dns01 token new --as tsig`."""
        if client not in self.keys:
            statement = self.broker.token(client, "--as", "tsig")
            words = statement.split('"')
            self.keys[client] = self.bed.key(words[1], secret=words[3])
        return self.keys[client]

    def audited(self, door, value):
        """What the audit line of that request says."""
        def line():
            found = [a for a in self.broker.audit()
                     if a["door"] == door and a.get("value") == value
                     and a["action"] == "publish"]
            return found[-1] if found else None

        told = wait_until(line, f"the audit line of {door}")
        assert told.get("client") and told.get("credential"), told
        assert told.get("from"), told
        if told["verdict"] == "granted":
            assert told["lease_until"], told
            return told["owner"], None
        assert told["text"], told
        return None, told["reason"]

    def agree(self, answered, door, value):
        """The door's answer and its audit line are the same verdict."""
        told = self.audited(door, value)
        assert answered == (told[1] is None), (answered, told)
        return told

    def api(self, case, value):
        answer = self.broker.ask(
            "POST", "/v1/challenges",
            {"name": case.name, "value": value, "wait": "published",
             **({"view": case.view} if case.view else {})},
            client=case.who, kind="http")
        told = self.agree(answer.status < 300, "api", value)
        if told[1]:
            assert answer.status == 403, answer
            assert answer.json["error"]["rule"] == told[1], answer
            assert answer.json["error"]["text"], answer
        else:
            assert answer.json["owner"] == told[0], answer
        return told

    def check(self, case, value):
        answer = self.broker.ask(
            "POST", "/v1/check",
            {"name": case.name, "value": value,
             **({"view": case.view} if case.view else {})},
            client=case.who, kind="http")
        assert answer.status == 200, answer
        if answer.json["granted"]:
            return answer.json["owner"], None
        return None, answer.json["error"]["rule"]

    def _present(self, case, value, body):
        answer = self.broker.ask(
            "POST", "/present", body, kind="http",
            basic=(case.who, self.broker.token(case.who)))
        assert answer.status in (200, 403), answer
        return self.agree(answer.status == 200, "httpreq", value)

    def httpreq(self, case, value):
        name = case.name.removeprefix("*.").rstrip(".")
        return self._present(case, value, {
            "fqdn": f"_acme-challenge.{name}.", "value": value})

    def raw(self, case, value):
        token = value.partition("!")[0]
        digested = digest_of(f"{token}.thumbprint")
        return self._present(case, digested, {
            "domain": case.name.removeprefix("*."), "token": token,
            "keyAuth": f"{token}.thumbprint"})

    def acmedns(self, case, value):
        account = json.loads(self.broker.dns01(
            "token", "new", case.who, "--as", "acmedns", "--for", case.name,
        ).assert_ok().out.splitlines()[-1])
        account = next(iter(account.values()))
        answer = self.broker.ask(
            "POST", "/update",
            {"subdomain": account["subdomain"], "txt": value}, kind="http",
            headers={"X-Api-User": account["username"],
                     "X-Api-Key": account["password"]})
        assert answer.status in (200, 403), answer
        return self.agree(answer.status == 200, "acmedns", value)

    def update(self, case, value):
        key = self.key(case.who)
        name = case.name.rstrip(".")
        name = name.encode("idna").decode() if not name.isascii() else name
        reply = tsig.exchange(tsig.sign(tsig.update(
            "com", tsig.add(f"_acme-challenge.{name}", value)), key), key,
            self.broker.port("dns"))
        assert reply.verified, vars(reply)
        assert reply.rcode in (dnswire.NOERROR, dnswire.REFUSED), reply.rcode
        return self.agree(reply.rcode == dnswire.NOERROR, "update", value)

    def policy(self, case, _):
        told = self.broker.dns01("policy", "--json", *(
            ("--view", case.view) if case.view else ()), "--", case.who,
            case.name)
        said = told.json_lines()[0]
        assert said["granted"] == (told.code == 0), told
        return (case.owner, None) if said["granted"] else (None, said["rule"])


DOORS = ("api", "check", "httpreq", "raw", "acmedns", "update", "policy")


def digest_of(text):
    import base64
    import hashlib
    raw = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def test_one_table_through_every_door(bed):
    house = House(bed)
    wrong = []
    for case in CASES:
        for door in DOORS:
            if door in case.not_by:
                continue
            value = case.value or digest()
            told = getattr(house, door)(case, value)
            if told != (case.owner, case.reason):
                wrong.append(f"{door}: {case}: {told}, not "
                             f"{(case.owner, case.reason)}")
        for client in {c["name"] for c in CLIENTS}:
            house.broker.ask("DELETE", f"/v1/challenges?name={case.owner}",
                             client=client)
    assert not wrong, "\n".join(wrong)
    wait_until(lambda: not house.site.txt(), "everything leaves")
    house.broker.stop().assert_ok()


def test_nobody_removes_the_value_of_another_by_any_door(bed):
    """Two clients of one name: each sees, and removes, its own alone."""
    site = bed.site(secondaries=())
    both = [{"name": n, "names": ["plain.example.com"]} for n in ("a", "b")]
    house = House.__new__(House)
    house.bed, house.keys = bed, {}
    house.broker = broker = Broker(bed, site, both).start()
    owner, value = "_acme-challenge.plain.example.com", digest()
    assert broker.publish("a", "plain.example.com", value).status == 200
    key, port = house.key("b"), broker.port("dns")
    for records in ([tsig.delete(owner, value)], [tsig.delete_rrset(owner)],
                    [tsig.delete_name(owner)]):
        signed = tsig.sign(tsig.update("example.com", *records), key)
        assert tsig.exchange(signed, key, port).rcode == dnswire.NOERROR
    for body in ({"fqdn": owner + ".", "value": value},):
        assert broker.ask("POST", "/cleanup", body, basic=(
            "b", broker.token("b"))).status == 200
    for query in (f"value={value}", "name=plain.example.com",
                  f"name={owner}&value={value}"):
        gone = broker.ask("DELETE", f"/v1/challenges?{query}", client="b")
        assert gone.json == {"removed": 0}, gone
    # What b publishes and removes meanwhile takes nothing of a's along.
    other = digest()
    assert broker.publish("b", "plain.example.com", other).status == 200
    assert broker.publish("b", "plain.example.com", value).status == 200
    for gone in (value, other):
        broker.ask("DELETE", f"/v1/challenges?value={gone}", client="b")
    wait_until(lambda: dnswire.txt_values(site.address, owner) == [value],
               "what b had leaves")
    listed = broker.ask("GET", "/v1/challenges", client="a").json
    assert [c["value"] for c in listed["challenges"]] == [value]
    broker.stop().assert_ok()

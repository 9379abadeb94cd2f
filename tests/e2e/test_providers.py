"""One suite over all providers whose vendor has a stand-in in tests/peer: a row for each."""

import json
import os
from dataclasses import dataclass, field

from peer.api import digest, secret
from peer.azure import Azure
from peer.cloudflare import Cloudflare
from peer.desec import Desec
from peer.google import Google
from peer.hetzner import Hetzner
from peer.ovh import Ovh, signature as ovh_signature
from peer.powerdns import PowerDnsApi
from peer.route53 import Route53
from test_exec import LEGO_PROGRAM
from testbed import dnswire, wait_until
from testbed.broker import Broker
from testbed.config import account, certificate, rfc2136, write_config, zone

DOMAIN = "example.com"
OWNER = f"_acme-challenge.{DOMAIN}"
NAMES = ("example.com", "*.example.com")
FOREIGN = "somebody-else"


@dataclass
class Row:
    """A peer, and what its API is."""
    peer: type
    options: dict = field(default_factory=dict)
    # Another writer's value, made between our read and our write, survives.
    swaps: bool = True
    settings: dict = field(default_factory=dict)  # of the configuration
    values: int = 50  # that a name may have
    batch: str = None  # the method of one request that changes many names
    later: bool = False  # a retraction is answered before it is done
    per_s: int = None  # requests a second
    account: str = None  # what sentences call it
    # Another row of the same peer has all scenarios; this one is another way to its tokens.
    is_variant: bool = False


ROWS = {
    "azure": Row(Azure, values=19, account="subscription 5ub"),  # and a foreign one
    "azure_machine": Row(Azure, {"machine": True}, is_variant=True),
    "cloudflare": Row(Cloudflare),
    "desec": Row(Desec, swaps=False, batch="PUT", per_s=10),
    "desec_of_many_domains": Row(Desec, {"many": True, "writes_per_s": 1}, swaps=False,
                                 is_variant=True),
    "google": Row(Google, batch="POST", account="project my-project"),
    "google_machine": Row(Google, {"machine": True}, is_variant=True),
    "hetzner": Row(Hetzner),
    "ovh": Row(Ovh, {"ahead_s": 5000}),
    "ovh_oauth": Row(Ovh, {"oauth": True}, is_variant=True),
    "powerdns": Row(PowerDnsApi, batch="PATCH"),
    "powerdns_of_old": Row(PowerDnsApi, {"extends": False}, swaps=False, batch="PATCH"),
    "route53": Row(Route53, {"busy": 1}, batch="POST", per_s=5,
                   account="access key AKIAIOSFODNN7EXAMPLE"),
    "route53_machine": Row(Route53, {"keys": "machine"}, is_variant=True),
}


class Host:
    """dns01 with one zone at one peer, the provider alone deciding."""

    def __init__(self, bed, row, state="state", peer=None, **provider):
        self.bed = bed
        self.row = row
        self.peer = peer or row.peer(bed, **row.options)
        self.state = bed.state(state)
        self.conf = write_config(
            bed, f"{state}.conf", state=self.state, providers=[self.peer.provider(**provider)],
            zones=[zone(DOMAIN, "vendor", zone=DOMAIN, watch="provider", alias="off", ttl=5)],
            **row.settings)

    def hook(self, verb, *pairs, env=None):
        """All the values in one call; each pair is (domain, value)."""
        words = [w for domain, value in pairs for w in (domain, "token", value)]
        return self.bed.dns01("hook", "-vv", "-c", self.conf, "dehydrated",
                              f"{verb}_challenge", *words, env=env)

    def publish(self, *values, domain=DOMAIN, **options):
        return self.hook("deploy", *[(domain, v) for v in values], **options)

    def retract(self, *values, domain=DOMAIN, **options):
        return self.hook("clean", *[(domain, v) for v in values], **options)

    def shows(self, *values, owner=OWNER):
        if self.row.later:
            wait_until(lambda: self.peer.texts(owner) == sorted(values), f"{values} at {owner}")
        found = self.peer.texts(owner)
        assert found == sorted(values), f"at {owner}: {found}, not {sorted(values)}"

    def assert_idle(self):
        """The journal is empty: nothing is left to be removed."""
        status = self.bed.dns01("status", "-c", self.conf, "--json").assert_ok()
        assert json.loads(status.out)["values"] == [], status

    def assert_no_leak(self):
        """No credential is in what dns01 wrote: output, journal, state."""
        secrets = [s.encode() for s in self.peer.secrets()]
        for folder, _, files in os.walk(self.bed.dir):
            if os.path.basename(folder) in ("secrets", "bin"):
                continue
            for name in files:
                if not os.path.isfile(os.path.join(folder, name)):
                    continue  # a socket
                with open(os.path.join(folder, name), "rb") as file:
                    text = file.read()
                assert not any(s in text for s in secrets), (
                    f"a credential is in {folder}/{name}")


def conformance(bed, row):
    host, other = Host(bed, row), None
    other = Host(bed, row, "other", host.peer)
    one, two = digest(), digest()
    host.peer.plant(OWNER, FOREIGN)
    host.publish(one, two).assert_ok()
    host.shows(FOREIGN, one, two)
    # again, by a host that does not know of it
    other.publish(one, two).assert_ok()
    host.shows(FOREIGN, one, two)
    host.retract(one).assert_ok()
    host.shows(FOREIGN, two)
    host.retract(two).assert_ok()
    host.shows(FOREIGN)
    other.retract(one, two).assert_ok()
    host.shows(FOREIGN)
    host.assert_idle()
    other.assert_idle()
    many = [digest() for _ in range(row.values)]
    names = [f"h{n}.{DOMAIN}" for n in range(min(25, row.values))]
    host.publish(*many).assert_ok()
    host.shows(FOREIGN, *many)
    assert host.peer.in_sync()
    before = len(host.peer.requests)
    host.hook("deploy", *zip(names, many)).assert_ok()
    changes = [r for r in host.peer.requests[before:]
               if r.method == row.batch and not r.path.endswith("token")]
    # One for all; to see that an old PowerDNS refuses values takes one more.
    assert not row.batch or len(changes) == (1 if row.options.get("extends", True) else 2)
    assert not row.per_s or host.peer.highest_rate(before) <= row.per_s + 1
    assert all(host.peer.texts(f"_acme-challenge.{n}") == [v] for n, v in zip(names, many))
    host.retract(*many[:5]).assert_ok()
    host.retract(*many[5:]).assert_ok()
    host.hook("clean", *zip(names, many)).assert_ok()
    host.shows(FOREIGN)
    for owner in (OWNER, *(f"_acme-challenge.{n}" for n in names)):
        host.shows(*([FOREIGN] if owner == OWNER else []), owner=owner)
    assert host.peer.everything() == [FOREIGN]
    host.assert_idle()
    host.assert_no_leak()


def weather(bed, row):
    """What goes wrong and passes: nothing is lost, doubled or left."""
    host = Host(bed, row)
    peer, value = host.peer, digest()
    peer.plant(OWNER, FOREIGN)
    read, write = {"writes": False}, {"writes": True}
    for kind, where in (("unavailable", (read, write)), ("reset", (read, write)),
                        ("lost", (write,)), ("limit", (write,)), ("slow", (read, write)),
                        ("expire", ({},))):
        for change, shown in ((host.publish, (FOREIGN, value)), (host.retract, (FOREIGN,))):
            for one in where:
                peer.fail(kind, **one)
            result = change(value)
            assert result.code == 0, f"{kind}: {result}"
            peer.calm()
            host.shows(*shown)
        host.assert_idle()
    host.assert_no_leak()


def siblings(bed, row):
    """Another writer's value, made between our read and our write."""
    host = Host(bed, row)
    peer, value, late = host.peer, digest(), iter("abcdefgh")
    peer.plant(OWNER, FOREIGN)
    shown = [FOREIGN]
    for change in (host.publish, host.retract):
        if not row.swaps:
            break
        shown.append(next(late))
        peer.fail("between", writes=True, action=lambda: peer.plant(OWNER, shown[-1]))
        change(value).assert_ok()
        peer.calm()
        host.shows(*shown, *([value] if change == host.publish else []))
    host.assert_idle()


def overwritten(bed, row):
    """Another writer that puts back the set as it read it: without compare-and-swap our value is
    gone, until it is looked at again."""
    host, value = Host(bed, row), digest()
    host.peer.plant(OWNER, FOREIGN)
    ttl = host.peer.records.at(OWNER)[0].ttl

    def overwrite():
        host.peer.records.replace(OWNER, [FOREIGN], ttl)
    host.peer.fail("between", writes=True, action=lambda: host.peer.fail(
        "between", writes=False, action=overwrite))
    host.publish(value).assert_ok()
    host.peer.calm()
    host.shows(FOREIGN, value)


def denied(bed, row):
    """What may not be written: which name, zone, account; what it needs, in the vendor's words."""
    host = Host(bed, row)
    answer = host.peer.answer

    def readonly(request):
        if request.method == "GET" or request.path.endswith("token"):
            return answer(request)
        return host.peer.error(403, "this credential is for reading")
    host.peer.answer = readonly
    listed = bed.dns01("providers", row.peer.name, "--json").assert_ok()
    needs = json.loads(listed.out)["privilege"]
    failed = host.publish(digest())
    failed.assert_failed(OWNER, f'{row.peer.name} "vendor" cannot', "TXT record",
                         f"in zone {DOMAIN}" + (f" of {row.account}:" if row.account else ":"),
                         "403: ", "this credential is for reading", needs)
    host.assert_idle()  # what was surely not made is not kept


def storms(bed, row):
    """What goes wrong and does not pass: a sentence, and the next run repairs."""
    host = Host(bed, row)
    peer, value = host.peer, digest()
    peer.plant(OWNER, FOREIGN)
    for kind, words in (("huge", ("longer than",)), ("html", ("endpoint", "text/html")),
                        ("echo", ("403",))):
        peer.fail(kind, 1)
        failed = host.publish(value).assert_failed(row.peer.name, *words)
        assert "intranet" not in failed.err, failed
        peer.faults.clear()
        host.publish(value).assert_ok()
        host.shows(FOREIGN, value)
        peer.fail(kind, 1)
        host.retract(value)
        peer.faults.clear()
        bed.dns01("sweep", "-c", host.conf).assert_ok()
        host.retract(value).assert_ok()
        host.shows(FOREIGN)
        host.assert_idle()
    host.assert_no_leak()


def issues(bed, row):
    """A wildcard and its apex from a real CA; the peer shows its records by DNS."""
    peer = row.peer(bed, **row.options).delegate()
    pebble = bed.pebble(reject_nonces=5)
    peer.plant(OWNER, FOREIGN)
    conf = write_config(
        bed, accounts=[account(pebble)], providers=[peer.provider()],
        zones=[zone(DOMAIN, "vendor")], certificates=[certificate(*NAMES)])
    bed.dns01("issue", "-c", conf, "--json", "-vv").assert_ok()
    bed.assert_issued(pebble, list(NAMES))
    assert peer.texts(OWNER) == [FOREIGN]
    host = Host(bed, row, "unused", peer)
    host.assert_no_leak()


def wrong_credential(bed, row):
    """A sentence that says what it needs, and nothing that gives it away."""
    host = Host(bed, row)
    for name in os.listdir(f"{bed.dir}/secrets"):
        with open(f"{bed.dir}/secrets/{name}", "r+", encoding="utf-8") as file:
            text = file.read()
            for secret in host.peer.credentials():
                text = text.replace(secret, "WrOnG" + secret[5:])
            file.seek(0)
            file.write(text)
    wrong = "WrOnG" + host.peer.credentials()[0][5:]
    failed = host.publish(digest()).assert_failed(row.peer.name, "needs")
    assert wrong not in failed.err + failed.out, failed
    assert host.peer.texts(OWNER) == []
    host.assert_idle()


def zones(bed, row):
    """The longest zone of the account that the name is in, on label boundaries; `zone` and `zone_id`
    say which without asking."""
    below = f"sub.{DOMAIN}"
    host = Host(bed, row, peer=row.peer(bed, (DOMAIN, below), **row.options))
    # The peer refuses what is not in the zone that it was asked for.
    for domain in (below, f"www.{below}", f"b{below}", f"a.b.{DOMAIN}"):
        value = digest()
        host.publish(value, domain=domain).assert_ok()
        host.shows(value, owner=f"_acme-challenge.{domain}")
        host.retract(value, domain=domain).assert_ok()
    host.publish(digest(), domain="evilexample.com").assert_failed("evilexample.com")
    known = Host(bed, row, "known", host.peer, zone=below)
    value = digest()
    known.publish(value, domain=f"www.{below}").assert_ok()
    known.retract(value, domain=f"www.{below}").assert_ok()
    known.publish(value, domain=f"b{below}").assert_failed(f"not in zone {below}")
    assert host.peer.records.list == []
    spared = host.peer.zone_settings(below)
    if spared is None:
        return
    host.peer.may_list = False
    host.publish(value).assert_failed(row.peer.name, "403", "needs")
    spared = Host(bed, row, "spared", host.peer, **{"zone": below, **spared})
    spared.publish(value, domain=f"www.{below}").assert_ok()
    spared.retract(value, domain=f"www.{below}").assert_ok()
    assert host.peer.records.list == []


def works(bed, name, peer, provider, env=None):
    """With these settings, and these variables."""
    conf = write_config(
        bed, f"{name}.conf", state=bed.state(name), providers=[provider],
        zones=[zone(DOMAIN, "vendor", zone=DOMAIN, watch="provider", alias="off")])
    value = digest()
    for verb, shown in (("deploy", [value]), ("clean", [])):
        bed.dns01("hook", "-c", conf, "dehydrated", f"{verb}_challenge", DOMAIN, "token", value,
                  env=env).assert_ok()
        assert peer.texts(OWNER) == shown


def credentials(bed, row):
    """From programs, from systemd, from the vendor's customary variables."""
    peer = row.peer(bed, **row.options)
    given = peer.provider()
    files = [s for s in given if s.endswith("_file") and s != "ca_file"]
    rest = {s: v for s, v in given.items() if s not in files}
    known = {"project": "my-project"} if peer.name == "google" else {}
    works(bed, "programs", peer, {**rest, **known, **{
        s.replace("_file", "_command"): ["/bin/cat", given[s]] for s in files}})
    works(bed, "systemd", peer, {**rest, **{s: os.path.basename(given[s]) for s in files}},
          env={"CREDENTIALS_DIRECTORY": os.path.dirname(given[files[0]])})
    listed = bed.dns01("providers", peer.name).assert_ok().out
    env = {}
    for variable, setting in peer.variables().items():
        assert variable in listed, listed
        env[variable] = given[setting]
        if setting in files and variable != "GOOGLE_APPLICATION_CREDENTIALS":
            with open(given[setting], encoding="ascii") as file:
                env[variable] = file.read().strip()
    works(bed, "variables", peer,
          {s: v for s, v in rest.items() if s not in peer.variables().values()}, env=env)


SCENARIOS = {
    "keeps_to_its_own_values": conformance, "stands_bad_weather": weather,
    "keeps_what_others_write_meanwhile": siblings, "writes_again_what_others_overwrite": overwritten,
    "says_what_may_not_be_done": denied, "says_what_is_wrong": storms,
    "issues_a_wildcard": issues, "refuses_a_wrong_credential": wrong_credential,
    "finds_the_zone": zones, "has_its_credentials_from_everywhere": credentials,
}


def _test(row, scenario):
    def test(bed):
        scenario(bed, row)
    return test


def row_is_covered(row, scenario):
    if scenario is credentials:
        return row.is_variant and "oauth" not in row.options
    return row.is_variant and scenario not in (weather, issues)


for _row_name, _row in ROWS.items():
    for _name, _scenario in SCENARIOS.items():
        if (_scenario is siblings and not _row.swaps or _scenario is overwritten and _row.swaps
                or row_is_covered(_row, _scenario)):
            continue
        _made = _test(_row, _scenario)
        _made.__name__ = f"test_{_row_name}_{_name}"
        globals()[_made.__name__] = _made


def test_signatures_are_as_the_vendors_publish_them(_bed):
    """The examples of their own documentation: what the peers compute is right, so what
    they accept is."""
    assert ovh_signature(
        "EXEgWIz07P0HYwtQDs7cNIqCiQaWSuHF", "MtSwSrPpNjqfVSmJhLbPyr2i45lSwPU1", "GET",
        "https://eu.api.ovh.com/1.0/domains/", "", "1366560945"
    ) == "$1$d3705e8afb27a0d2970a322b96550abfc67bb798"


def test_azure_leaves_metadata_and_the_strings_of_others_as_they_are(bed):
    host, value = Host(bed, ROWS["azure"]), digest()
    strings = ["v=DKIM1; ", "p=MIIB"]
    host.peer.plant(OWNER, "".join(strings))
    host.peer.chunks[OWNER, "".join(strings)] = strings
    host.peer.metadata[OWNER] = {"team": "mail"}
    host.publish(value).assert_ok()
    host.retract(value).assert_ok()
    host.shows("".join(strings))
    assert host.peer.chunks[OWNER, "".join(strings)] == strings
    assert host.peer.metadata[OWNER] == {"team": "mail"}


def test_route53_finds_the_keys_of_a_container_and_of_the_credentials_file(bed):
    role = Host(bed, Row(Route53, {"keys": "container"}))
    env = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/role",
           "AWS_CONTAINER_AUTHORIZATION_TOKEN": role.peer.session_of_metadata}
    value = digest()
    role.publish(value, env=env).assert_ok()
    role.shows(value)
    role.retract(value, env=env).assert_ok()
    env = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{role.peer.url}/role",
           "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE":
           role.peer.secret_file("role", role.peer.session_of_metadata + "\n")}
    role.publish(value, env=env).assert_ok()
    role.retract(value, env=env).assert_ok()
    away = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.1/role"}
    role.publish(value, env=away).assert_failed("not https")
    keyed = Host(bed, Row(Route53, {"keys": "set"}), "keyed")
    path = keyed.peer.secret_file(
        "credentials", "[default]\naws_access_key_id = AKIAWRONG\naws_secret_access_key = x\n"
        f"[dns]\naws_access_key_id={keyed.peer.key_id}\n"
        f"aws_secret_access_key = {keyed.peer.secret_key}\n")
    places = {"endpoint": keyed.peer.url, "profile": "dns"}
    conf = write_config(
        bed, "file.conf", state=bed.state("file"),
        providers=[{"name": "vendor", "type": "route53", "ca_file": keyed.peer.ca_root, **places}],
        zones=[zone(DOMAIN, "vendor", zone=DOMAIN, watch="provider", alias="off")])
    bed.dns01("hook", "-c", conf, "dehydrated", "deploy_challenge", DOMAIN, "token", value,
              env={"AWS_SHARED_CREDENTIALS_FILE": path}).assert_ok()
    keyed.shows(value)
    keyed.assert_no_leak()
    peer = Route53(bed)  # temporary keys
    peer.session = secret()
    given = {**peer.provider(), "session_token_file": peer.secret_file("session", peer.session)}
    works(bed, "session", peer, given)
    del given["session_token_file"]
    works(bed, "session2", peer, given, env={"AWS_SESSION_TOKEN": peer.session})


def test_what_says_later_in_words_of_its_own_is_asked_again(bed):
    """Neither a 429 nor done."""
    rows = (Row(Route53, {"busy": 2, "throttled": 2}), Row(Google), Row(Hetzner, {"locks": True}))
    for row in rows:
        host = Host(bed, row, row.peer.name)
        host.peer.hurried = 2
        pairs = [(f"h{n}.{DOMAIN}", digest()) for n in range(3)]
        host.hook("deploy", *pairs).assert_ok()
        for domain, value in pairs:
            host.shows(value, owner=f"_acme-challenge.{domain}")
        host.hook("clean", *pairs).assert_ok()
        assert host.peer.records.list == []
        host.assert_idle()
    assert host.peer.locked > 0
    host = Host(bed, Row(Route53, {"busy": 1000}), "ever", timeout="2s")
    host.publish(digest()).assert_failed("PriorRequestNotComplete")
    host.shows()


def test_route53_goes_on_where_the_state_of_a_change_may_not_be_asked(bed):
    """What was written is written: it is looked at, not forgotten."""
    host, value = Host(bed, ROWS["route53"]), digest()
    host.peer.may_get_change = False
    published = host.publish(value).assert_ok()
    assert "route53:GetChange" in published.err, published
    host.shows(value)
    host.retract(value).assert_ok()
    host.shows()
    host.assert_idle()


def test_route53_finds_the_public_zone_behind_private_ones_of_its_name(bed):
    host, value = Host(bed, Row(Route53, {"private": 12})), digest()
    host.publish(value).assert_ok()
    host.shows(value)


def test_more_values_than_a_set_may_have_are_refused_by_name_and_nothing_is_lost(bed):
    host, values = Host(bed, ROWS["azure"]), [digest() for _ in range(20)]
    host.peer.plant(OWNER, FOREIGN)
    host.publish(*values).assert_failed("azure", OWNER, "exceeds the maximum of 20")
    host.shows(FOREIGN)
    host.publish(*values[:19]).assert_ok()
    host.shows(FOREIGN, *values[:19])


# lego, which knows the real services, and whose URL it may be told: so what dns01 is tried with is
# not only what dns01 thinks.
LEGO = {
    "pdns": (PowerDnsApi, lambda p: {"PDNS_API_URL": p.url, "PDNS_API_KEY": p.key}),
    "ovh": (Ovh, lambda p: {
        "OVH_ENDPOINT": f"{p.url}/1.0", "OVH_APPLICATION_KEY": p.key,
        "OVH_APPLICATION_SECRET": p.secret, "OVH_CONSUMER_KEY": p.consumer}),
    "route53": (Route53, lambda p: {
        "AWS_ACCESS_KEY_ID": p.key_id, "AWS_SECRET_ACCESS_KEY": p.secret_key,
        "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": p.url}),
}


def serves_lego(bed, provider):
    kind, env = LEGO[provider]
    peer = kind(bed).delegate()
    pebble = bed.pebble()
    bed.start(
        [bed.tool("lego"), "--server", pebble.directory, "--accept-tos", "--email",
         "admin@example.com", "--path", bed.new_folder("lego"), "--dns", provider,
         "--dns.resolvers", f"{bed.resolver().address}:53", "--domains", DOMAIN, "run"],
        env={"LEGO_CA_CERTIFICATES": pebble.ca_root, "SSL_CERT_FILE": peer.ca_root,
             **env(peer)}).wait(120).assert_ok()
    assert peer.records.list == []


def test_the_stand_in_for_powerdns_serves_lego(bed):
    serves_lego(bed, "pdns")


def test_the_stand_in_for_ovh_serves_lego(bed):
    serves_lego(bed, "ovh")


def test_the_stand_in_for_route53_serves_lego(bed):
    serves_lego(bed, "route53")


def test_a_set_with_a_routing_policy_is_left_alone(bed):
    for kind in (Google, Route53):
        host = Host(bed, Row(kind), kind.name)
        host.peer.plant(OWNER, FOREIGN)
        host.peer.routed.add(OWNER)
        host.publish(digest()).assert_failed("routing policy", OWNER)
        host.shows(FOREIGN)
        host.assert_idle()


def test_a_disabled_record_of_powerdns_stays_disabled(bed):
    """Where sets are replaced, all of a record is written back."""
    host, value = Host(bed, ROWS["powerdns_of_old"]), digest()
    host.peer.plant(OWNER, FOREIGN)
    host.peer.disabled.add(FOREIGN)
    host.publish(value).assert_ok()
    host.retract(value).assert_ok()
    assert host.peer.disabled == {FOREIGN}


# Providers without a stand-in: what they write to is real, a zone of BIND.


class Zoned:
    """It in a stand-in's place; `through` is the provider's type."""
    requests = ()

    def __init__(self, bed, *, through):
        self.bed = bed
        self.name = through
        self.site = bed.site(secondaries=())
        self.broker = None if through in ("rfc2136", "exec") else Broker(bed, self.site, [
            {"name": "web", "names": [DOMAIN], "under": [DOMAIN], "wildcard": True,
             "values": 200, "publishes_per_hour": 1000}]).start()

    def provider(self):
        common = {"name": "vendor", "type": self.name}
        if self.name == "rfc2136":
            return rfc2136(self.site, "vendor")
        if self.name == "exec":
            program = self.bed.write("bin/program", LEGO_PROGRAM.format(
                server=self.site.address, key=self.site.key.path), mode=0o755)
            return {**common, "command": [program],
                    "environment": [f"PATH={os.environ['PATH']}:/usr/sbin"]}
        token = self.bed.write("secrets/web.token", self.broker.token("web"), mode=0o600)
        if self.name == "broker":
            return {**common, "url": [self.broker.url()], "token_file": token}
        return {**common, "endpoint": self.broker.url(), "username": "web",
                "password_file": token}

    def plant(self, owner, text):
        self.site.update(f'add {owner} 60 TXT "{text}"')

    def texts(self, owner):
        return sorted(dnswire.txt_values(self.site.address, owner))

    def everything(self):
        return [text for _, text in self.site.txt()]

    def in_sync(self):
        return True

    def secrets(self):
        return []  # BIND's configuration has the one, what made the token has printed the other


def test_rfc2136_keeps_to_its_own_values(bed):
    conformance(bed, Row(Zoned, {"through": "rfc2136"}))


def test_exec_keeps_to_its_own_values(bed):
    conformance(bed, Row(Zoned, {"through": "exec"}))


def test_broker_keeps_to_its_own_values(bed):
    conformance(bed, Row(Zoned, {"through": "broker"}, later=True, values=8))


def test_httpreq_keeps_to_its_own_values(bed):
    conformance(bed, Row(Zoned, {"through": "httpreq"}, later=True, values=8))

"""Providers that speak HTTP: where credentials come from, which zone a name is in, several
providers for a zone, and PowerDNS for real."""

import json
import os
import re
import signal
import time

from peer.azure import Azure
from peer.cloudflare import Cloudflare
from peer.google import Google
from peer.ovh import Ovh
from peer.route53 import Route53
from peer.powerdns import PowerDnsApi
from peer.api import Refused, secret
from peer.desec import Desec
from testbed import Bind, Zone, dnswire, wait_until
from testbed.bed import TOP
from testbed.broker import Broker, digest
from testbed.config import account, certificate, rfc2136, write_config, zone
from testbed.powerdns import PowerDnsWithApi

TSIG_KEY = f'key "acme" {{ algorithm hmac-sha256; secret "{"A" * 43}="; }};\n'
OWNER = "_acme-challenge.example.com"
NAMES = ("example.com", "*.example.com")


def configured(bed, *providers, suffix="example.com", name="dns01.conf", **zone_settings):
    """A zone that its providers alone decide about."""
    return write_config(bed, name, providers=list(providers), zones=[
        {"suffix": suffix, "providers": [p["name"] for p in providers], "zone": suffix,
         "alias": "off", "watch": "provider", **zone_settings}])


def hook(bed, conf, verb, value, domain="example.com", env=None):
    return bed.dns01("hook", "-vv", "-c", conf, "getssl", verb, domain, value, env=env)


def works(bed, conf, peer, env=None):
    value = digest()
    hook(bed, conf, "add", value, env=env).assert_ok()
    assert peer.texts(OWNER) == [value]
    hook(bed, conf, "del", value, env=env).assert_ok()
    assert peer.texts(OWNER) == []


def without(provider, *names):
    return {k: v for k, v in provider.items() if k not in names}


# credentials


def test_a_credential_from_the_environment(bed):
    peer = Cloudflare(bed)
    conf = configured(bed, without(peer.provider(), "token_file"))
    works(bed, conf, peer, env={"CF_DNS_API_TOKEN": peer.token})
    failed = hook(bed, conf, "add", digest())
    failed.assert_failed("credential", "token_file", "token_command", "CLOUDFLARE_API_TOKEN")


def test_a_credential_from_systemd(bed):
    peer = Cloudflare(bed)
    folder = os.path.dirname(bed.write("credentials/cf", peer.token + "\n", 0o644))
    conf = configured(bed, {**peer.provider(), "token_file": "cf"})
    works(bed, conf, peer, env={"CREDENTIALS_DIRECTORY": folder})


def test_a_credential_from_a_program(bed):
    """Asked for when it is needed; again when the service takes it no longer."""
    peer = Cloudflare(bed)
    calls = f"{bed.dir}/calls"
    path = peer.secret_file("token", peer.token)
    program = bed.write("bin/vault", f'#!/bin/sh\necho "$@" >>{calls}\ncat {path}\n', 0o755)
    conf = configured(bed, {**without(peer.provider(), "token_file"),
                            "token_command": [program, "read", "dns"]})
    works(bed, conf, peer)
    with open(calls, encoding="ascii") as file:
        assert file.read() == "read dns\n" * 2, "once for each command"
    bed.write("bin/vault", "#!/bin/sh\necho half a secret\nexit 3\n", 0o755)
    failed = hook(bed, conf, "add", digest())
    failed.assert_failed(program, "exit status 3")
    assert "half a secret" not in failed.err
    conf = configured(bed, {**peer.provider(), "token_command": [program]})
    hook(bed, conf, "add", digest()).assert_failed("both", "token_file", "token_command")


def test_a_credential_that_a_program_renews(bed):
    """A long run: the first token is refused from some request on."""
    peer = Cloudflare(bed)
    path = peer.secret_file("token", peer.token)
    program = bed.write("bin/vault", f"#!/bin/sh\ncat {path}\n", 0o755)
    conf = configured(bed, {**without(peer.provider(), "token_file"),
                            "token_command": [program]})
    status = peer._refuse

    def expired(code, number, text):
        return status(401 if code == 403 else code, number, text)

    def renew():
        peer.token = secret()
        peer.secret_file("token", peer.token)
    peer._refuse = expired
    peer.fail("between", writes=True, action=renew)
    works(bed, conf, peer)
    peer.calm()


def replaced(bed, peer, replace, provider=None, env=None):
    """The broker has used a credential; then it is another one."""
    site = bed.site("example.net", secondaries=())
    broker = Broker(bed, site, [{"name": "web", "names": ["example.com"], "wildcard": True}],
                    providers=[provider or peer.provider()],
                    zones=[zone("example.com", "vendor", zone="example.com", alias="off",
                                watch="provider")])
    broker.start(env=env)
    value, other = digest(), digest()
    answered = broker.publish("web", "example.com", value)
    assert answered.status < 300, answered
    replace(peer)
    answered = broker.publish("web", "example.com", other)
    assert answered.status < 300, answered
    assert peer.texts(OWNER) == sorted([value, other])
    broker.stop().assert_ok()


def test_a_credential_that_was_replaced_while_the_broker_runs(bed):
    def replace(peer):
        peer.key = secret()
        peer.settings()
    replaced(bed, PowerDnsApi(bed), replace)


def test_a_token_of_cloudflare_that_was_replaced_while_the_broker_runs(bed):
    """It says so with 403."""
    def replace(peer):
        peer.token = secret()
        peer.settings()
    replaced(bed, Cloudflare(bed), replace)


def test_keys_of_ovh_that_were_replaced_while_the_broker_runs(bed):
    def replace(peer):
        peer.consumer = secret()
        peer.settings()
    replaced(bed, Ovh(bed), replace)


def test_keys_of_aws_that_were_replaced_while_the_broker_runs(bed):
    def replace(peer):
        peer.secret_key = secret()
        peer.settings()
    replaced(bed, Route53(bed), replace)


def test_a_credentials_file_of_aws_that_was_replaced_while_the_broker_runs(bed):
    peer = Route53(bed)

    def write():
        return peer.secret_file("credentials", f"[default]\naws_access_key_id={peer.key_id}\n"
                                f"aws_secret_access_key={peer.secret_key}\n")

    def replace(peer):
        peer.secret_key = secret()
        write()
    replaced(bed, peer, replace, without(peer.provider(), "access_key_id",
                                         "secret_access_key_file"),
             env={"AWS_SHARED_CREDENTIALS_FILE": write()})


def test_a_clients_secret_that_was_replaced_while_the_broker_runs(bed):
    def replace(peer):
        peer.client_secret = secret()
        peer.settings()
        peer.expire()
    replaced(bed, Azure(bed), replace)


def test_a_service_accounts_key_that_was_replaced_while_the_broker_runs(bed):
    def replace(peer):
        peer.make_key()
        peer.settings()
        peer.expire()
    replaced(bed, Google(bed), replace)


def test_a_service_account_from_the_customary_variable(bed):
    peer = Google(bed)
    provider = peer.provider()
    conf = configured(bed, without(provider, "key_file"))
    works(bed, conf, peer, env={"GOOGLE_APPLICATION_CREDENTIALS": provider["key_file"]})
    hook(bed, conf, "add", digest()).assert_failed("GOOGLE_APPLICATION_CREDENTIALS", "machine")
    program = bed.write("bin/vault", f"#!/bin/sh\ncat {provider['key_file']}\n", 0o755)
    conf = configured(bed, {**without(provider, "key_file"), "key_command": [program],
                            "project": "my-project"})
    works(bed, conf, peer)
    os.chmod(provider["key_file"], 0o600)
    bed.write("secrets/google.json", '{"type": "authorized_user"}', 0o600)
    hook(bed, configured(bed, provider), "add", digest()).assert_failed("service account's",
                                                                        "private_key")


def test_the_global_key_of_an_account(bed):
    peer = Cloudflare(bed)
    works(bed, configured(bed, {**without(peer.provider(), "token_file"),
                                **peer.key_settings()}), peer)
    conf = configured(bed, without({**peer.provider(), **peer.key_settings()}, "token_file",
                                   "email"))
    hook(bed, conf, "add", digest()).assert_failed("email", "key_file")


def test_a_file_that_others_may_read_is_refused(bed):
    peer = Cloudflare(bed)
    provider = peer.provider()
    os.chmod(provider["token_file"], 0o644)
    hook(bed, configured(bed, provider), "add", digest()).assert_failed("0644", "chmod 0640")


def test_no_credential_goes_by_plain_http(bed):
    peer = Cloudflare(bed)
    conf = configured(bed, {**peer.provider(), "endpoint": "http://192.0.2.1/client/v4"})
    hook(bed, conf, "add", digest()).assert_failed("not https")
    conf = configured(bed, {**Azure(bed).provider(), "login_endpoint": "http://192.0.2.1"})
    hook(bed, conf, "add", digest()).assert_failed("not https")


def test_no_credential_follows_a_link_to_another_host(bed):
    """Neither a redirection nor the next page of a list."""
    from peer.tiny import Tiny
    from peer.api import Reply
    from test_plugins import compiled, example
    folder = compiled(bed, example())
    peer, other = Tiny(bed), Tiny(bed)
    conf = write_config(bed, plugins=folder, providers=[peer.provider()],
                        zones=[zone("example.com", "vendor", zone="example.com", alias="off",
                                    watch="provider")])
    answer = peer.answer
    peer.answer = lambda request: Reply(200, {"zones": [], "next": f"{other.url}/v1/zones"})
    hook(bed, conf, "add", digest()).assert_failed("another host", other.host)
    peer.answer = lambda request: Reply(302, {}, headers={"Location": f"{other.url}/v1/zones"})
    hook(bed, conf, "add", digest()).assert_failed("302")
    assert other.requests == []
    peer.answer = answer
    works(bed, conf, peer)


# zones


def test_the_longest_zone_of_the_account_is_taken(bed):
    """On label boundaries, whatever the DNS says."""
    for peer in (Cloudflare(bed, ("example.com", "sub.example.com", "b.example.com")),
                 Cloudflare(bed, ("sub.example.com", "example.com"), many_zones=12),
                 PowerDnsApi(bed, ("example.com", "sub.example.com"))):
        conf = configured(bed, peer.provider(), name=f"{peer.host}.conf")
        for domain, apex in (("sub.example.com", "sub.example.com"),
                             ("www.sub.example.com", "sub.example.com"),
                             ("bsub.example.com", "example.com")):
            value = digest()
            hook(bed, conf, "add", value, domain).assert_ok()
            record = peer.records.list[0]
            assert record.text == value and peer.records.zone_of(record.owner) == apex
            path = {"cloudflare": getattr(peer, "zones", {}).get(apex)}.get(peer.name, apex + ".")
            assert any(path in r.path for r in peer.requests if r.method in ("POST", "PATCH"))
            peer.requests.clear()
            hook(bed, conf, "del", value, domain).assert_ok()


def test_a_zone_that_the_account_lacks_is_said_with_what_was_asked(bed):
    peer = Cloudflare(bed, ("ample.com",))
    failed = hook(bed, configured(bed, peer.provider()), "add", digest())
    failed.assert_failed("has no zone", OWNER, "asked for", "Zone / Read")
    assert peer.count("POST") == 0


def test_zone_id_asks_for_no_zones(bed):
    peer = Cloudflare(bed)
    conf = configured(bed, peer.provider(zone_id=peer.zones["example.com"]))
    works(bed, conf, peer)
    assert peer.count("GET", "/zones$") == 0
    conf = configured(bed, peer.provider(zone="example.org"))
    hook(bed, conf, "add", digest()).assert_failed("example.org")


def test_a_denied_permission_says_which_is_missing(bed):
    peer = Cloudflare(bed)
    peer.may_edit = False
    failed = hook(bed, configured(bed, peer.provider()), "add", digest())
    failed.assert_failed("cannot add the TXT record in zone example.com", OWNER,
                         "Authentication error (code 10000)", "DNS / Edit")
    status = json.loads(bed.dns01("status", "-c", f"{bed.dir}/dns01.conf", "--json").out)
    assert status["values"] == [], "what was surely not made is not kept"


# rates


def test_a_pause_that_is_longer_than_the_timeout_is_not_waited_for(bed):
    peer = Cloudflare(bed)
    peer.limited = lambda seconds: _later(peer, 3600)
    peer.fail("limit", 1)
    failed = hook(bed, configured(bed, peer.provider()), "add", digest())
    failed.assert_failed("429")
    assert failed.seconds < 5
    assert peer.texts(OWNER) == []


def _later(peer, seconds):
    reply = peer.error(429, "More than 1200 requests per 300 seconds reached.", 971)
    reply.headers["Retry-After"] = str(seconds)
    return reply


def test_fifty_names_go_side_by_side_and_not_all_at_once(bed):
    peer = Cloudflare(bed)
    conf = configured(bed, peer.provider())
    names = [f"h{n}.example.com" for n in range(50)]
    words = [w for n in names for w in (n, "token", digest())]
    bed.dns01("hook", "-c", conf, "dehydrated", "deploy_challenge", *words).assert_ok()
    assert peer.count("POST") == 50
    assert peer.count("GET") == 1, "the zones were listed once, no record was looked for"


def test_one_name_that_is_not_allowed_does_not_keep_the_others(bed):
    """They are written together, refused together, then one by one."""
    peer = Desec(bed)
    answer = peer.answer

    def scoped(request):
        if request.method == "PUT" and any("b" in r["subname"] for r in request.json):
            raise Refused(403, {"detail": "Insufficient token permissions."})
        return answer(request)
    peer.answer = scoped
    conf = configured(bed, peer.provider())
    words = [w for n in ("a", "b", "c") for w in (f"x{n}x.example.com", "token", digest())]
    failed = bed.dns01("hook", "-c", conf, "dehydrated", "deploy_challenge", *words)
    failed.assert_failed("_acme-challenge.xbx.example.com", "Insufficient token permissions",
                         "perm_write")
    written = [[r["subname"] for r in json.loads(request.body)] for request in peer.requests
               if request.method == "PUT"]
    assert [sorted(w) for w in written[:1]] == [[f"_acme-challenge.x{n}x" for n in "abc"]]
    assert sorted(w[0] for w in written[1:4]) == [f"_acme-challenge.x{n}x" for n in "abc"]
    assert peer.records.list == [], "the hook took back what was published"


def test_a_signal_ends_a_pause(bed):
    """What waits because the API asked for it is given up, what was published is removed."""
    peer = Cloudflare(bed).delegate()
    pebble = bed.pebble()
    conf = write_config(bed, accounts=[account(pebble)], providers=[peer.provider()],
                        zones=[zone("example.com", "vendor")], certificates=[certificate(*NAMES)])
    peer.limited = lambda seconds: _later(peer, 100)
    peer.fail("limit", 1, writes=True)
    run = bed.start_dns01("issue", "-c", conf, "-v")
    run.wait_for(lambda _: any(r.status == 429 for r in peer.requests), "it was told to wait")
    began = time.monotonic()
    run.signal(signal.SIGINT)
    assert run.wait().code > 0 and time.monotonic() - began < 15
    peer.faults.clear()
    bed.dns01("sweep", "-c", conf).assert_ok()
    assert peer.records.list == []


# several providers


def two_vendors(bed):
    """Both have the zone, and its delegation names both."""
    one, two = Cloudflare(bed), PowerDnsApi(bed)
    one.delegate(two)
    return one, two


def test_a_zone_with_two_providers_is_published_and_watched_at_both(bed):
    one, two = two_vendors(bed)
    pebble = bed.pebble()
    providers = [one.provider(), two.provider(name="second")]
    conf = write_config(
        bed, accounts=[account(pebble)], providers=providers,
        zones=[{"suffix": "example.com", "providers": ["vendor", "second"], "deadline": "5s"}],
        certificates=[certificate(*NAMES)])
    result = bed.dns01("issue", "-c", conf, "-v").assert_ok()
    bed.assert_issued(pebble, list(NAMES))
    assert one.count("POST") == 2 and two.count("PATCH") >= 1
    for peer in (one, two):
        assert peer.address in result.out, "it was watched"
        assert peer.records.list == []
    # With one of them alone the other's name servers do not show it.
    lone = write_config(
        bed, "lone.conf", accounts=[account(pebble)], providers=providers,
        zones=[{"suffix": "example.com", "providers": ["vendor"], "deadline": "2s"}],
        certificates=[certificate(*NAMES)])
    bed.dns01("issue", "-c", lone).assert_failed(two.address)
    assert one.records.list == two.records.list == []


def test_when_one_of_two_providers_fails_the_other_is_cleared(bed):
    one, two = two_vendors(bed)
    pebble = bed.pebble()
    two.key = secret()
    wrong = two.provider(name="second")
    two.key = secret()
    conf = write_config(
        bed, accounts=[account(pebble)], providers=[one.provider(), wrong],
        zones=[{"suffix": "example.com", "providers": ["vendor", "second"]}],
        certificates=[certificate(*NAMES)])
    bed.dns01("issue", "-c", conf).assert_failed("powerdns", "401")
    assert one.records.list == []
    assert pebble.challenges_answered() == []


def test_a_certificate_for_zones_of_different_providers(bed):
    site = bed.site("example.net", secondaries=())
    one = Cloudflare(bed).delegate()
    two = PowerDnsApi(bed, ("example.org",)).delegate()
    pebble = bed.pebble()
    names = ["example.com", "*.example.com", "www.example.org", "example.net"]
    conf = write_config(
        bed, accounts=[account(pebble)],
        providers=[one.provider(), two.provider(name="second"), rfc2136(site)],
        zones=[zone("example.com", "vendor"), zone("example.org", "second"),
               zone("example.net", "primary")],
        certificates=[certificate(*names)])
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.assert_issued(pebble, names)
    assert one.records.list == two.records.list == []
    site.assert_clean()


# PowerDNS for real


def real_powerdns(bed):
    """A primary with an HTTP API, and a BIND secondary."""
    primary = PowerDnsWithApi(bed, name="primary")
    secondary = Bind(bed, name="secondary")
    served = Zone("example.com")
    for server in (primary, secondary):
        served.add_nameserver(server.address)
    primary.primary(served, secondaries=[secondary.address])
    primary.util("set-meta", "example.com", "SOA-EDIT-API", "INCREASE")
    secondary.secondary(served, primary.address)
    primary.start()
    secondary.start()
    bed.hierarchy.delegate(served)
    return primary, secondary


def test_powerdns_for_real(bed):
    primary, secondary = real_powerdns(bed)
    pebble = bed.pebble(reject_nonces=5)
    primary.util("add-record", "example.com", "_acme-challenge", "TXT", '"somebody" "-else"')
    conf = write_config(
        bed, accounts=[account(pebble)], providers=[primary.provider()],
        zones=[zone("example.com", "pdns")], certificates=[certificate(*NAMES)])
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.assert_issued(pebble, list(NAMES))
    for server in (primary, secondary):
        wait_until(lambda s=server: dnswire.txt_values(s.address, OWNER) == ["somebody-else"],
                   "only the foreign value is left")
    records = primary.util("list-zone", "example.com")
    assert '"somebody" "-else"' in records, "as it was written"


def test_powerdns_whose_serial_would_stay_says_so(bed):
    peer = PowerDnsApi(bed)
    conf = configured(bed, peer.provider())
    value = digest()
    assert "SOA-EDIT-API" not in bed.dns01("hook", "-c", conf, "getssl", "add", "example.com",
                                           value).assert_ok().err
    peer.soa_edit_api = ""
    assert "SOA-EDIT-API" in bed.dns01("hook", "-c", conf, "getssl", "del", "example.com",
                                       value).assert_ok().err


def test_powerdns_for_real_refuses_a_wrong_key(bed):
    primary, _ = real_powerdns(bed)
    conf = configured(bed, primary.provider())
    bed.write(f"secrets/{primary.name}.key", "not the key", 0o600)
    hook(bed, conf, "add", digest()).assert_failed("powerdns", "401", "API key")


def test_powerdns_for_real_many_values_in_one_change(bed):
    primary, _ = real_powerdns(bed)
    conf = configured(bed, primary.provider())
    values = [digest() for _ in range(50)]
    words = [w for i, v in enumerate(values) for w in (f"h{i % 25}.example.com", "token", v)]
    before = primary.soa_serial("example.com")
    bed.dns01("hook", "-c", conf, "dehydrated", "deploy_challenge", *words).assert_ok()
    assert sorted(dnswire.txt_values(primary.address, "_acme-challenge.h3.example.com")) == sorted(
        [values[3], values[28]])
    assert primary.soa_serial("example.com") - before == 1, "one PATCH"
    bed.dns01("hook", "-c", conf, "dehydrated", "clean_challenge", *words).assert_ok()
    assert dnswire.txt_values(primary.address, "_acme-challenge.h3.example.com") == []


def test_the_example_of_each_provider_is_right(bed):
    """As `dns01 providers NAME` prints it, with the files that it names."""
    with open(Google(bed).settings()["key_file"], encoding="ascii") as file:
        contents = {"acme.key": TSIG_KEY, "acmedns.json": "{}",
                    "google-service-account.json": file.read()}
    for one in json.loads(bed.dns01("providers", "--json").assert_ok().out):
        shown = bed.dns01("providers", one["name"]).assert_ok().out
        text = shown[shown.index("  providers = ("):]
        assert all(len(line) <= 80 for line in text.splitlines()), text
        for path in re.findall(r'_file = "([^"/]+)"', text):
            bed.write(path, contents.get(path, "x\n"), 0o600)
        conf = bed.write(f"{one['name']}.conf", f'state = "{bed.state()}";\n{text}')
        bed.dns01("config", "check", "-c", conf).assert_ok()


def test_the_recipes_parse(bed):
    """Every configuration in contrib/exec/README.md."""
    with open(os.path.join(TOP, "contrib/exec/README.md"), encoding="utf-8") as file:
        text = file.read()
    bed.write("inwx.env", "INWX_User=x\n", 0o600)
    blocks = [b for b in text.split("\n\n") if b.startswith("    providers = (")]
    assert len(blocks) == 3
    for number, block in enumerate(blocks):
        conf = bed.write(f"recipe{number}.conf", f'state = "{bed.state()}";\n{block}\n')
        bed.dns01("config", "check", "-c", conf).assert_ok()

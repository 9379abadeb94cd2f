"""Unmodified ACME clients through each of the broker's doors, and strangers."""

import json
import os
import re
import socket
import struct
import threading

from testbed import OwnCa, dnswire, namespace, wait_until
from testbed.broker import Broker, digest
from testbed.config import rfc2136, zone

NAME = "_acme-challenge.example.com"
NAMES = ("example.com", "*.example.com")
WEB = {"name": "web", "names": ["example.com", "www.example.com"],
       "wildcard": True}


class House:
    """A broker, a site and a CA."""

    def __init__(self, bed, client=None, secondaries=("bind",), **more):
        self.bed = bed
        self.site = bed.site(secondaries=secondaries)
        self.broker = Broker(bed, self.site, [client or WEB], **more).start()
        self.pebble = bed.pebble()

    def lego(self, provider, **env):
        folder = self.bed.new_folder("lego")
        domains = [word for name in NAMES for word in ("--domains", name)]
        self.bed.start(
            [self.bed.tool("lego"), "--server", self.pebble.directory,
             "--accept-tos", "--email", "admin@example.com", "--path", folder,
             "--dns", provider, "--dns.resolvers",
             f"{self.bed.resolver().address}:53", *domains, "run"],
            env={"LEGO_CA_CERTIFICATES": self.pebble.ca_root, **env},
            name="lego").wait(120).assert_ok()
        self.issued(f"{folder}/certificates/example.com.crt")

    def issued(self, path):
        found = self.bed.certificate(path)
        assert found.names == sorted(NAMES), found.names
        found.assert_chains_to(self.pebble.issuing_root())

    def end(self, **clean):
        wait_until(lambda: not dnswire.txt_values(self.site.address, NAME),
                   "the values leave")
        self.broker.stop().assert_ok()
        self.site.assert_clean(**clean)


def httpreq(bed, **env):
    house = House(bed)
    house.lego("httpreq", HTTPREQ_ENDPOINT=house.broker.url(),
               HTTPREQ_USERNAME="web",
               HTTPREQ_PASSWORD=house.broker.token("web", "--as", "httpreq"),
               HTTPREQ_POLLING_INTERVAL="1", **env)
    house.end()


def test_lego_httpreq(bed):
    httpreq(bed)


def test_lego_httpreq_raw(bed):
    httpreq(bed, HTTPREQ_MODE="RAW")


def test_goacmedns_keeps_its_accounts_at_the_broker(bed):
    """The calls of goacmedns with HTTP storage, and of lego on it; Debian
    builds lego without that provider."""
    site = bed.site()
    broker = Broker(bed, site, [WEB]).start()
    basic = ("web", broker.token("web"))
    store = "/acmedns/storage"
    assert broker.ask("GET", f"{store}/example.com", basic=basic
                      ).status == 404
    account = broker.ask("POST", "/acmedns/example.com/register", "null",
                         basic=basic)
    assert account.status == 201, account
    kept = {k: v for k, v in account.json.items() if k != "allowfrom"}
    # 201, not 200: the CNAME is there, do not ask a person to make it
    assert broker.ask("POST", f"{store}/example.com", kept, basic=basic
                      ).status == 201
    assert broker.ask("GET", f"{store}/example.com", basic=basic
                      ).json == kept
    assert broker.ask("GET", store, basic=basic).json == {"example.com": kept}
    assert broker.ask("GET", f"{store}/mail.example.com", basic=basic
                      ).status == 403
    value = digest()
    done = broker.ask(
        "POST", "/acmedns/example.com/update",
        json.dumps({"subdomain": kept["subdomain"], "txt": value}),
        headers={"X-Api-User": kept["username"],
                 "X-Api-Key": kept["password"],
                 "Content-Type": "application/x-www-form-urlencoded"})
    assert done.status == 200 and f'"{value}"' in done.body, done
    assert kept["fulldomain"] == NAME
    assert dnswire.txt_values(site.address, NAME) == [value]
    broker.stop().assert_ok()


def test_an_acmedns_account_made_beforehand(bed):
    site = bed.site()
    broker = Broker(bed, site, [WEB]).start()
    printed = broker.dns01("token", "new", "web", "--as", "acmedns", "--for",
                           "example.com").assert_ok().out
    account = json.loads(printed.splitlines()[-1])["example.com"]
    head = {"X-Api-User": account["username"],
            "X-Api-Key": account["password"]}
    value, sub = digest(), account["subdomain"]
    for _ in range(2):  # acme-dns would lose a sibling by this
        done = broker.ask("POST", "/update", {"subdomain": sub, "txt": value},
                          headers=head)
        assert (done.status, done.json) == (200, {"txt": value}), done
    others = [digest() for _ in range(3)]
    for other in others:
        assert broker.ask("POST", "/update", {"subdomain": sub, "txt": other},
                          headers=head).status == 200
    assert sorted(dnswire.txt_values(site.address, NAME)) == sorted(
        [value, *others])
    for body, bad, status in (
            ({"subdomain": sub, "txt": "short"}, head, 400),
            ({"subdomain": "another", "txt": value}, head, 401),
            ({"subdomain": sub, "txt": value},
             dict(head, **{"X-Api-Key": "x" * 40}), 401),
            ("nonsense", head, 401)):
        answer = broker.ask("POST", "/update", body, headers=bad)
        assert answer.status == status, (body, answer)
    assert broker.ask("GET", "/health").status == 200
    broker.stop().assert_ok()


def test_registering_needs_a_client_and_a_granted_name(bed):
    site = bed.site()
    broker = Broker(bed, site, [WEB]).start()
    token = broker.token("web")
    assert broker.ask("POST", "/register").status == 401
    path = "/acmedns/www.example.com/register"
    first = broker.ask("POST", path, "null", basic=("web", token))
    assert first.status == 201 and "\n" not in first.body.rstrip(), first
    assert re.match(r"^[0-9a-f-]{36}$", first.json["subdomain"]), first
    assert len(first.json["password"]) == 40
    again = broker.ask("POST", path, "{}", basic=("web", token))
    assert again.json == first.json, "the same account each time"
    other = broker.ask("POST", "/acmedns/mail.example.com/register", "{}",
                       basic=("web", token))
    assert other.status == 403, other
    unsaid = broker.ask("POST", "/register", "{}", basic=("web", token))
    assert unsaid.status == 400 and "/acmedns/NAME/register" in unsaid.body
    limited = broker.ask("POST", path, {"allowfrom": ["192.0.2.0/24"]},
                         basic=("web", token), kind="http")
    assert limited.status == 201, limited
    refused = broker.ask(
        "POST", "/update", {"subdomain": limited.json["subdomain"],
                            "txt": digest()}, kind="http",
        headers={"X-Api-User": limited.json["username"],
                 "X-Api-Key": limited.json["password"]})
    assert refused.status == 401, refused
    for bad in (["192.0.2.1"], ["nonsense/8"]):
        answer = broker.ask("POST", path, {"allowfrom": bad},
                            basic=("web", token))
        assert answer.json == {"error": "invalid_allowfrom_cidr"}, answer
    broker.stop().assert_ok()


def test_acmeproxy_answers_suit_every_reader(bed):
    site = bed.site()
    broker = Broker(bed, site, [WEB]).start()
    value, token = digest(), broker.token("web")
    body = {"fqdn": NAME + ".", "value": value}
    for _ in range(2):
        done = broker.ask("POST", "/present", body, basic=("web", token))
        assert done.status == 200 and done.json == body, done
        assert f'"{value}"' in done.body
    refused = broker.ask("POST", "/present",
                         {"fqdn": "_acme-challenge.mail.example.com.",
                          "value": value}, basic=("web", token))
    assert refused.status == 403 and f'"{value}"' not in refused.body
    assert broker.ask("POST", "/present", body,
                      basic=("other", token)).status == 401
    assert broker.ask("POST", "/present", "{", basic=("web", token)
                      ).status == 400
    assert broker.ask("GET", "/present", basic=("web", token)).status == 405
    for _ in range(2):
        done = broker.ask("POST", "/cleanup", body, basic=("web", token))
        assert done.status == 200 and done.json == body, done
    wait_until(lambda: not dnswire.txt_values(site.address, NAME), "gone")
    broker.stop().assert_ok()


# The UPDATE door


def keyed(bed, key, **more):
    return {"name": "keyed", "auth": "tsig", "tsig_key_file": key.path,
            "names": ["example.com"], "under": ["example.com"],
            "wildcard": True, **more}


def test_lego_rfc2136(bed):
    key = bed.key("lego.example")
    house = House(bed, keyed(bed, key))
    house.lego("rfc2136",
               RFC2136_NAMESERVER=f"127.0.0.1:{house.broker.port('dns')}",
               RFC2136_TSIG_KEY=key.name + ".",
               RFC2136_TSIG_ALGORITHM="hmac-sha256.",
               RFC2136_TSIG_SECRET=key.secret, RFC2136_POLLING_INTERVAL="1",
               RFC2136_SEQUENCE_INTERVAL="1")
    house.end()


def test_certbot_dns_rfc2136(bed):
    key = bed.key("certbot.example")
    house = House(bed, keyed(bed, key))
    credentials = bed.write(
        "rfc2136.ini", "dns_rfc2136_server = 127.0.0.1\n"
        f"dns_rfc2136_port = {house.broker.port('dns')}\n"
        f"dns_rfc2136_name = {key.name}.\n"
        f"dns_rfc2136_secret = {key.secret}\n"
        "dns_rfc2136_algorithm = HMAC-SHA256\n", mode=0o600)
    folders = [f"--{part}-dir={bed.dir}/certbot/{part}"
               for part in ("config", "work", "logs")]
    domains = [word for name in NAMES for word in ("-d", name)]
    bed.start([bed.tool("certbot"), "certonly", "-n", "--agree-tos",
               "--register-unsafely-without-email", "--server",
               house.pebble.directory, "--dns-rfc2136",
               "--dns-rfc2136-credentials", credentials,
               "--dns-rfc2136-propagation-seconds", "1", *folders, *domains],
              env={"REQUESTS_CA_BUNDLE": house.pebble.ca_root},
              name="certbot").wait(120).assert_ok()
    house.issued(f"{bed.dir}/certbot/config/live/example.com/fullchain.pem")
    house.end()


class Updates:
    """nsupdate at the UPDATE door."""

    def __init__(self, bed, records=(), **more):
        self.bed = bed
        self.key = bed.key("host.example")
        self.site = bed.site(records=records)
        self.broker = Broker(bed, self.site,
                             [keyed(bed, self.key, **more),
                              {"name": "reader", "role": "read"}]).start()

    def send(self, *lines, key=None, env=None, tcp=False, port=None):
        script = "\n".join(["server 127.0.0.1 "
                            f"{port or self.broker.port('dns')}", *lines,
                            "send", ""])
        path = self.bed.write("nsupdate.txt", script)
        return self.bed.start(
            [self.bed.tool("nsupdate"), *(["-v"] if tcp else []), "-k",
             (key or self.key).path, path], env=env,
            name="nsupdate").wait(60)

    def shown(self, owner=NAME):
        return sorted(dnswire.txt_values(self.site.address, owner))


def test_nsupdate_adds_and_removes_what_its_key_holds(bed):
    door = Updates(bed)
    first, second = digest(), digest()
    door.site.update(f'add {NAME} 60 TXT "somebody-else"')
    for value in (first, second):
        door.send("zone example.com", f'add {NAME} 60 TXT "{value}"',
                  tcp=value == first).assert_ok()
    assert door.shown() == sorted([first, second, "somebody-else"])
    door.send("zone example.com",
              f'del {NAME} TXT "{first}"').assert_ok()
    wait_until(lambda: door.shown() == sorted([second, "somebody-else"]),
               "the value leaves")
    # lego's: delete the RRset and add, in one message, is the add
    third = digest()
    door.send("zone example.com", f"del {NAME} TXT",
              f'add {NAME} 60 TXT "{third}"').assert_ok()
    assert door.shown() == sorted([second, third, "somebody-else"])
    # uacme's: the whole name; only this key's values go
    door.send("zone example.com", f"del {NAME}").assert_ok()
    wait_until(lambda: door.shown() == ["somebody-else"], "ours leave")
    door.broker.stop().assert_ok()


def test_what_an_alias_led_elsewhere_is_removed_by_name_after_a_crash(bed):
    """uacme removes the whole RRset of the name that it asked for."""
    www, mail = (f"_acme-challenge.{host}.example.com"
                 for host in ("www", "mail"))
    door = Updates(bed, records=[
        "_acme-challenge.www CNAME _acme-challenge.mail",
        "_acme-challenge.alias CNAME www.targets"],
        targets=["www.targets.example.com"])
    first, second, third = digest(), digest(), digest()
    for owner, value in ((www, first), (mail, second),
                         ("_acme-challenge.alias.example.com", third)):
        door.send("zone example.com",
                  f'add {owner} 60 TXT "{value}"').assert_ok()
    assert door.shown(mail) == sorted([first, second])
    assert door.shown("www.targets.example.com") == [third]

    def listed():
        told = door.broker.ask("GET", "/v1/challenges", client="reader").json
        return sorted((c["name"], c["owner"], c["value"])
                      for c in told["challenges"])

    before = listed()
    assert {name for name, _, _ in before} == {
        "www.example.com", "mail.example.com", "alias.example.com"}
    door.broker.command.kill()
    door.broker.start()
    wait_until(lambda: door.broker.ask("GET", "/healthz").status == 200,
               "ready")
    assert listed() == before
    status = door.broker.dns01("status").out
    assert f"{first}: in DNS for www.example.com, held by keyed" in status
    door.send("zone example.com", f"del {www} TXT").assert_ok()
    wait_until(lambda: door.shown(mail) == [second], "the alias's value goes")
    door.send("zone example.com",
              "del _acme-challenge.alias.example.com").assert_ok()
    wait_until(lambda: not door.shown("www.targets.example.com"),
               "what the target had goes")
    assert door.shown(mail) == [second]
    door.send("zone example.com", f"del {mail}").assert_ok()
    wait_until(lambda: not door.shown(mail), "its sibling goes by its own")
    door.broker.stop().assert_ok()
    door.site.assert_clean()


def test_an_update_is_taken_whole_or_not_at_all(bed):
    door = Updates(bed, **{"except": ["no.example.com"]})
    good, bad = digest(), digest()
    refused = door.send(
        "zone example.com", f'add {NAME} 60 TXT "{good}"',
        f'add _acme-challenge.no.example.com 60 TXT "{bad}"')
    refused.assert_failed("REFUSED")
    refused = door.send("zone example.com", f'add {NAME} 60 TXT "{good}"',
                        "add www.example.com 60 A 192.0.2.1")
    refused.assert_failed("REFUSED")
    door.send("zone example.com", f'add {NAME} 60 TXT "no-digest"'
              ).assert_failed("REFUSED")
    door.send("zone example.org", 'add x.example.org 60 TXT "a"'
              ).assert_failed("REFUSED")
    assert door.shown() == []
    door.send("zone example.com", f"prereq yxrrset {NAME} TXT",
              f'add {NAME} 60 TXT "{good}"').assert_failed("NXRRSET")
    door.send("zone example.com", f"prereq nxrrset {NAME} TXT",
              f'add {NAME} 60 TXT "{good}"').assert_ok()
    door.send("zone example.com", f"prereq nxrrset {NAME} TXT",
              f'add {NAME} 60 TXT "{bad}"').assert_failed("YXRRSET")
    assert door.shown() == [good]
    door.broker.stop().assert_ok()


def test_nsupdate_is_told_of_a_bad_signature(bed):
    door = Updates(bed)
    line = f'add {NAME} 60 TXT "{digest()}"'
    unknown = bed.key("unknown.example")
    wrong = bed.key("host.example", secret="AAAA" * 10 + "AAA=",
                    filename="wrong")
    for key, word in ((unknown, "BADKEY"), (wrong, "BADSIG")):
        door.send("zone example.com", line, key=key).assert_failed(word)
    assert door.shown() == []
    told = {a.get("reason") for a in door.broker.audit()}
    assert told == {"tsig"}, told
    # Of a clock that is wrong: test_strangers.
    door.broker.stop().assert_ok()


def test_answers_as_the_primary_would(bed):
    door = Updates(bed)
    port = door.broker.port("dns")
    dig = [bed.tool("dig"), "+noall", "+comments", "+answer", "+authority",
           "@127.0.0.1", "-p", str(port)]
    soa = bed.run([*dig, "example.com", "SOA"])
    assert " aa" in soa and "SOA" in soa and "NOERROR" in soa, soa
    below = bed.run([*dig, NAME, "SOA"])
    assert "ANSWER: 0" in below and "example.com." in below, below
    assert "REFUSED" in bed.run([*dig, "example.org", "SOA"])
    value = digest()
    door.send("zone example.com", f'add {NAME} 60 TXT "{value}"').assert_ok()
    assert value in bed.run([*dig, NAME, "TXT"])
    assert "REFUSED" in bed.run([*dig, "example.com", "ANY"])
    door.broker.stop().assert_ok()


def test_a_replayed_update_changes_nothing(bed):
    door = Updates(bed)
    there = ("127.0.0.1", door.broker.port("dns"))
    seen = []

    def relay(inner, outer):
        while True:
            data, source = inner.recvfrom(4096)
            outer.sendto(data, there)
            answer = outer.recv(4096)
            seen.append((data, answer))
            inner.sendto(answer, source)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inner, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outer:
        inner.bind(("127.0.0.1", 0))
        threading.Thread(target=relay, args=(inner, outer),
                         daemon=True).start()
        door.send("zone example.com", f'add {NAME} 60 TXT "{digest()}"',
                  port=inner.getsockname()[1]).assert_ok()
        data, first = next(s for s in seen if s[0][2] >> 3 & 15 == 5)
        door.send("zone example.com", f"del {NAME}").assert_ok()
        wait_until(lambda: door.shown() == [], "it left")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.settimeout(10)
            again.sendto(data, there)
            assert again.recv(4096) == first, "its old answer"
    assert door.shown() == []
    door.broker.stop().assert_ok()


def test_pipelined_requests_are_answered_in_order(bed):
    site = bed.site()
    broker = Broker(bed, site, [WEB]).start()
    body = json.dumps({"name": "www.example.com", "value": digest(),
                       "wait": "visible"})
    head = f"Host: x\r\nAuthorization: Bearer {broker.token('web')}\r\n"
    first = (f"POST /v1/challenges HTTP/1.1\r\n{head}"
             f"Content-Length: {len(body)}\r\n\r\n{body}")
    second = f"GET /v1/grant HTTP/1.1\r\n{head}Connection: close\r\n\r\n"
    got = broker.raw("http", (first + second).encode()).decode()
    assert got.count("HTTP/1.1 200") == 2, got
    assert got.index('"visible"') < got.index('"grant"' if '"grant"' in got
                                              else '"client":"web","cred')
    broker.stop().assert_ok()


def test_a_forwarded_address_is_believed_of_a_trusted_proxy_alone(bed):
    site = bed.site()
    sock = f"{bed.dir}/broker.sock"
    for trusted, status in (([], 403), (["127.0.0.0/8"], 200)):
        broker = Broker(
            bed, site, [dict(WEB, networks=["10.2.0.0/16"])],
            listeners=[{"unix": sock, "doors": ["api"]},
                       {"http": "127.0.0.1:0", "doors": ["api"],
                        "trusted_proxies": trusted}]).start()
        body = {"name": "www.example.com", "value": digest(),
                "wait": "visible"}
        answer = broker.ask("POST", "/v1/challenges", body, client="web",
                            kind="http",
                            headers={"X-Forwarded-For": "6.6.6.6, 10.2.0.9"})
        assert answer.status == status, answer
        # A proxy may add a line behind the one that its client made up.
        got = broker.raw("http", (
            "GET /v1/grant HTTP/1.0\r\n"
            f"Authorization: Bearer {broker.token('web')}\r\n"
            "X-Forwarded-For: 10.2.0.9\r\nX-Forwarded-For: 192.0.2.1\r\n"
            "\r\n").encode()).decode()
        assert f'"from":"{"192.0.2.1" if trusted else "127.0.0.1"}"' in got
        broker.stop().assert_ok()


def test_https_reads_a_renewed_certificate(bed):
    site = bed.site()
    ca = OwnCa(bed, "hosts")
    broker = Broker(bed, site, [WEB], tls=ca).start()
    assert broker.ask("GET", "/v1/grant", client="web",
                      kind="https").status == 200

    def serial():
        connection = broker.connect("https")
        connection.connect()
        try:
            return connection.sock.getpeercert()["serialNumber"]
        finally:
            connection.close()

    before = serial()
    _, key = ca.issue("broker", ["DNS:localhost", "IP:127.0.0.1"])
    os.chmod(key, 0o600)
    broker.command.signal(1)
    wait_until(lambda: serial() != before, "the new certificate is shown")
    broker.stop().assert_ok()

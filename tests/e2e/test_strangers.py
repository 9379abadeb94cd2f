"""What strangers, and clients gone wrong, send to the broker's doors: the
answer is clear, and the daemon stays up.

Under sanitizers: make SAN=address,undefined, and DNS01= that program.
"""

import base64
import json
import os
import random
import re
import socket
import ssl
import struct
import time

from testbed import OwnCa, dnswire, tsig, wait_until
from testbed.broker import Broker, digest

NAME = "_acme-challenge.www.example.com"
WEB = {"name": "web", "names": ["www.example.com"]}
HEAD = "HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"


class House:
    """A broker with every door, and a client with every credential."""

    def __init__(self, bed, *, tls=None, **client):
        self.bed = bed
        self.key = bed.key("host.example")
        self.site = bed.site(secondaries=())
        self.broker = Broker(bed, self.site, [
            dict(WEB, **client),
            {"name": "keyed", "auth": "tsig", "tsig_key_file": self.key.path,
             "names": ["www.example.com"]}], tls=tls).start()
        self.token = self.broker.token("web")
        made = self.broker.dns01("token", "new", "web", "--as", "acmedns",
                                 "--for", "www.example.com").assert_ok()
        self.account = json.loads(made.out.splitlines()[-1])[
            "www.example.com"]

    @property
    def account_head(self):
        return {"X-Api-User": self.account["username"],
                "X-Api-Key": self.account["password"]}

    def signed(self, *records, **options):
        return tsig.sign(tsig.update("example.com", *records), self.key,
                         **options)

    def send(self, *records, tcp=False, **options):
        return tsig.exchange(self.signed(*records, **options), self.key,
                             self.broker.port("dns"), tcp=tcp)

    def shown(self):
        return sorted(dnswire.txt_values(self.site.address, NAME))

    def end(self):
        """Every door still serves, and the daemon ends as it should, which
        under sanitizers it does only if they found nothing."""
        broker = self.broker
        values = [digest() for _ in range(4)]
        assert broker.publish("web", "www.example.com",
                              values[0]).status == 200
        body = {"fqdn": NAME + ".", "value": values[1]}
        assert broker.ask("POST", "/present", body,
                          basic=("web", self.token)).status == 200
        body = {"subdomain": self.account["subdomain"], "txt": values[2]}
        assert broker.ask("POST", "/update", body,
                          headers=self.account_head).status == 200
        assert self.send(tsig.add(NAME, values[3])).rcode == dnswire.NOERROR
        assert set(values) <= set(self.shown())
        broker.stop().assert_ok()


# HTTP


def test_what_is_no_http_does_not_end_it(bed):
    ca = OwnCa(bed, "hosts")
    house = House(bed, tls=ca)
    broker = house.broker
    context = ssl.create_default_context(cafile=ca.root)
    huge = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70000 + b"\r\n\r\n"
    many = b"GET /healthz HTTP/1.1\r\n" + b"".join(
        b"X-%d: y\r\n" % i for i in range(3000)) + b"\r\n"
    post = b"POST /v1/challenges HTTP/1.1\r\nHost: x\r\n"
    for data in (b"\x00\xff" * 500, b"GET\r\n\r\n", huge, many,
                 post + b"Content-Length: 99999999\r\n\r\n",
                 post + b"Content-Length: -1\r\n\r\n",
                 post + b"Content-Length: 18446744073709551617\r\n\r\nx",
                 post + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nx",
                 post + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
                 post + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n",
                 post + b"Transfer-Encoding: chunked\r\n\r\n"
                 + b"fff\r\n" + b"x" * 0xfff + b"\r\n" * 1,
                 post + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n",
                 b"GET /v1/%00 HTTP/1.1\r\nConnection: close\r\n\r\n",
                 b"GET /v1/%zz HTTP/1.1\r\nConnection: close\r\n\r\n",
                 b"GET " + b"/a" * 5000 + b" HTTP/1.1\r\n\r\n",
                 b"GET http://[::1 HTTP/1.1\r\n\r\n",
                 b"BREW / HTTP/1.1\r\nConnection: close\r\n\r\n",
                 b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                 b"\r\n" * 2000, b" \t\r\n\r\n",
                 b"GET /healthz HTTP/1.1\r\n folded: x\r\n\r\n",
                 b"GET /healthz HTTP/9.9\r\n\r\n"):
        broker.raw("http", data, half_close=True)
        broker.raw("https", data, half_close=True)  # no TLS at all
        broker.raw("https", data, wrap=context, patience_s=0.3)
    # Half of a handshake, and a handshake that is cut off.
    hello = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = hello.wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    first = outgoing.read()
    broker.raw("https", first[:50], half_close=True)
    broker.raw("https", first + os.urandom(200), half_close=True)
    house.end()


def test_chunks_without_end_are_cut_off(bed):
    house = House(bed)
    with socket.create_connection(("127.0.0.1", house.broker.port("http")),
                                  20) as sock:
        sock.sendall(b"POST /v1/challenges HTTP/1.1\r\nHost: x\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n")
        sent = 0
        try:
            while sent < 100 * 65536:
                sock.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                sent += 4096
        except OSError:
            pass
        assert sent < 4 * 1024 * 1024, "a body has a bound"
    house.end()


BODIES = (
    "", "{", "}", "nul", "null", "true", "7", '"x"', "[]", "[{}]", "{}",
    "[" * 60000, '{"a":' * 9000, '{"name":"\\ud800"}', '{"name":"\udcff"}',
    '{"a":1,"a":2}', '{"a":1e999}', '{"a":123456789012345678901234567890}',
    '{"\\u0000":1}', "{}" + " " * 65000, "{} x", "\ufeff{}",
)
VALUES = (
    None, 7, -1, True, [], {}, ["x"], "", ".", "..", "*", "*.", "*.*", "a..b",
    "www.example.com\u0000.evil", "www.example.com\n", " www.example.com",
    "www.example.com ", "\u0130.example.com", "a" * 64 + ".example.com",
    "a." * 200 + "example.com", "x" * 5000, "_acme-challenge.", "\\000",
    "www\\.example.com", "xn--.example.com", "xn--zz--zz.example.com",
    "\U0001f600.example.com", "1.2.3.4", "[::1]", "%00", "a" * 43, "-" * 43,
)


def clear(answer):
    """Refused, with a sentence in JSON; never a fault of ours."""
    assert 400 <= answer.status < 500, answer
    if answer.status != 413 and answer.body:
        for told in answer.json.get("challenges", [answer.json]):
            assert told["error"], answer
    return answer


def test_bodies_that_make_no_sense_are_told_so(bed):
    house = House(bed)
    broker, basic = house.broker, ("web", house.token)
    for body in BODIES:
        raw = body.encode("utf-8", "surrogateescape")
        for path in ("/v1/challenges", "/v1/check"):
            clear(broker.ask("POST", path, raw, client="web"))
        for path in ("/present", "/cleanup", "/httpreq/present"):
            clear(broker.ask("POST", path, raw, basic=basic))
        answer = broker.ask("POST", "/update", raw,
                            headers=house.account_head)
        assert answer.status in (401, 413), (body[:30], answer)
        answer = broker.ask("POST", "/acmedns/www.example.com/register", raw,
                            basic=basic)
        assert answer.status in (201, 400, 413), (body[:30], answer)
    assert house.shown() == []
    house.end()


def test_fields_that_make_no_sense_are_told_so(bed):
    """Any of them wrong, the others right, at each door."""
    house = House(bed)
    broker, basic = house.broker, ("web", house.token)
    good = {"name": "www.example.com", "value": digest(), "view": "default",
            "wait": "no", "defer": False}
    for field in good:
        for value in VALUES:
            if (field, value) in (("view", None), ("wait", None)) or (
                    field == "defer") or (
                    field == "value" and value in ("a" * 43, "-" * 43)):
                continue
            body = dict(good, **{field: value})
            clear(broker.ask("POST", "/v1/challenges", body, client="web"))
    for value in VALUES:
        for body in ({"challenges": value},
                     {"challenges": [value]},
                     {"challenges": [dict(good, name=value)] * 3},
                     {"owner": value, "value": digest()},
                     {"name": value or "", "owner": NAME,
                      "value": digest()}):
            clear(broker.ask("POST", "/v1/challenges", body, client="web"))
        for body in ({"fqdn": value, "value": digest()},
                     {"domain": value, "token": "t", "keyAuth": "k"},
                     {"domain": "mail.example.com", "token": value,
                      "keyAuth": value}):
            clear(broker.ask("POST", "/present", body, basic=basic))
        for body in ({"subdomain": value, "txt": digest()},
                     {"subdomain": house.account["subdomain"],
                      "txt": value if value not in ("a" * 43, "-" * 43)
                      else ""}):
            clear(broker.ask("POST", "/update", body,
                             headers=house.account_head))
        if value is not None and value != []:
            clear(broker.ask("POST", "/acmedns/www.example.com/register",
                             {"allowfrom": value}, basic=basic))
            clear(broker.ask("POST", "/acmedns/www.example.com/register",
                             {"allowfrom": [value]}, basic=basic))
    assert house.shown() == []
    assert not broker.ask("GET", "/v1/challenges",
                          client="web").json["challenges"]
    house.end()


def test_paths_and_queries_that_make_no_sense(bed):
    house = House(bed)
    broker = house.broker
    long = "a" * 3000
    for method in ("GET", "POST", "PUT", "DELETE", "HEAD"):
        for path in ("/", "//", "/v1", "/v1/", "/v1/challenge", "/v2/check",
                     "/v1/challenges/", "/v1/challenges/../grant",
                     "/v1/challenges/%2e%2e", f"/v1/challenges/{long}",
                     "/v1/challenges/0123456789abcdef/eventsx",
                     "/v1/challenges/0123456789abcdef/events/x",
                     "/acmedns", "/acmedns/", "/acmedns/storage/a/b",
                     "/acmedns/a/b/register",
                     f"/acmedns/{long}/register", "/acmedns/%0a/register",
                     "/registers", "/present/x", "/httpreq",
                     "/v1/challenges?value", "/v1/challenges?wait=",
                     "/v1/challenges?name=%00&value=%ff"):
            answer = broker.ask(method, path, "{}" if method in (
                "POST", "PUT") else None, client="web")
            assert answer.status in (200, 400, 401, 403, 404, 405), (
                method, path, answer)
            assert answer.status != 200 or method in ("GET", "DELETE"), (
                method, path, answer)
    for query in ("", "?", "?name=", "?value=", "?name=..", "?x=y",
                  "?name=a..b", "?" + "&" * 3000, "?name" * 50):
        answer = broker.ask("DELETE", f"/v1/challenges{query}", client="web")
        assert answer.status in (200, 400), (query, answer)
    house.end()


def test_credentials_that_are_none(bed):
    house = House(bed)
    broker = house.broker
    token = house.token
    basics = [base64.b64encode(text).decode() for text in (
        b"", b":", b"web", b"web:", b":" + token.encode() + b"x",
        b"other:" + token.encode(), b"web:" + b"x" * 5000, b"\x00:\x00",
        b"web:" + token.encode()[:-1], b"\xff" * 100)]
    for value in ("", " ", "Bearer", "Bearer ", "Basic", "Basic !!!",
                  "Digest x", "bearer" * 900, f"Bearer {token}x",
                  f"Bearer {token[:-1]}", f"Bearer dns01_{'0' * 16}_",
                  f"Bearer dns01_{token[6:22]}_{'A' * 43}",
                  "Bearer dns01_" + "z" * 100, "Bearer " + "x" * 9000,
                  "Bearer \xff\xfe", *(f"Basic {b}" for b in basics)):
        for method, path in (("GET", "/v1/grant"), ("POST", "/present"),
                             ("POST", "/register")):
            got = broker.raw("http", (
                f"{method} {path} {HEAD}Content-Length: 2\r\n"
                f"Authorization: {value}\r\n\r\n{{}}").encode("latin-1"))
            assert b" 401 " in got.split(b"\r\n")[0], (value[:50], got)
            assert token.encode() not in got
    for user, key in ((house.account["username"], "x" * 40),
                      ("x" * 5000, house.account["password"]),
                      (house.account["username"].upper(),
                       house.account["password"]), ("", "")):
        answer = broker.ask(
            "POST", "/update", {"subdomain": user, "txt": digest()},
            headers={"X-Api-User": user, "X-Api-Key": key})
        assert (answer.status, answer.json) == (
            401, {"error": "forbidden"}), answer
    text = str(broker.audit())
    assert token not in text and house.account["password"] not in text
    house.end()


def test_expired_and_revoked_credentials_at_every_door(bed):
    house = House(bed)
    broker = house.broker
    made = {kind: broker.dns01("token", "new", "web", "--json", "--as", kind,
                               "--expires", "3s", *more).json_lines()[0]
            for kind, more in (("httpreq", ()), ("tsig", ()),
                               ("acmedns", ("--for", "www.example.com")))}
    keep = {"api": broker.dns01("token", "new", "web", "--json"
                                ).json_lines()[0]}
    words = made["tsig"]["credential"].split('"')
    key = bed.key(words[1], secret=words[3])

    def refusals():
        """At the four doors: what each says, None where it serves."""
        found = []
        for answer in (
                broker.ask("GET", "/v1/grant",
                           token=made["httpreq"]["credential"]),
                broker.ask("POST", "/cleanup",
                           {"fqdn": NAME + ".", "value": digest()},
                           basic=("web", made["httpreq"]["credential"])),
                broker.ask("POST", "/update",
                           {"subdomain": made["acmedns"]["id"],
                            "txt": "short"},
                           headers={"X-Api-User": made["acmedns"]["id"],
                                    "X-Api-Key":
                                    made["acmedns"]["credential"]})):
            found.append(answer.body if answer.status == 401 else None)
        reply = tsig.exchange(tsig.sign(tsig.update(
            "example.com", tsig.delete_name(NAME)), key), key,
            broker.port("dns"))
        found.append(reply.error if reply.rcode else None)
        return found

    assert refusals() == [None] * 4
    wait_until(lambda: None not in refusals(), "they expire")
    told = refusals()
    assert "expired" in told[0] and "expired" in told[1], told
    assert "forbidden" in told[2] and told[3] == tsig.BADKEY, told
    # the acme-dns client is told little, the administrator all
    assert any("expired" in a.get("text", "") and a["door"] == "acmedns"
               for a in broker.audit())
    assert broker.ask("GET", "/v1/grant",
                      token=keep["api"]["credential"]).status == 200
    broker.dns01("token", "revoke", keep["api"]["id"]).assert_ok()
    refused = broker.ask("GET", "/v1/grant",
                         token=keep["api"]["credential"])
    assert refused.status == 401 and "revoked" in refused.body, refused
    house.end()


# Slow ones


def test_a_request_that_trickles_in_is_cut_off(bed):
    """Head, body, and TLS handshake have a deadline, however many octets
    come now and then."""
    ca = OwnCa(bed, "hosts")
    house = House(bed, tls=ca)
    broker = house.broker
    began = time.monotonic()
    trickles = []
    for kind, first, drop in (
            ("http", b"GET /healthz HTTP/1.1\r\n", b"X: y\r\n"),
            ("http", b"POST /v1/check HTTP/1.1\r\nContent-Length: 9000\r\n"
             b"\r\n", b"x"),
            ("https", b"\x16\x03\x01\x02\x00", b"\x01")):
        sock = socket.create_connection(("127.0.0.1", broker.port(kind)), 30)
        sock.sendall(first)
        sock.setblocking(False)
        trickles.append((sock, drop))

    def closed(trickle):
        sock, drop = trickle
        try:
            sock.send(drop)
            return sock.recv(1000) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    left = list(trickles)

    def all_closed():
        left[:] = [t for t in left if not closed(t)]
        return not left

    wait_until(all_closed, "they are cut off", 20, poll_s=0.1)
    assert time.monotonic() - began > 5
    for sock, _ in trickles:
        sock.close()
    house.end()


def test_many_who_say_nothing_keep_nobody_out(bed):
    house = House(bed)
    broker = house.broker
    idle = []
    for kind in ("http", "dns"):
        for _ in range(500):
            sock = socket.create_connection(("127.0.0.1", broker.port(kind)),
                                            30)
            idle.append(sock)
    for sock in idle[::2]:
        sock.sendall(b"\x00" if sock in idle[500:] else b"G")
    began = time.monotonic()
    assert broker.publish("web", "www.example.com", digest()).status == 200
    assert house.send(tsig.add(NAME, digest()), tcp=True
                      ).rcode == dnswire.NOERROR
    assert time.monotonic() - began < 5
    for sock in idle:
        sock.close()
    house.end()


def test_a_reader_that_does_not_read_costs_no_memory(bed):
    """Answers that nobody takes: events, and pipelined requests."""
    house = House(bed)
    broker = house.broker
    sock = socket.create_connection(("127.0.0.1", broker.port("http")), 30)
    request = (f"GET /v1/grant HTTP/1.1\r\nHost: x\r\n"
               f"Authorization: Bearer {house.token}\r\n\r\n").encode()
    sock.settimeout(0.5)
    sent = 0
    try:
        while sent < 50 * 1024 * 1024:
            sent += sock.send(request * 50)
        raise AssertionError("all was taken, and nothing read")
    except TimeoutError:
        pass
    with open(f"/proc/{broker.command.pid}/status", encoding="ascii") as file:
        used = next(int(line.split()[1]) for line in file
                    if line.startswith("VmRSS"))
    limit = 600 if "san-" in bed.tool("dns01") else 60
    assert used < limit * 1024, f"{used} KiB after {sent} octets"
    sock.close()
    house.end()


# DNS


def test_octets_that_are_no_dns(bed):
    house = House(bed)
    broker = house.broker
    there = ("127.0.0.1", broker.port("dns"))
    header = struct.pack(">6H", 1, 0x2800, 1, 9, 9, 9)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for data in (b"", b"\x00", b"\x00" * 12, b"\xff" * 600, header,
                     os.urandom(300), header + b"\xc0\x0c" * 50,
                     b"\x00" * 65507):
            sock.sendto(data, there)
            for framed in (struct.pack(">H", len(data)) + data,
                           b"\xff\xff" + data, data[:1]):
                broker.raw("dns", framed, half_close=True)
    house.end()


def test_signed_messages_with_any_octet_changed_change_nothing(bed):
    """A stranger who saw a good UPDATE and bends it: answered as the
    RFCs say, and nothing is published."""
    house = House(bed)
    value = digest()
    good = house.signed(tsig.add(NAME, value))
    there = ("127.0.0.1", house.broker.port("dns"))
    draw = random.Random(53)
    answered = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect(there)
        for at in range(2, len(good)):
            bent = bytearray(good)
            # Not the bit that makes a letter of the key's name a capital.
            bent[at] ^= draw.choice((1, 2, 4, 8, 16, 64, 128))
            sock.send(bytes(bent))
            # A reply is no request, and gets none.
            if at == 2 and bent[2] & 0x80:
                continue
            reply = sock.recv(65535)
            rcode = reply[3] & 15
            answered[rcode] = answered.get(rcode, 0) + 1
            assert rcode in (dnswire.FORMERR, dnswire.NOTIMP,
                             dnswire.REFUSED, tsig.NOTAUTH), (at, rcode)
        for length in range(12, len(good)):
            sock.send(good[:length])
            rcode = sock.recv(65535)[3] & 15
            assert rcode in (dnswire.FORMERR, dnswire.REFUSED,
                             tsig.NOTAUTH), (length, rcode)
    assert answered[tsig.NOTAUTH] > 50, answered
    assert house.shown() == []
    assert house.broker.ask("GET", "/v1/challenges", client="web"
                            ).json["challenges"] == []
    house.end()


def test_bad_signatures_are_told_apart(bed):
    house = House(bed)
    record = tsig.add(NAME, digest())
    unknown = bed.key("unknown.example")
    other = bed.key("other.example")
    port = house.broker.port("dns")

    def told(signed, key=house.key):
        reply = tsig.exchange(signed, key, port)
        assert reply.rcode == tsig.NOTAUTH and reply.signed, vars(reply)
        return reply

    message = tsig.update("example.com", record)
    reply = told(tsig.sign(message, unknown), unknown)
    assert reply.error == tsig.BADKEY and reply.mac == b"", vars(reply)
    reply = told(tsig.sign(message, house.key, secret=other.secret))
    assert reply.error == tsig.BADSIG and reply.mac == b"", vars(reply)
    # RFC 8945 s.5.2.2.1: a MAC cut short is none here
    reply = told(tsig.sign(message, house.key, mac_len=16))
    assert reply.error == tsig.BADSIG, vars(reply)
    for skew in (-4000, 4000):
        now = int(time.time())
        reply = told(tsig.sign(message, house.key, at=now + skew))
        # s.5.2.3: signed, with the server's clock in it
        assert reply.error == tsig.BADTIME and reply.verified, vars(reply)
        assert reply.time == now + skew, vars(reply)
        clock = int.from_bytes(reply.other, "big")
        assert abs(clock - now) < 30, vars(reply)
        # a wider fudge does not help
        assert told(tsig.sign(message, house.key, at=now + skew,
                              fudge=65535)).error == tsig.BADTIME
    for skew in (-250, 250):
        good = house.send(tsig.add(NAME, digest()),
                          at=int(time.time()) + skew)
        assert good.rcode == dnswire.NOERROR and good.verified, vars(good)
    told_of = {re.sub(r".*: ", "", a["text"]) for a in house.broker.audit()
               if a["action"] == "identify"}
    assert len(told_of) == 3 and all(
        a["reason"] == "tsig" for a in house.broker.audit()
        if a["action"] == "identify"), told_of
    house.end()


def test_a_replayed_mac_gets_its_old_answer(bed):
    house = House(bed)
    value = digest()
    port = house.broker.port("dns")
    added = house.signed(tsig.add(NAME, value))
    removed = house.signed(tsig.delete_name(NAME))
    first = {}
    for tcp in (False, True):
        send = dnswire.exchange_tcp if tcp else dnswire.exchange_udp
        for name, signed in (("add", added), ("remove", removed)):
            answer = send("127.0.0.1", signed, 20, port)
            assert answer == first.setdefault(name, answer), (name, tcp)
        wait_until(lambda: house.shown() == [], "it left, and stays away")
    assert dnswire.exchange_udp("127.0.0.1", added, 20,
                                port) == first["add"]
    # One that is refused is refused again.
    bad = house.signed(tsig.add("_acme-challenge.mail.example.com", value))
    answers = {dnswire.exchange_udp("127.0.0.1", bad, 20, port)
               for _ in range(3)}
    assert len(answers) == 1
    granted = [a for a in house.broker.audit()
               if a["action"] == "publish" and a["verdict"] == "granted"]
    assert len(granted) == 1, granted
    assert house.shown() == []
    house.end()


def test_many_updates_on_one_connection(bed):
    """More than may be in work at once, and a reader that is late."""
    house = House(bed, values=1000)
    values = [digest() for _ in range(12)]
    messages = [house.signed(tsig.add(NAME, values[i % 12]))
                for i in range(300)]
    with socket.create_connection(("127.0.0.1", house.broker.port("dns")),
                                  60) as sock:
        sock.sendall(b"".join(struct.pack(">H", len(m)) + m
                              for m in messages))
        seen = {}
        for _ in messages:
            size = struct.unpack(">H", dnswire.read_exactly(sock, 2))[0]
            reply = dnswire.read_exactly(sock, size)
            seen[reply[:2]] = reply[3] & 15
    assert set(seen.values()) <= {dnswire.NOERROR, dnswire.SERVFAIL}, (
        house.broker.audit()[-1])
    house.send(tsig.delete_name(NAME))
    wait_until(lambda: house.shown() == [], "they leave")
    house.end()


def test_whatever_an_update_says_that_is_not_ours_to_do(bed):
    house = House(bed)
    rdata = tsig.txt(digest())
    a_record = dnswire.Record("www.example.com", dnswire.A, tsig.IN, 60,
                              b"\x7f\x00\x00\x01")
    for records, rcode in (
            ([a_record], dnswire.REFUSED),
            ([tsig.add("www.example.com", digest())], dnswire.REFUSED),
            ([tsig.add("example.com", digest())], dnswire.REFUSED),
            ([tsig.add(NAME, "v=spf1 -all")], dnswire.REFUSED),
            ([tsig.add(NAME, digest()),
              tsig.add("_acme-challenge.mail.example.com", digest())],
             dnswire.REFUSED),
            ([dnswire.Record(NAME, dnswire.TXT, tsig.IN, 60,
                             rdata + tsig.txt("x"))], dnswire.REFUSED),
            ([dnswire.Record(NAME, dnswire.TXT, tsig.IN, 60, b"")],
             dnswire.FORMERR),
            ([dnswire.Record(NAME, dnswire.TXT, 77, 0, rdata)],
             dnswire.FORMERR),
            ([dnswire.Record(NAME, dnswire.TXT, tsig.ANY_CLASS, 60, b"")],
             dnswire.FORMERR),
            ([dnswire.Record(NAME, dnswire.TXT, tsig.NONE, 60, rdata)],
             dnswire.FORMERR),
            ([dnswire.Record(NAME, dnswire.ANY, tsig.IN, 0, b"")],
             dnswire.REFUSED),
            ([dnswire.Record("example.com", dnswire.SOA, tsig.ANY_CLASS, 0,
                             b"")], dnswire.REFUSED),
            ([tsig.add("_acme-challenge.www.example.org", digest())], 10),
            ([tsig.add(NAME, digest())] * 101, dnswire.REFUSED)):
        reply = house.send(*records, tcp=True)
        assert reply.verified and reply.rcode == rcode, (records, reply.rcode)
    for opcode in (1, 2, 4, 6, 15):
        message = bytearray(tsig.update("example.com"))
        message[2] = opcode << 3
        reply = tsig.exchange(tsig.sign(bytes(message), house.key), house.key,
                              house.broker.port("dns"))
        assert reply.rcode in (dnswire.NOTIMP, dnswire.REFUSED), opcode
    # An UPDATE of nothing is nothing.
    assert house.send().rcode == dnswire.NOERROR
    for qtype in ("AXFR", "ANY"):
        octets = dnswire.query_octets("example.com", dnswire.TYPES[qtype])
        for signed in (octets, tsig.sign(octets, house.key)):
            reply = dnswire.parse(dnswire.exchange_tcp(
                "127.0.0.1", signed, 20, house.broker.port("dns")))
            assert reply.rcode == dnswire.REFUSED, (qtype, reply)
    assert house.shown() == []
    house.end()


def test_prerequisites_are_honoured(bed):
    house = House(bed)
    value, other = digest(), digest()
    yx_rrset = dnswire.Record(NAME, dnswire.TXT, tsig.ANY_CLASS, 0, b"")
    nx_rrset = dnswire.Record(NAME, dnswire.TXT, tsig.NONE, 0, b"")
    yx_domain = dnswire.Record(NAME, dnswire.ANY, tsig.ANY_CLASS, 0, b"")
    nx_domain = dnswire.Record(NAME, dnswire.ANY, tsig.NONE, 0, b"")
    exactly = dnswire.Record(NAME, dnswire.TXT, tsig.IN, 0, tsig.txt(value))
    outside = dnswire.Record("x.example.org", dnswire.TXT, tsig.NONE, 0, b"")

    def send(prerequisite, *records):
        return tsig.exchange(tsig.sign(tsig.update(
            "example.com", *records, prerequisites=[prerequisite]),
            house.key), house.key, house.broker.port("dns")).rcode

    add = tsig.add(NAME, other)
    before = ((yx_rrset, 8), (yx_domain, dnswire.NXDOMAIN), (exactly, 8),
              (outside, 10))
    for prerequisite, rcode in before:
        assert send(prerequisite, add) == rcode, prerequisite
    assert house.shown() == []
    for prerequisite in (nx_rrset, nx_domain):
        assert send(prerequisite) == dnswire.NOERROR
    assert send(nx_rrset, tsig.add(NAME, value)) == dnswire.NOERROR
    for prerequisite, rcode in ((nx_rrset, 7), (nx_domain, 6)):
        assert send(prerequisite, add) == rcode, prerequisite
    assert house.shown() == [value]
    for prerequisite in (yx_rrset, yx_domain, exactly):
        assert send(prerequisite) == dnswire.NOERROR, prerequisite
    assert send(exactly, add) == dnswire.NOERROR
    assert send(exactly, tsig.delete_name(NAME)) == 8
    assert house.shown() == sorted([value, other])
    house.end()

#!/usr/bin/python3 -B
"""The floor: one order with the fewest sequential round trips that the
protocols allow, and all name servers polled every 20 ms.

It checks nothing that could go wrong, writes no file, has no journal, and the
time it takes is counted from after its own start.  No client that does its
work can be expected to be faster; how much slower one is, is what the
benchmark shows.

usage: floor.py < JSON    (see Job); prints {"seconds": ...}
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import queue
import select
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, utils  # noqa: E402

from testbed import dnswire  # noqa: E402

NAME_SERVER_POLL_S = 0.020
ORDER_POLL_S = 0.010
CONNECTIONS = 4  # for what may be asked side by side
HMAC_SHA256 = "hmac-sha256."
CLASS_NONE, CLASS_ANY = 254, 255


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def sha256(text):
    return b64(hashlib.sha256(text.encode()).digest())


class AccountKey:
    """An EC P-256 account key; signs requests."""

    def __init__(self, pem):
        self._key = (serialization.load_pem_private_key(pem, None) if pem
                     else ec.generate_private_key(ec.SECP256R1()))
        point = self._key.public_key().public_numbers()
        self.jwk = {"crv": "P-256", "kty": "EC",
                    "x": b64(point.x.to_bytes(32, "big")),
                    "y": b64(point.y.to_bytes(32, "big"))}
        self.thumbprint = sha256(json.dumps(
            self.jwk, sort_keys=True, separators=(",", ":")))

    def pem(self):
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption())

    def sign(self, header, payload):
        protected = b64(json.dumps(header).encode())
        body = "" if payload is None else b64(json.dumps(payload).encode())
        r, s = utils.decode_dss_signature(self._key.sign(
            f"{protected}.{body}".encode(), ec.ECDSA(hashes.SHA256())))
        signature = b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        return json.dumps({"protected": protected, "payload": body,
                           "signature": signature})


class Connection:
    """One HTTPS connection to the CA with the nonce it was last given."""

    def __init__(self, directory_url, ca_root):
        parts = urllib.parse.urlsplit(directory_url)
        self._http = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=30,
            context=ssl.create_default_context(cafile=ca_root))
        self._nonce = None

    def get(self, url):
        return json.loads(self._ask("GET", url)[1])

    def _ask(self, method, url, body=None):
        path = url.split("/", 3)[3]
        headers = {"User-Agent": "floor"}
        if body:
            headers["Content-Type"] = "application/jose+json"
        self._http.request(method, "/" + path, body, headers)
        reply = self._http.getresponse()
        octets = reply.read()
        self._nonce = reply.headers.get("Replay-Nonce", self._nonce)
        if reply.status >= 300:
            raise SystemExit(f"{url}: {reply.status}: {octets.decode()}")
        return reply, octets

    def post(self, acme, url, payload=None):
        """A signed request; None is POST-as-GET."""
        if not self._nonce:
            self._ask("HEAD", acme.directory["newNonce"])
        nonce, self._nonce = self._nonce, None
        header = {"alg": "ES256", "nonce": nonce, "url": url}
        header.update({"kid": acme.kid} if acme.kid
                      else {"jwk": acme.key.jwk})
        return self._ask("POST", url, acme.key.sign(header, payload))


class Acme:
    """A CA, an account, and connections to ask by."""

    def __init__(self, directory_url, ca_root, key, kid=None):
        self.key, self.kid = key, kid
        self._make = lambda: Connection(directory_url, ca_root)
        self._first = self._make()
        self._idle = queue.LifoQueue()
        self._pool = ThreadPoolExecutor(CONNECTIONS)
        self._local = threading.local()
        self.directory = self._first.get(directory_url)

    def post(self, url, payload=None):
        return self._first.post(self, url, payload)

    def object(self, url, payload=None):
        return json.loads(self.post(url, payload)[1])

    def register(self):
        reply, _ = self.post(self.directory["newAccount"],
                             {"termsOfServiceAgreed": True})
        self.kid = reply.headers["Location"]

    def objects(self, urls, payload=None):
        """The same request of many URLs, side by side."""
        def one(url):
            if not hasattr(self._local, "connection"):
                self._local.connection = self._make()
            return json.loads(
                self._local.connection.post(self, url, payload)[1])
        if len(urls) < CONNECTIONS:
            return [self.object(url, payload) for url in urls]
        return list(self._pool.map(one, urls))


class Updates:
    """DNS UPDATE with TSIG at one server, over one TCP connection."""

    def __init__(self, server, zone, key_name, secret):
        self._zone, self._key_name = zone, key_name
        self._secret = base64.b64decode(secret)
        self._sock = socket.create_connection((server, 53), 10)

    def send(self, records):
        message = dnswire.Message(
            int.from_bytes(os.urandom(2), "big"), dnswire.OPCODE_UPDATE << 11,
            [(self._zone, dnswire.SOA, 1)], authority=records)
        octets = self._signed(message)
        self._sock.sendall(struct.pack("!H", len(octets)) + octets)
        length = struct.unpack("!H", dnswire.read_exactly(self._sock, 2))[0]
        reply = dnswire.parse(dnswire.read_exactly(self._sock, length))
        if reply.rcode:
            raise SystemExit(f"UPDATE of {self._zone}: rcode {reply.rcode}")

    def _signed(self, message):
        """RFC 8945 s.4.2, s.5.1; the reply's MAC is not looked at."""
        now = struct.pack("!HI", 0, int(time.time())) + struct.pack("!H", 300)
        algorithm = dnswire.write_name(HMAC_SHA256)
        name = dnswire.write_name(self._key_name)
        mac = hmac.new(self._secret, dnswire.build(message) + name
                       + struct.pack("!HI", CLASS_ANY, 0) + algorithm + now
                       + struct.pack("!HH", 0, 0), "sha256").digest()
        rdata = (algorithm + now + struct.pack("!H", len(mac)) + mac
                 + struct.pack("!HHH", message.id, 0, 0))
        message.additional.append(dnswire.Record(
            self._key_name, dnswire.TSIG, CLASS_ANY, 0, rdata))
        return dnswire.build(message)


def txt(name, value, cls=1):
    raw = value.encode()
    return dnswire.Record(name, dnswire.TXT, cls, 60 if cls == 1 else 0,
                          bytes([len(raw)]) + raw)


def wait_shown(servers, name, value):
    """Asks every server each 20 ms until it shows the value: one UPDATE
    becomes visible as a whole, so one name stands for all."""
    waiting = {}
    for server in servers:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect((server, 53))
        waiting[sock] = server
    while waiting:
        again_at = time.monotonic() + NAME_SERVER_POLL_S
        for sock in waiting:
            sock.send(dnswire.query_octets(name, dnswire.TXT))
        while waiting:
            left = again_at - time.monotonic()
            if left <= 0:
                break
            for sock in select.select(list(waiting), [], [], left)[0]:
                if value in dnswire.parse(sock.recv(65535)).txt(name):
                    del waiting[sock]


def make_request(names):
    """A new P-256 key and the CSR for the names, DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName(n) for n in names])
    request = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([])).add_extension(names, False).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.DER)


def until(acme, url, wanted):
    while True:
        order = acme.object(url)
        if order["status"] in wanted:
            return order
        if order["status"] == "invalid":
            raise SystemExit(f"the order is invalid: {order}")
        time.sleep(ORDER_POLL_S)


def issue(job, key, kid):
    """The whole order; returns what it took in seconds."""
    began = time.monotonic()
    acme = Acme(job["directory"], job["ca_root"], key, kid)
    reply, body = acme.post(acme.directory["newOrder"], {"identifiers": [
        {"type": "dns", "value": n} for n in job["names"]]})
    order_url, order = reply.headers["Location"], json.loads(body)
    authzs = [a for a in acme.objects(order["authorizations"])
              if a["status"] != "valid"]
    challenges, records = [], []
    for authz in authzs:
        challenge = next(c for c in authz["challenges"]
                         if c["type"] == "dns-01")
        challenges.append(challenge["url"])
        records.append(("_acme-challenge." + authz["identifier"]["value"],
                        sha256(f"{challenge['token']}.{key.thumbprint}")))
    updates = Updates(job["server"], job["zone"], job["key_name"],
                      job["secret"])
    updates.send([txt(n, v) for n, v in records])
    request = make_request(job["names"])
    wait_shown(job["nameservers"], *records[-1])
    acme.objects(challenges, {})
    order = until(acme, order_url, ("ready",))
    retract = threading.Thread(target=updates.send, args=(
        [txt(n, v, CLASS_NONE) for n, v in records],))
    retract.start()
    order = acme.object(order["finalize"], {"csr": b64(request)})
    if order["status"] != "valid":
        order = until(acme, order_url, ("valid",))
    acme.post(order["certificate"])
    retract.join()
    return time.monotonic() - began


def main():
    """Job: directory ca_root account names zone server nameservers key_name
    secret; `account` is a folder in which the account is kept."""
    job = json.load(sys.stdin)
    path = os.path.join(job["account"], "floor.json")
    if not os.path.exists(path):
        key = AccountKey(None)
        acme = Acme(job["directory"], job["ca_root"], key)
        acme.register()
        with open(path, "w", encoding="ascii") as file:
            json.dump({"pem": key.pem().decode(), "kid": acme.kid}, file)
    with open(path, encoding="ascii") as file:
        account = json.load(file)
    key = AccountKey(account["pem"].encode())
    print(json.dumps({"seconds": issue(job, key, account["kid"])}))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

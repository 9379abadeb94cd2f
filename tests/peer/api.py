"""What the stand-ins for vendors' APIs share: an HTTPS server with faults, and a name server that
shows the records which were made through it.

A peer is a subclass of Api with a `name`, `settings()`, `secrets()` and `answer(request)`. It
behaves as the vendor documents, and checks what the vendor checks. See tests/peer/README.md.
"""

import base64
import http.server
import json
import re
import secrets
import socket
import socketserver
import ssl
import struct
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

from testbed import dnswire
from testbed.pki import OwnCa
from testbed.zone import Zone

HUGE = 8 * 1024 * 1024
READS = ("GET", "HEAD")


def digest():
    """A value as a challenge has it: 43 characters of base64url."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


def secret():
    """A credential that no text contains by chance."""
    return "SeCrEt" + secrets.token_hex(16)


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquoted(text):
    """The text of one quoted string or several, as a zone file has them."""
    pieces = re.findall(r'"((?:[^"\\]|\\.)*)"', text)
    return re.sub(r"\\(.)", r"\1", "".join(pieces)) if pieces else text


@dataclass
class Request:
    """One request as it came."""
    method: str
    path: str     # without the query, decoded
    raw_path: str
    query: dict   # name -> the first value
    headers: dict  # names in lower case
    body: bytes
    at: float = field(default_factory=time.monotonic)
    status: int = 0

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def form(self):
        return dict(urllib.parse.parse_qsl(self.body.decode()))

    @property
    def bearer(self):
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme == "Bearer" else None


@dataclass
class Reply:
    """What is sent back; body: octets, text, or what becomes JSON."""
    status: int = 200
    body: object = b""
    type: str = "application/json"
    headers: dict = field(default_factory=dict)

    def octets(self):
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, str):
            return self.body.encode()
        return json.dumps(self.body, separators=(",", ":")).encode()


class Refused(Exception):
    """Raised in answer(): this reply is sent."""

    def __init__(self, status, body=b"", **options):
        super().__init__(f"{status} {body}")
        self.reply = Reply(status, body, **options)


@dataclass
class Fault:
    """Something that goes wrong, for so many of the requests that match."""
    kind: str
    times: int = 1
    writes: bool = None  # True: only writes, False: only reads, None: both
    action: object = None  # of "between": called before the request is done

    def matches(self, request):
        # Whoever asks for a token changes nothing.
        is_write = request.method not in READS and not request.path.endswith("token")
        return self.times > 0 and self.writes in (None, is_write)


@dataclass
class Record:
    owner: str
    text: str
    ttl: int
    id: str
    raw: str = None


class Records:
    """TXT records of some zones; all access is under `lock`."""

    def __init__(self, zones):
        self.lock = threading.RLock()
        self.zones = list(zones)
        self.list = []
        self._ids = 1000

    def zone_of(self, owner):
        suffixes = [z for z in self.zones if owner == z or owner.endswith("." + z)]
        return max(suffixes, key=len, default=None)

    def at(self, owner):
        return [r for r in self.list if r.owner == owner]

    def add(self, owner, text, ttl=60, raw=None):
        with self.lock:
            self._ids += 1
            record = Record(owner, text, ttl, str(self._ids), raw)
            self.list.append(record)
            return record

    def remove(self, record):
        with self.lock:
            self.list.remove(record)

    def replace(self, owner, texts, ttl=60):
        with self.lock:
            self.list = [r for r in self.list if r.owner != owner]
            for text in texts:
                self.add(owner, text, ttl)

    def texts(self, owner):
        return sorted(r.text for r in self.at(owner))


class NameServer:
    """Answers for the zones of Records, by UDP and TCP."""

    def __init__(self, bed, records, address):
        self.records = records
        self.addresses = [address]  # of the zones' name servers: ns1, ns2 ...
        server = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                data, sock = self.request
                reply = server.reply(data)
                if reply:
                    sock.sendto(reply, self.client_address)

        class Tcp(socketserver.BaseRequestHandler):
            def handle(self):
                while True:
                    try:
                        length = dnswire.read_exactly(self.request, 2)
                        data = dnswire.read_exactly(
                            self.request, struct.unpack("!H", length)[0])
                    except OSError:
                        return
                    reply = server.reply(data, tcp=True)
                    self.request.sendall(struct.pack("!H", len(reply)) + reply)

        for kind, handler in ((socketserver.ThreadingUDPServer, Udp),
                              (socketserver.ThreadingTCPServer, Tcp)):
            made = type("Server", (kind,), {"allow_reuse_address": True,
                                            "daemon_threads": True})(
                (address, 53), handler)
            threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
            bed.on_close(made.shutdown)

    def _records_of(self, name, kind, zone):
        servers = {f"ns{i}.{zone}": a for i, a in enumerate(self.addresses, 1)}
        if kind == dnswire.TXT:
            return [dnswire.Record(r.owner, dnswire.TXT, 1, r.ttl, b"".join(
                        bytes([len(p)]) + p for p in _pieces(r.text.encode())))
                    for r in self.records.at(name)]
        if kind == dnswire.A and name in servers:
            return [dnswire.Record(name, dnswire.A, 1, 60, socket.inet_aton(servers[name]))]
        if name == zone and kind == dnswire.NS:
            return [dnswire.Record(zone, dnswire.NS, 1, 60, dnswire.write_name(n))
                    for n in servers]
        if name == zone and kind == dnswire.SOA:
            return [self._soa(zone)]
        return []

    @staticmethod
    def _soa(zone):
        names = dnswire.write_name(f"ns1.{zone}") + dnswire.write_name(f"hostmaster.{zone}")
        return dnswire.Record(zone, dnswire.SOA, 1, 60,
                              names + struct.pack("!IIIII", 1, 3600, 600, 86400, 60))

    def reply(self, data, tcp=False):
        try:
            asked = dnswire.parse(data)
        except dnswire.WireError:
            return None
        name, kind, _ = asked.question[0]
        name = name.rstrip(".").lower()
        with self.records.lock:
            zone = self.records.zone_of(name)
            out = dnswire.Message(asked.id, dnswire.QR | dnswire.AA, asked.question)
            if zone is None:
                out.flags = dnswire.QR | dnswire.REFUSED
                return dnswire.build(out)
            out.answer = self._records_of(name, kind, zone)
            if not out.answer:
                out.authority = [self._soa(zone)]
                known = name == zone or name.startswith("ns") or any(
                    r.owner == name or r.owner.endswith("." + name) for r in self.records.list)
                out.flags |= 0 if known else dnswire.NXDOMAIN
        octets = dnswire.build(out)
        if len(octets) > 1232 and not tcp:
            out.flags |= dnswire.TC
            out.answer = []
            octets = dnswire.build(out)
        return octets


def _pieces(octets):
    return [octets[i:i + 255] for i in range(0, max(1, len(octets)), 255)]


class Api:
    """A vendor's API at `url`, over TLS with a root of the bed's own.

    page: how many items a list has on a page, at most.
    """
    name = ""
    page = 5
    may_list = True  # the zones of the account

    def __init__(self, bed, zones=("example.com",), *, serve_dns=True):
        self.bed = bed
        self.records = Records(zones)
        self.requests = []
        self.faults = []
        self.lock = threading.RLock()
        self.address = bed.address()
        self.server = NameServer(bed, self.records, self.address) if serve_dns else None
        self._start_https()

    # For tests

    def settings(self):
        """The provider's settings, beside name and type."""
        raise NotImplementedError

    def secrets(self):
        """Texts that may stand nowhere but in the credentials' files."""
        raise NotImplementedError

    def credentials(self):
        """Those of them that are refused when they are others of the same length."""
        return self.secrets()

    def provider(self, **more):
        return {"name": "vendor", "type": self.name, "ca_file": self.ca_root,
                **self.settings(), **more}

    def variables(self):
        """The vendor's customary environment variables, and the setting that each stands for."""
        return {}

    def zone_settings(self, zone):
        """What spares the question for the zones; None: the API's zones have no other id."""
        return None

    def in_sync(self):
        """Whoever changed something has asked until it was done everywhere."""
        return True

    def highest_rate(self, since=0):
        """How many requests, from that one on, came within a second, at most."""
        at = [r.at for r in self.requests[since:]]
        return max((sum(t <= u < t + 1 for u in at) for t in at), default=0)

    def check_zone(self, owner, zone):
        """A record of a name that is in another zone is seen by nobody."""
        assert self.records.zone_of(owner) == zone, f"{owner} in {zone}"

    def secret_file(self, name, text):
        return self.bed.write(f"secrets/{name}", text, mode=0o600)

    def delegate(self, *others):
        """Delegates the zones to this peer, and to others that serve them as well."""
        for peer in (self, *others):
            peer.server.addresses = [p.address for p in (self, *others)]
        for name in self.records.zones:
            zone = Zone(name)
            for peer in (self, *others):
                zone.add_nameserver(peer.address)
            self.bed.hierarchy.delegate(zone)
        return self

    def plant(self, owner, text):
        """A value of somebody else's."""
        self.records.add(owner, text)

    def texts(self, owner):
        with self.records.lock:
            return self.records.texts(owner)

    def everything(self):
        return [r.text for r in self.records.list]

    def fail(self, kind, times=1, **options):
        with self.lock:
            self.faults.append(Fault(kind, times, **options))

    def calm(self):
        """Nothing goes wrong any more; what was meant to has happened."""
        left = [f for f in self.faults if f.times > 0]
        self.faults = []
        assert not left, f"faults that did not come up: {left}"

    def count(self, method, pattern=""):
        return sum(r.method == method and re.search(pattern, r.path) is not None
                   for r in self.requests)

    # The service itself

    def answer(self, request):
        """The Reply to one request, under the records' lock; or raises Refused."""
        raise NotImplementedError

    def error(self, status, text):
        """The vendor's error body."""
        return Reply(status, {"message": text})

    def limited(self, seconds):
        reply = self.error(429, "too many requests")
        reply.headers["Retry-After"] = str(seconds)
        return reply

    def expire(self):
        """Tokens that were given are not valid any more."""

    # HTTP

    def _start_https(self):
        ca = OwnCa(self.bed, f"{self.name}-ca")
        self.ca_root = ca.root
        certificate, key = ca.issue(self.name, ["IP:127.0.0.1", "DNS:localhost"])
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.tls = context
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"https://{self.host}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.bed.on_close(self._server.shutdown)

    def take_fault(self, request):
        with self.lock:
            for fault in self.faults:
                if fault.matches(request):
                    fault.times -= 1
                    return fault
        return None

    def execute(self, request):
        with self.records.lock:
            try:
                reply = self.answer(request)
            except Refused as refused:
                reply = refused.reply
            except (KeyError, ValueError, TypeError) as error:
                reply = self.error(400, f"{type(error).__name__}: {error}")
        request.status = reply.status
        return reply


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def finish_request(self, request, client_address):
        try:
            request.settimeout(60)
            wrapped = self.tls.wrap_socket(request, server_side=True)
        except OSError:
            return
        super().finish_request(wrapped, client_address)

    def handle_error(self, request, client_address):
        """Connections that clients end are no news."""


def _handler(api):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self):
            parts = urllib.parse.urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            request = Request(
                self.command, urllib.parse.unquote(parts.path), self.path,
                dict(reversed(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))),
                {k.lower(): v for k, v in self.headers.items()}, self.rfile.read(length))
            api.requests.append(request)
            fault = api.take_fault(request)
            if fault is None:
                self._send(api.execute(request))
            else:
                getattr(self, "_fault_" + fault.kind)(request, fault)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve

        def _send(self, reply, octets=None):
            body = reply.octets() if octets is None else octets
            self.send_response(reply.status)
            if reply.status != 204:
                self.send_header("Content-Type", reply.type)
                self.send_header("Content-Length", str(len(body)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if reply.status != 204 and self.command != "HEAD":
                self.wfile.write(body)

        def _cut(self):
            """Ends the connection without a word, in the middle of TLS."""
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        def _fault_unavailable(self, request, _):
            request.status = 503
            self._send(api.error(503, "the service is not available"))

        def _fault_limit(self, request, _):
            request.status = 429
            self._send(api.limited(1))

        def _fault_reset(self, request, _):
            """Half of an answer; nothing was done."""
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"result": [')
            self.wfile.flush()
            self._cut()

        def _fault_lost(self, request, _):
            """It is done, and the answer does not arrive."""
            api.execute(request)
            self._cut()

        def _fault_between(self, request, fault):
            with api.records.lock:
                fault.action()
                reply = api.execute(request)
            self._send(reply)

        def _fault_slow(self, request, _):
            reply = api.execute(request)
            body = reply.octets()
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            for i in range(0, len(body), 64):
                self.wfile.write(body[i:i + 64])
                self.wfile.flush()
                time.sleep(0.02)

        def _fault_huge(self, request, _):
            self._send(Reply(200, b"["), b"[" + b'"x",' * (HUGE // 4) + b'"x"]')

        def _fault_html(self, request, _):
            self._send(Reply(200, b"<html>Welcome to the intranet</html>", "text/html"))

        def _fault_expire(self, request, _):
            api.expire()
            self._send(api.execute(request))

        def _fault_echo(self, request, _):
            """A refusal that quotes what was sent, credentials and all."""
            sent = " ".join(f"{k}: {v}" for k, v in request.headers.items())
            request.status = 403
            self._send(api.error(403, f"not allowed: {sent} {request.body.decode()}"))

        def log_message(self, *_):
            """Not on the tests' output."""

    return Handler

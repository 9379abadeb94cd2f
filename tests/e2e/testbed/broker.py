"""A running `dns01 serve`, and a client that speaks HTTP to it."""

import base64
import contextlib
import hashlib
import http.client
import json
import os
import socket
import ssl

from .config import rfc2136, write_config, zone


def digest():
    """A value as a challenge has it: 43 characters of base64url."""
    raw = hashlib.sha256(os.urandom(16)).digest()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class Answer:
    """One HTTP answer."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read().decode()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body}"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Broker:
    """Started with the providers and zones of a site.

    clients: groups of the configuration; a client's token is
    broker.token(NAME), by `dns01 token new`.
    """

    def __init__(self, bed, site, clients, *, zone_settings=None, zones=None,
                 providers=None, tls=None, listeners=None, **settings):
        self.bed = bed
        self.site = site
        self.state = bed.state("broker")
        self.socket = f"{bed.dir}/broker.sock"
        self.ca = tls
        default = [
            {"unix": self.socket, "doors": ["api", "httpreq", "acmedns"]},
            {"http": "127.0.0.1:0",
             "doors": ["api", "httpreq", "acmedns", "metrics"]},
            {"dns": "127.0.0.1:0", "doors": ["update"]}]
        if tls:
            cert, key = tls.issue("broker", ["DNS:localhost", "IP:127.0.0.1"])
            os.chmod(key, 0o600)
            default.append({"https": "127.0.0.1:0", "cert_file": cert,
                            "key_file": key, "client_ca_file": tls.root,
                            "doors": ["api", "httpreq", "acmedns"]})
        self.settings = {
            "state": self.state, "user": "root",
            "audit": f"{bed.dir}/audit.json",
            "providers": providers or [rfc2136(site)],
            "zones": zones or [zone("example.com", **(zone_settings or {}))],
            "listeners": listeners or default, "clients": clients, **settings}
        self.conf = write_config(bed, "broker.conf", **self.settings)
        bed.resolver()
        self.command = None
        self.tokens = {}

    def write(self, **changes):
        """The configuration anew, with these settings changed."""
        self.settings.update(changes)
        write_config(self.bed, "broker.conf", **self.settings)

    def start(self, env=None, **options):
        self.command = self.bed.start_dns01("serve", "-c", self.conf, "-v",
                                            env=env, **options)
        self.command.wait_for(lambda c: "listening" in c.output(),
                              "the broker listens")
        self.places = {}
        for line in self.command.output().splitlines():
            words = line.split()
            if words and words[0] in ("unix", "http", "https", "dns"):
                self.places[words[0]] = words[1]
        return self

    def port(self, kind):
        return int(self.places[kind].rsplit(":", 1)[1])

    def url(self, kind="http"):
        name = "localhost" if kind == "https" else "127.0.0.1"
        return f"{kind}://{name}:{self.port(kind)}"

    def dns01(self, *arguments):
        """A command on the broker's host."""
        return self.bed.dns01(*arguments[:1], "-c", self.conf, *arguments[1:])

    def token(self, client, *more):
        if (client, more) not in self.tokens:
            made = self.dns01("token", "new", client, "--json", *more)
            made.assert_ok()
            self.tokens[client, more] = made.json_lines()[0]["credential"]
        return self.tokens[client, more]

    def token_file(self, client):
        return self.bed.write(f"{client}.token", self.token(client) + "\n",
                              mode=0o600)

    def connect(self, kind="unix", timeout=60, cert=None):
        if kind == "unix":
            return _UnixConnection(self.socket, timeout)
        if kind == "http":
            return http.client.HTTPConnection("127.0.0.1", self.port("http"),
                                              timeout=timeout)
        context = ssl.create_default_context(cafile=self.ca.root)
        if cert:
            context.load_cert_chain(*cert)
        return http.client.HTTPSConnection(
            "localhost", self.port("https"), timeout=timeout, context=context)

    def ask(self, method, path, body=None, *, client=None, token=None,
            basic=None, headers=None, kind="unix", cert=None, timeout=60):
        """One request; client: by that client's token."""
        head = dict(headers or {})
        if client:
            token = self.token(client)
        if token:
            head["Authorization"] = f"Bearer {token}"
        if basic:
            text = base64.b64encode(":".join(basic).encode()).decode()
            head["Authorization"] = f"Basic {text}"
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        connection = self.connect(kind, timeout, cert)
        try:
            connection.request(method, path, body, head)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def raw(self, kind, data, *, half_close=False, wrap=None, patience_s=None):
        """Sends octets, and gives what comes until the end, or for
        patience_s; the broker may close before it took all.  wrap: an SSL
        context."""
        sock = socket.create_connection(("127.0.0.1", self.port(kind)), 20)
        if wrap:
            sock = wrap.wrap_socket(sock, server_hostname="localhost")
        if patience_s:
            sock.settimeout(patience_s)
        got = b""
        quiet = (ConnectionError, *([TimeoutError] if patience_s else []))
        with sock, contextlib.suppress(*quiet):
            with contextlib.suppress(OSError):
                sock.sendall(data)
                if half_close:
                    sock.shutdown(socket.SHUT_WR)
            while part := sock.recv(65536):
                got += part
        return got

    def publish(self, client, name, value, wait="visible", **more):
        return self.ask("POST", "/v1/challenges",
                        {"name": name, "value": value, "wait": wait, **more},
                        client=client)

    def audit(self):
        with open(f"{self.bed.dir}/audit.json", encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def stop(self):
        self.command.signal(15)
        return self.command.wait(30)

"""A CA that answers what it should not: Pebble behind an HTTPS server that changes its answers."""

import base64
import http.client
import http.server
import json
import ssl
import threading

FORWARDED = ("Host", "Content-Type", "Accept", "User-Agent")
DROPPED = ("content-length", "connection", "transfer-encoding", "date")


class Answer:
    """One answer on its way: what was asked, and what may be changed."""

    def __init__(self, method, path, asked):
        self.method = method
        self.path = path
        self.payload = {}  # of the signed request, parsed
        self.status = 0
        self.headers = []
        self.body = b""
        if asked:
            text = json.loads(asked).get("payload", "")
            octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            self.payload = json.loads(octets) if octets else {}

    def header(self, name, value):
        """Replaces a header field, or adds it."""
        self.headers = [h for h in self.headers if h[0].lower() != name.lower()]
        self.headers.append((name, value))

    def change(self, old, new):
        """In the body; what is not there cannot be changed."""
        assert old.encode() in self.body, (self.path, old, self.body)
        self.body = self.body.replace(old.encode(), new.encode())

    def problem(self, status, kind, detail, **fields):
        """Takes the place of the answer; its nonce stays."""
        self.status = status
        self.header("Content-Type", "application/problem+json")
        self.body = json.dumps({"type": f"urn:ietf:params:acme:error:{kind}",
                                "detail": detail, **fields}).encode()


class Meddler:
    """`change`, a function of an Answer, is called for each answer of Pebble's.  `refuse`, of one
    without an answer yet, may return True: then Pebble is not asked."""

    def __init__(self, bed, pebble):
        self.pebble = pebble
        self.ca_root = pebble.ca_root
        self.change = None
        self.refuse = None
        self.asked = []  # (method, path, payload)
        self.error = None
        certificate, key = pebble.ca.issue("meddler", ["IP:127.0.0.1"])
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.directory = f"https://127.0.0.1:{self._server.server_port}/dir"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        bed.on_close(self._server.shutdown)

    def paths(self, word):
        """How many requests there were whose path has this word."""
        return sum(word in path for _, path, _ in self.asked)

    def _forward(self, answer, headers, asked):
        context = ssl.create_default_context(cafile=self.pebble.ca_root)
        link = http.client.HTTPSConnection("127.0.0.1", self.pebble.port, context=context)
        link.putrequest(answer.method, answer.path, skip_host=True, skip_accept_encoding=True)
        for name in FORWARDED:
            if name in headers:
                link.putheader(name, headers[name])
        if asked:
            link.putheader("Content-Length", str(len(asked)))
        link.endheaders(asked or None)
        reply = link.getresponse()
        answer.status = reply.status
        answer.headers = [h for h in reply.getheaders() if h[0].lower() not in DROPPED]
        answer.body = reply.read()
        link.close()

    def _answer(self, method, path, headers, asked):
        answer = Answer(method, path, asked)
        self.asked.append((method, path, answer.payload))
        if not (self.refuse and self.refuse(answer)):
            self._forward(answer, headers, asked)
            if self.change:
                self.change(answer)
        else:
            self._with_nonce(answer)
        return answer

    def _with_nonce(self, answer):
        """A refusal has a nonce, as every answer to a signed request."""
        fresh = Answer("HEAD", "/nonce-plz", b"")
        self._forward(fresh, {"Host": f"127.0.0.1:{self._server.server_port}"}, b"")
        for name, value in fresh.headers:
            if name.lower() == "replay-nonce":
                answer.header(name, value)

    def _handler(self):
        meddler = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self):
                asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                try:
                    answer = meddler._answer(self.command, self.path, self.headers, asked)
                except Exception as error:  # for the test to raise
                    meddler.error = error
                    raise
                self.send_response(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

            do_GET = do_HEAD = do_POST = _any

            def log_message(self, *_):
                """Not on the tests' output."""

        return Handler

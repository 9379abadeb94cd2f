"""A resolver's HTTPS front (RFC 8484): relays questions to a resolver of the
bed, by GET and POST."""

import base64
import http.server
import ssl
import threading
import urllib.parse

from . import dnswire
from .pki import OwnCa

TYPE = "application/dns-message"


class Doh:
    """`url` is what to configure, `ca_root` what to trust."""

    def __init__(self, bed, resolver_address):
        self.questions = []
        self._upstream = resolver_address
        self._ca = OwnCa(bed, "doh-ca")
        self.ca_root = self._ca.root
        certificate, key = self._ca.issue("doh", ["IP:127.0.0.1"])
        self._server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_port}/dns-query"
        threading.Thread(target=self._server.serve_forever,
                         daemon=True).start()
        bed.on_close(self._server.shutdown)

    def _handler(self):
        doh = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                query = urllib.parse.urlsplit(self.path).query
                text = urllib.parse.parse_qs(query).get("dns", [""])[0]
                self._relay(base64.urlsafe_b64decode(
                    text + "=" * (-len(text) % 4)))

            def do_POST(self):
                length = int(self.headers["Content-Length"])
                self._relay(self.rfile.read(length))

            def _relay(self, octets):
                question = dnswire.parse(octets).question[0]
                doh.questions.append((question[0].rstrip("."), question[1]))
                reply = dnswire.exchange_tcp(doh._upstream, octets, 5)
                self.send_response(200)
                self.send_header("Content-Type", TYPE)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_):
                """Not on the tests' output."""

        return Handler

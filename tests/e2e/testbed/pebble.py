"""Pebble, the ACME CA for tests, and what its log tells of requests."""

import json
import os
import re
import ssl
import time
import urllib.request

from .pki import OwnCa

REQUEST = re.compile(r"(GET|HEAD|POST|PUT|DELETE) (/\S*) -> calling handler")


class Pebble:
    """One Pebble with a certificate of our own CA for its HTTPS.

    reject_nonces and reuse_authz are percentages (Pebble still reuses about
    one valid authorization in a hundred at 0).  retry_after is None for no
    Retry-After at all, or (seconds for authorizations, for orders).
    eab_keys, name -> base64url key, makes external account binding required.
    profiles is name -> validity in seconds.
    stable is the version of Debian's stable release, for clients that stumble
    over challenges without a token (uacme 1.7).
    """

    def __init__(self, bed, resolver_address, *, reject_nonces=0,
                 reuse_authz=0, retry_after=None, strict=False, eab_keys=None,
                 profiles=None, always_valid=False, chain_length=1,
                 alternate_roots=0, blocked=(), key_algorithm="ecdsa",
                 stable=False):
        self.bed = bed
        self.folder = bed.new_folder("pebble")
        self.ca = OwnCa(bed)
        self.port = bed.port()
        self.management_port = bed.port()
        self.process = None
        self._strict = strict
        self._tool = "stable-pebble" if stable else "pebble"
        self._resolver = resolver_address
        self._env = dict(
            os.environ, PEBBLE_VA_NOSLEEP="1",
            PEBBLE_WFE_NONCEREJECT=str(reject_nonces),
            PEBBLE_AUTHZREUSE=str(reuse_authz),
            PEBBLE_CHAIN_LENGTH=str(chain_length),
            PEBBLE_ALTERNATE_ROOTS=str(alternate_roots),
            PEBBLE_VA_ALWAYS_VALID="1" if always_valid else "0")
        certificate, key = self.ca.issue(
            "pebble", ["DNS:localhost", "IP:127.0.0.1", "IP:::1"])
        self._config = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management_port}",
            "certificate": certificate, "privateKey": key,
            "httpPort": bed.port(), "tlsPort": bed.port(),
            "keyAlgorithm": key_algorithm,
            "domainBlocklist": list(blocked),
            "externalAccountBindingRequired": bool(eab_keys),
            "externalAccountMACKeys": eab_keys or {},
        }
        if retry_after:
            self._config["retryAfter"] = {"authz": retry_after[0],
                                          "order": retry_after[1]}
        if profiles:
            self._config["profiles"] = {
                name: {"description": f"profile {name}",
                       "validityPeriod": seconds}
                for name, seconds in profiles.items()}

    @property
    def directory(self):
        return f"https://127.0.0.1:{self.port}/dir"

    @property
    def ca_root(self):
        """The file to trust for Pebble's HTTPS."""
        return self.ca.root

    def start(self):
        path = os.path.join(self.folder, "config.json")
        with open(path, "w", encoding="ascii") as file:
            json.dump({"pebble": self._config}, file, indent=1)
        argv = [self.bed.tool(self._tool), "-config", path,
                "-dnsserver", f"{self._resolver}:53"]
        if self._strict:
            argv.append("-strict")
        self.process = self.bed.spawn("pebble", argv, self.folder,
                                      env=self._env, stamped=True)
        self.process.wait_ready(lambda: self.get(self.directory),
                                "answers its directory")
        self.process.wait_ready(lambda: self.manage("/roots/0"),
                                "answers on its management port")
        return self

    def stop(self):
        self.process.stop()

    def get(self, url, data=None):
        """An HTTPS GET, or a POST of data, trusting only the bed's CA;
        returns the octets."""
        context = ssl.create_default_context(cafile=self.ca.root)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=context))
        with opener.open(url, data=data, timeout=5) as reply:
            return reply.read()

    def manage(self, path):
        """A GET on the management port, e.g. /cert-status-by-serial/XX."""
        return self.get(f"https://127.0.0.1:{self.management_port}{path}")

    def set_window(self, certificate, start_s, end_s, explanation=None):
        """What Pebble answers when asked when to renew (RFC 9773): from now
        on, in seconds; certificate is a file."""
        now = time.time()
        answer = {"suggestedWindow": {
            name: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + offset))
            for name, offset in (("start", start_s), ("end", end_s))}}
        if explanation:
            answer["explanationURL"] = explanation
        with open(certificate, encoding="ascii") as file:
            pem = file.read()
        self.get(f"https://127.0.0.1:{self.management_port}/set-renewal-info/",
                 json.dumps({"Certificate": pem, "ARIResponse": json.dumps(answer)}).encode())

    def issuing_root(self, number=0):
        """The path of the root certificate that issued chains lead to."""
        path = os.path.join(self.folder, f"issuing-root-{number}.pem")
        with open(path, "wb") as file:
            file.write(self.manage(f"/roots/{number}"))
        return path

    # What the log tells.  Times are of time.monotonic().

    def mark(self):
        """A place in the log, to be given as `since`."""
        return len(self.process.lines)

    def requests(self, since=0):
        """(time, method, path) of the requests, without those by get().

        Resources with an identifier are shown as their folder: /authZ/.
        """
        found = []
        for stamp, line in self.process.lines[since:]:
            match = REQUEST.search(line)
            if match:
                found.append((stamp, match.group(1), match.group(2)))
        return found

    def count(self, path, method="POST", since=0):
        """How many requests there were of one kind, e.g. /chalZ/."""
        return sum(r[1:] == (method, path) for r in self.requests(since))

    def challenges_answered(self, since=0):
        """The times at which challenges were answered, in order."""
        return [r[0] for r in self.requests(since)
                if r[1:] == ("POST", "/chalZ/")]

    def issued(self, since=0):
        """How many certificates were issued."""
        return sum("Issued certificate serial" in line
                   for _, line in self.process.lines[since:])

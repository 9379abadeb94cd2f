"""A small CA of our own for HTTPS, and looks at certificates, by openssl."""

import os
import re


class OwnCa:
    """Signs server certificates; `root` is the file that clients trust."""

    def __init__(self, bed, name="https-ca"):
        self.bed = bed
        self.folder = bed.new_folder(name)
        self.root = os.path.join(self.folder, "root.pem")
        self._key = os.path.join(self.folder, "root.key")
        self._openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
            "-subj", "/CN=Test bed HTTPS root", "-keyout", self._key,
            "-out", self.root, "-addext", "basicConstraints=critical,CA:TRUE",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def _openssl(self, *arguments):
        return self.bed.run([self.bed.tool("openssl"), *arguments])

    def issue(self, name, alternatives):
        """A server certificate; returns the paths (certificate, key)."""
        base = os.path.join(self.folder, name)
        with open(base + ".ext", "w", encoding="ascii") as file:
            file.write(f"subjectAltName={','.join(alternatives)}\n"
                       "basicConstraints=CA:FALSE\n"
                       "extendedKeyUsage=serverAuth,clientAuth\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt",
                      "ec_paramgen_curve:P-256", "-nodes", "-subj",
                      f"/CN={name}", "-keyout", base + ".key",
                      "-out", base + ".csr")
        self._openssl("x509", "-req", "-in", base + ".csr", "-CA", self.root,
                      "-CAkey", self._key, "-days", "10", "-extfile",
                      base + ".ext", "-out", base + ".pem")
        return base + ".pem", base + ".key"


class Certificate:
    """What openssl says of the first certificate in a PEM file."""

    def __init__(self, bed, path):
        self.bed = bed
        self.path = path
        self._text = bed.run([bed.tool("openssl"), "x509", "-in", path,
                              "-noout", "-text", "-nameopt", "RFC2253"])

    def _field(self, pattern):
        found = re.search(pattern, self._text)
        return found.group(1).strip() if found else ""

    @property
    def names(self):
        """The DNS names of the certificate, sorted."""
        listed = self._field(r"Subject Alternative Name:[^\n]*\n\s*(.*)")
        return sorted(n.strip().removeprefix("DNS:")
                      for n in listed.split(",") if n.strip())

    @property
    def subject(self):
        return self._field(r"Subject:(.*)")

    @property
    def issuer(self):
        return self._field(r"Issuer:(.*)")

    @property
    def not_before(self):
        return self._field(r"Not Before *:(.*)")

    @property
    def not_after(self):
        return self._field(r"Not After *:(.*)")

    @property
    def serial(self):
        out = self.bed.run([self.bed.tool("openssl"), "x509", "-in",
                            self.path, "-noout", "-serial"])
        return out.strip().removeprefix("serial=")

    @property
    def key_type(self):
        """p256, p384, rsa2048 ..."""
        bits = self._field(r"Public-Key: \((\d+) bit\)")
        rsa = "rsaEncryption" in self._field(r"Public Key Algorithm:(.*)")
        return ("rsa" if rsa else "p") + bits

    def public_key(self):
        return self.bed.run([self.bed.tool("openssl"), "x509", "-in",
                             self.path, "-noout", "-pubkey"])

    def assert_key(self, key_path):
        """The private key in key_path belongs to this certificate."""
        public = self.bed.run([self.bed.tool("openssl"), "pkey", "-in",
                               key_path, "-pubout"])
        assert public == self.public_key(), (
            f"{key_path} is not the key of {self.path}")

    def assert_chains_to(self, root, chain=None):
        """The certificate verifies up to root, by the chain given, or by
        what else stands in its own file."""
        self.bed.run([self.bed.tool("openssl"), "verify", "-CAfile", root,
                      "-untrusted", chain or self.path, self.path])

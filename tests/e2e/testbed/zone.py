"""Zone data, and TSIG keys in BIND's key file form."""

import base64
import os
from dataclasses import dataclass, field


@dataclass
class NameServer:
    """A name server of a zone: its name and the addresses it has."""
    name: str
    addresses: list


@dataclass
class Zone:
    """What a zone holds when it is first loaded.

    `nameservers` go into the zone and into the delegation from its parent;
    `parent_nameservers`, if set, are what the parent says instead.  `mname`
    is by default the first name server.  `records` are lines in master file
    form, relative to the zone.
    """
    name: str
    nameservers: list = field(default_factory=list)
    records: list = field(default_factory=list)
    mname: str = ""
    ttl: int = 60
    minimum: int = 60
    serial: int = 1
    parent_nameservers: list = None

    def __post_init__(self):
        self.name = self.name.rstrip(".")

    @property
    def addresses(self):
        return [a for ns in self.nameservers for a in ns.addresses]

    def add_nameserver(self, *addresses, name=None):
        """Adds ns1, ns2 ... of this zone, or a server of another name."""
        if name is None:
            name = f"ns{len(self.nameservers) + 1}.{self.name}"
        self.nameservers.append(NameServer(name, list(addresses)))
        return name

    def glue(self, nameservers=None):
        """Address records of the name servers inside this zone."""
        inside = "." + self.name
        for ns in self.nameservers if nameservers is None else nameservers:
            if self.name and not ("." + ns.name).endswith(inside):
                continue
            for address in ns.addresses:
                rtype = "AAAA" if ":" in address else "A"
                yield f"{ns.name}. {self.ttl} IN {rtype} {address}"

    def text(self):
        """The zone as a master file."""
        mname = self.mname or (self.nameservers[0].name if self.nameservers
                               else f"ns1.{self.name}")
        lines = [
            f"$ORIGIN {self.name}.",
            f"$TTL {self.ttl}",
            f"@ IN SOA {mname.rstrip('.')}. hostmaster {self.serial} 3600 "
            f"600 86400 {self.minimum}",
        ]
        lines += [f"@ IN NS {ns.name}." for ns in self.nameservers]
        lines += self.glue()
        lines += self.records
        return "\n".join(lines) + "\n"

    def delegation(self):
        """The lines that its parent has: NS records and glue."""
        servers = (self.nameservers if self.parent_nameservers is None
                   else self.parent_nameservers)
        lines = [f"{self.name}. 60 IN NS {ns.name}." for ns in servers]
        return lines + list(self.glue(servers))


@dataclass
class TsigKey:
    """A shared secret; `path` is its file in BIND's form, mode 0600."""
    name: str
    algorithm: str
    secret: str
    path: str

    @classmethod
    def create(cls, folder, name, algorithm="hmac-sha256", secret=None,
               filename=None):
        if secret is None:
            secret = base64.b64encode(os.urandom(32)).decode()
        path = os.path.join(folder, filename or f"{name}.key")
        key = cls(name, algorithm, secret, path)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(key.statement())
        return key

    def statement(self):
        return (f'key "{self.name}" {{\n\talgorithm {self.algorithm};\n'
                f'\tsecret "{self.secret}";\n}};\n')

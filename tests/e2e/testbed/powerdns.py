"""PowerDNS as a primary that takes dynamic updates."""

import os
import secrets
import sqlite3

from . import dnswire
from .bed import MissingTool

SCHEMAS = ("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql",
           "/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql",
           "/usr/share/doc/pdns-backend-sqlite3/examples/schema.sqlite3.sql")


class PowerDns:
    """One pdns_server process with an SQLite database."""

    def __init__(self, bed, *, addresses=None, name="pdns"):
        self.bed = bed
        self.folder = bed.new_folder(name)
        self.name = os.path.basename(self.folder)
        self.addresses = addresses or [bed.address()]
        self.process = None
        self._names = []
        self._write_config()
        self._create_database()

    @property
    def address(self):
        return self.addresses[0]

    def _write_config(self):
        lines = [
            "launch=gsqlite3", f"gsqlite3-database={self.folder}/pdns.db",
            f"local-address={','.join(self.addresses)}", "local-port=53",
            f"socket-dir={self.folder}", "primary=yes", "dnsupdate=yes",
            "allow-dnsupdate-from=", "allow-axfr-ips=127.0.0.0/8",
            f"query-local-address={self.address}", "only-notify=",
            "cache-ttl=0", "query-cache-ttl=0", "negquery-cache-ttl=0",
            "zone-cache-refresh-interval=0", "zone-metadata-cache-ttl=0",
            "receiver-threads=1", "distributor-threads=1", "retrieval-threads=1",
            "loglevel=5", "disable-syslog=yes", "write-pid=no", "guardian=no",
            "daemon=no", "security-poll-suffix=",
        ]
        with open(f"{self.folder}/pdns.conf", "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")

    def _create_database(self):
        schema = next((s for s in SCHEMAS if os.path.exists(s)), None)
        if schema is None:
            raise MissingTool("the schema of PowerDNS's SQLite backend is "
                              "missing; install the package "
                              "pdns-backend-sqlite3")
        database = sqlite3.connect(f"{self.folder}/pdns.db")
        with open(schema, encoding="utf-8") as file:
            database.executescript(file.read())
        database.close()

    def util(self, *arguments):
        """Runs pdnsutil on this server's database."""
        return self.bed.run([self.bed.tool("pdnsutil"),
                             f"--config-dir={self.folder}", *arguments])

    def primary(self, zone, *, key=None, secondaries=()):
        """Serves a zone; KEY may change everything in it, as PowerDNS has
        no finer grain."""
        path = os.path.join(self.folder, f"{zone.name}.zone")
        with open(path, "w", encoding="ascii") as file:
            file.write(zone.text())
        self.util("load-zone", zone.name, path)
        self.util("set-kind", zone.name, "primary")
        if key:
            self.util("import-tsig-key", key.name, key.algorithm, key.secret)
            self.util("set-meta", zone.name, "TSIG-ALLOW-DNSUPDATE", key.name)
            self.util("set-meta", zone.name, "ALLOW-DNSUPDATE-FROM",
                      "127.0.0.0/8")
            self.util("set-meta", zone.name, "NOTIFY-DNSUPDATE", "1")
            self.util("set-meta", zone.name, "SOA-EDIT-DNSUPDATE", "INCREASE")
        if secondaries:
            self.util("set-meta", zone.name, "ALSO-NOTIFY", *secondaries)
        self._names.append(zone.name)

    def start(self):
        argv = [self.bed.tool("pdns_server"), f"--config-dir={self.folder}"]
        self.process = self.bed.spawn(self.name, argv, self.folder)
        self.process.wait_ready(self._serves_all, "serves its zones")
        return self

    def _serves_all(self):
        return all(self.soa_serial(name) is not None for name in self._names)

    def soa_serial(self, zone):
        return dnswire.serial(self.address, zone, timeout_s=0.5)

    def stop(self):
        self.process.stop()


class PowerDnsWithApi(PowerDns):
    """The same with its HTTP API, on loopback, at `url`, with `api_key`."""

    def __init__(self, bed, **options):
        self.api_key = secrets.token_hex(16)
        self.port = bed.port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__(bed, **options)
        with open(f"{self.folder}/pdns.conf", "a", encoding="ascii") as file:
            file.write("webserver=yes\nwebserver-address=127.0.0.1\n"
                       f"webserver-port={self.port}\napi=yes\napi-key={self.api_key}\n")

    def provider(self, name="pdns", **more):
        key = self.bed.write(f"secrets/{self.name}.key", self.api_key, mode=0o600)
        return {"name": name, "type": "powerdns", "endpoint": self.url, "key_file": key, **more}

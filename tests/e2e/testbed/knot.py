"""Knot DNS as a primary or a secondary."""

import os

from . import dnswire


class Knot:
    """One knotd process.  Add zones, then start()."""

    def __init__(self, bed, *, addresses=None, name="knot"):
        self.bed = bed
        self.folder = bed.new_folder(name)
        self.name = os.path.basename(self.folder)
        self.addresses = addresses or [bed.address()]
        self.process = None
        self._keys, self._remotes, self._acls, self._zones = {}, {}, [], []
        self._names = []

    @property
    def address(self):
        return self.addresses[0]

    def primary(self, zone, *, key=None, owners=None, secondaries=()):
        """Serves a zone.  `owners` are the names that KEY may change TXT
        records of, relative to the zone; None allows every name."""
        path = os.path.join(self.folder, f"{zone.name}.zone")
        with open(path, "w", encoding="ascii") as file:
            file.write(zone.text())
        acls = [self._transfer_acl()]
        if key:
            acls.append(self._update_acl(zone, key, owners))
        lines = [f"domain: {zone.name}", f"file: {path}",
                 "zonefile-sync: -1", "zonefile-load: difference",
                 "journal-content: all"]
        if secondaries:
            lines.append(f"notify: [{', '.join(map(self._remote, secondaries))}]")
        self._add(zone.name, lines, acls)

    def secondary(self, zone, primary):
        """Transfers a zone from the address `primary`."""
        acl = f"notify-{len(self._acls)}"
        self._acls.append([f"id: {acl}", "address: 127.0.0.0/8",
                           "action: notify"])
        lines = [f"domain: {zone.name}", f"master: {self._remote(primary)}",
                 f"file: {self.folder}/{zone.name}.copy"]
        self._add(zone.name, lines, [acl, self._transfer_acl()])

    def _update_acl(self, zone, key, owners):
        self._keys[key.name] = key
        acl = [f"id: update-{zone.name}", f"key: {key.name}",
               "action: update", "update-type: [TXT]"]
        if owners is not None:
            acl += ["update-owner: name", "update-owner-match: equal",
                    f"update-owner-name: [{', '.join(owners)}]"]
        self._acls.append(acl)
        return f"update-{zone.name}"

    def _transfer_acl(self):
        acl = ["id: transfer", "address: 127.0.0.0/8", "action: transfer"]
        if acl not in self._acls:
            self._acls.append(acl)
        return "transfer"

    def _remote(self, address):
        name = "remote-" + address.replace(".", "-").replace(":", "-")
        self._remotes[name] = [f"id: {name}", f"address: {address}@53",
                               f"via: {self.address}"]
        return name

    def _add(self, name, lines, acls):
        self._zones.append(lines + [f"acl: [{', '.join(acls)}]"])
        self._names.append(name)

    def config(self):
        server = ["rundir: " + self.folder] + [
            f"listen: {a}@53" for a in self.addresses]
        server += ["udp-workers: 1", "tcp-workers: 1", "background-workers: 1"]
        parts = ["server:\n    " + "\n    ".join(server),
                 f"database:\n    storage: {self.folder}/db",
                 "log:\n  - target: stderr\n    any: info"]
        keys = [[f"id: {k.name}", f"algorithm: {k.algorithm}",
                 f"secret: {k.secret}"] for k in self._keys.values()]
        for section, items in (("key", keys),
                               ("remote", list(self._remotes.values())),
                               ("acl", self._acls), ("zone", self._zones)):
            if items:
                parts.append(f"{section}:\n" + "\n".join(
                    "  - " + "\n    ".join(item) for item in items))
        return "\n".join(parts) + "\n"

    def start(self):
        os.makedirs(f"{self.folder}/db", exist_ok=True)
        path = os.path.join(self.folder, "knot.conf")
        with open(path, "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(self.config())
        argv = [self.bed.tool("knotd"), "-c", path]
        self.process = self.bed.spawn(self.name, argv, self.folder)
        self.process.wait_ready(self._serves_all, "serves its zones")
        return self

    def _serves_all(self):
        return all(self.soa_serial(name) is not None for name in self._names)

    def soa_serial(self, zone):
        return dnswire.serial(self.address, zone, timeout_s=0.5)

    def stop(self):
        self.process.stop()

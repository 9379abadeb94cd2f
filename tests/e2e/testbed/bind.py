"""BIND as a primary or a secondary, with views if wanted."""

import os
import subprocess

from . import dnswire
from .zone import TsigKey

# What BIND sends NOTIFY by, unless a test wants to measure its defaults:
# 20 a second (the second one 500 ms after the first) and a zone at most
# every 5 s.
FAST_NOTIFY = ("notify-rate 1000;", "notify-delay 0;")


def quote(text):
    return f'"{text}"'


class Bind:
    """One named process.  Add zones, then start()."""

    def __init__(self, bed, *, addresses=None, name="bind",
                 default_notify=False, options=()):
        self.bed = bed
        self.folder = bed.new_folder(name)
        self.name = os.path.basename(self.folder)
        self.addresses = addresses or [bed.address()]
        self.options = list(options)
        if not default_notify:
            self.options += FAST_NOTIFY
        self.process = None
        self._keys = {}
        self._views = {"": []}  # view -> zone statements
        self._view_keys = {}
        self._zones = []

    @property
    def address(self):
        return self.addresses[0]

    def view(self, name, *keys):
        """Declares a view for those who sign with one of the keys; without
        keys it is for everybody else.  Views match in this order."""
        self._views[name] = []
        self._view_keys[name] = [k.name for k in keys]
        for key in keys:
            self.key(key)

    def key(self, key):
        self._keys[key.name] = key

    def primary(self, zone, *, key=None, policy=None, secondaries=(),
                view=""):
        """Serves a zone.  `policy` has update-policy rules without "grant
        KEY"; by default KEY may change any TXT record of the zone."""
        folder = os.path.join(self.folder, view) if view else self.folder
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"{zone.name}.zone")
        with open(path, "w", encoding="ascii") as file:
            file.write(zone.text())
        lines = ["type primary;", f"file {quote(path)};", "notify explicit;"]
        if secondaries:
            lines.append("also-notify { %s };" % "".join(
                f"{a}; " for a in secondaries))
        if key:
            self.key(key)
            rules = ["zonesub TXT"] if policy is None else policy
            lines.append("update-policy { %s };" % "".join(
                f"grant {quote(key.name)} {rule}; " for rule in rules))
        self._add(zone.name, lines, view)

    def secondary(self, zone, primary, *, key=None, view="", notifiers=()):
        """Transfers a zone from the address `primary`, signed if `key` is
        given; `notifiers` may send NOTIFY besides."""
        source = primary
        if key:
            self.key(key)
            source = f"{primary} key {quote(key.name)}"
        path = os.path.join(self.folder, f"{view}{zone.name}.copy")
        lines = ["type secondary;", f"primaries {{ {source}; }};",
                 f"file {quote(path)};", "notify no;"]
        if notifiers:
            lines.append("allow-notify { %s };" % "".join(
                f"{a}; " for a in notifiers))
        self._add(zone.name, lines, view)

    def _add(self, name, lines, view):
        self._views[view].append(
            f"zone {quote(name)} {{\n\t" + "\n\t".join(lines) + "\n};")
        self._zones.append((name, view))

    def _options(self):
        v4 = [a for a in self.addresses if ":" not in a]
        v6 = [a for a in self.addresses if ":" in a]
        lines = [
            f"directory {quote(self.folder)};",
            f"managed-keys-directory {quote(self.folder)};",
            "pid-file none;", "session-keyfile none;",
            "listen-on { %s };" % "".join(f"{a}; " for a in v4 or ["none"]),
            "listen-on-v6 { %s };" % "".join(f"{a}; " for a in v6 or ["none"]),
            "recursion no;", "dnssec-validation no;",
            "empty-zones-enable no;", "allow-transfer { any; };",
            "minimal-responses yes;",
        ]
        if v4:
            lines += [f"notify-source {v4[0]};", f"transfer-source {v4[0]};",
                      f"query-source address {v4[0]};"]
        return lines + self.options

    def config(self):
        parts = ["options {\n\t" + "\n\t".join(self._options()) + "\n};",
                 "controls { };"]
        parts += [k.statement() for k in self._keys.values()]
        for view, zones in self._views.items():
            if view:
                keys = self._view_keys[view]
                clients = [f"key {quote(k)}" for k in keys] or ["any"]
                parts.append(f"view {quote(view)} {{\n\tmatch-clients {{ "
                             + "".join(f"{c}; " for c in clients) + "};")
            parts += zones
            if view:
                parts.append("};")
        return "\n".join(parts) + "\n"

    def start(self):
        path = os.path.join(self.folder, "named.conf")
        with open(path, "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(self.config())
        argv = [self.bed.private_tool("named"), "-g", "-n", "1", "-c", path]
        self.process = self.bed.spawn(self.name, argv, self.folder)
        self.process.wait_ready(self._serves_all, "serves its zones")
        return self

    def _serves_all(self):
        seen = {zone: self.soa_serial(zone, view)
                for zone, view in self._zones}
        return all(number is not None for number in seen.values())

    def soa_serial(self, zone, view=""):
        """The serial of a zone here, asked as the view's own clients do."""
        keys = self._view_keys.get(view)
        if keys:
            return dig_serial(self.bed, self.address, zone,
                              self._keys[keys[0]])
        return dnswire.serial(self.address, zone, timeout_s=0.5)

    def stop(self):
        self.process.stop()


def dig_serial(bed, server, zone, key: TsigKey):
    """A signed question for a zone's serial; None when there is none yet."""
    done = subprocess.run(
        [bed.tool("dig"), "+short", "+tries=1", "+time=1", "-k", key.path,
         f"@{server}", zone, "SOA"], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False)
    words = done.stdout.split()
    return int(words[2]) if len(words) == 7 and words[2].isdigit() else None

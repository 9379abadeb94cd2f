"""What the tests of deployment share: a host whose configuration changes."""

import os
import stat

from .config import account, certificate, rfc2136, write_config, zone
from .recorder import Recorder

NAMES = ("*.example.com", "example.com")
DEPLOY_FAILED = 12


class Host:
    """A site, a CA, and a configuration that can be written anew."""

    def __init__(self, bed):
        self.bed = bed
        self.site, self.pebble = bed.site(secondaries=()), bed.pebble()
        self.recorder = Recorder(bed)
        self.conf = None

    def configure(self, *commands, export=(), more=None, **settings):
        settings.update({"deploy": [list(c) for c in commands],
                         "export": list(export)})
        self.conf = write_config(
            self.bed, accounts=[account(self.pebble)],
            providers=[rfc2136(self.site)],
            zones=[zone(z.name) for z in self.site.zones],
            certificates=[certificate(*NAMES, **settings)], **(more or {}))
        return self

    def issue(self, *more, **options):
        return self.bed.dns01("issue", "-c", self.conf, *more, **options)

    def deploy(self, *more, **options):
        return self.bed.dns01("deploy", "-c", self.conf, *more, **options)

    def runs(self):
        """The first words of what ran, and it is forgotten."""
        words = [" ".join(r["argv"]) for r in self.recorder.runs()]
        if words:
            os.unlink(self.recorder.log)
        return words

    def cert(self, lineage="test"):
        with open(self.bed.current(lineage) + "/cert.pem", "rb") as file:
            return file.read()


def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def mode(*path):
    return stat.S_IMODE(os.stat(os.path.join(*path)).st_mode)

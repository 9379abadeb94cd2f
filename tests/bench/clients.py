"""The clients that are measured: for each, how it is set up on the bed and the
command by which it gets one certificate with an account it already has."""

import json
import os
import shlex
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


class Client:
    """One client, tuned one way, against one CA and one site.

    `start(names)` starts an order.
    """
    title = ""
    registers_first = True  # set_up() makes the account
    stable_ca = False       # asks the CA of Debian's stable release

    def __init__(self, bed, pebble, site):
        self.bed, self.pebble, self.site = bed, pebble, site
        self.folder = bed.new_folder("client")
        self._numbers = 0
        self.set_up()

    def set_up(self):
        """Makes what an administrator makes once."""

    def command(self, names, lineage):
        """(arguments, environment) of one order."""
        raise NotImplementedError

    def start(self, names):
        self._numbers += 1
        argv, env = self.command(names, f"bench{self._numbers}")
        return self._start(argv, env=env)

    def _start(self, argv, env=None):
        """By time(1): what the kernel says of our own child's peak memory
        counts this interpreter's, from which it was forked."""
        return self.bed.start(
            [self.bed.tool("time"), "-f", "%M", "-o", self._peak_path(),
             *argv], env=env, name="client")

    def _peak_path(self):
        return os.path.join(self.folder, "peak")

    def peak_kib(self):
        """Of the largest process of the last order."""
        with open(self._peak_path(), encoding="ascii") as file:
            return int(file.read().split()[-1])

    def seconds(self, result):
        return result.seconds

    def _write(self, name, text, mode=0o600):
        path = os.path.join(self.folder, name)
        return self.bed.write(os.path.relpath(path, self.bed.dir), text, mode)


class Floor(Client):
    title = "floor"

    def start(self, names):
        job = {"directory": self.pebble.directory,
               "ca_root": self.pebble.ca_root, "account": self.folder,
               "names": list(names), "zone": self.site.zones[0].name,
               "server": self.site.address,
               "nameservers": self.site.nameservers,
               "key_name": self.site.key.name,
               "secret": self.site.key.secret}
        path = self._write("job.json", json.dumps(job))
        script = os.path.join(HERE, "floor.py")
        return self._start(
            ["/bin/sh", "-c", f"exec {shlex.quote(sys.executable)} -B "
             f"{shlex.quote(script)} <{shlex.quote(path)}"])

    def seconds(self, result):
        """Without the start of the interpreter."""
        return json.loads(result.out)["seconds"]


class Dns01(Client):
    title = "dns01"

    def command(self, names, lineage):
        argv = [self.bed.tool("dns01")] + self.bed.issue_arguments(
            self.pebble, self.site, *names, lineage=lineage,
            state=self.folder)
        return argv, {}


class Certbot(Client):
    """Its plug-in waits a fixed time, whatever the name servers show."""
    title = "certbot, tuned to wait 6 s"
    registers_first = False
    wait = ["--dns-rfc2136-propagation-seconds", "6"]

    def set_up(self):
        key = self.site.key
        self._credentials = self._write("rfc2136.ini", (
            f"dns_rfc2136_server = {self.site.address}\n"
            f"dns_rfc2136_name = {key.name}.\n"
            f"dns_rfc2136_secret = {key.secret}\n"
            f"dns_rfc2136_algorithm = {key.algorithm.upper()}\n"))

    def command(self, names, lineage):
        argv = [self.bed.tool("certbot"), "certonly", "-n", "--agree-tos",
                "--register-unsafely-without-email", "--server",
                self.pebble.directory, "--cert-name", lineage,
                "--dns-rfc2136", "--dns-rfc2136-credentials",
                self._credentials, *self.wait]
        for part in ("config", "work", "logs"):
            argv += [f"--{part}-dir", os.path.join(self.folder, part)]
        for name in names:
            argv += ["-d", name]
        return argv, {"REQUESTS_CA_BUNDLE": self.pebble.ca_root}


class CertbotDefault(Certbot):
    title = "certbot, default"
    wait = []


class Lego(Client):
    title = "lego, tuned: interval and sequence 1 s"
    registers_first = False
    tuning = {"RFC2136_POLLING_INTERVAL": "1",
              "RFC2136_SEQUENCE_INTERVAL": "1"}

    def command(self, names, lineage):
        argv = [self.bed.tool("lego"), "--server", self.pebble.directory,
                "--accept-tos", "--email", "admin@example.com", "--path",
                self.folder, "--dns", "rfc2136", "--dns.resolvers",
                f"{self.bed.resolver().address}:53"]
        for name in names:
            argv += ["--domains", name]
        key = self.site.key
        env = {"LEGO_CA_CERTIFICATES": self.pebble.ca_root,
               "RFC2136_NAMESERVER": f"{self.site.address}:53",
               "RFC2136_TSIG_KEY": key.name,
               "RFC2136_TSIG_ALGORITHM": f"{key.algorithm}.",
               "RFC2136_TSIG_SECRET": key.secret, **self.tuning}
        return argv + ["run"], env


class LegoDefault(Lego):
    title = "lego, default"
    tuning = {}


class Uacme(Client):
    """With the hook that comes with it, which has no setting for a key but
    its own text."""
    title = "uacme, its nsupdate hook"
    stable_ca = True  # it stumbles over the newest one's challenges
    shipped = "/usr/share/uacme/nsupdate.sh"

    def set_up(self):
        with open(self.shipped, encoding="utf-8") as file:
            text = file.read()
        text = text.replace("\nRNDC_KEY_NSUPDATE=\n",
                            f"\nRNDC_KEY_NSUPDATE={self.site.key.path}\n")
        self._hook = self._write("hook", text, 0o700)
        self._run("-y", "new", "admin@example.com")

    def _run(self, *arguments):
        argv, env = self._argv(*arguments)
        self.bed.start(argv, env=env).wait(60).assert_ok()

    def _argv(self, *arguments):
        return ([self.bed.tool("uacme"), "-a", self.pebble.directory, "-c",
                 self.folder, "-t", "EC", *arguments], {})

    def command(self, names, lineage):
        return self._argv("-f", "-o", "-h", self._hook, "issue", *names)


class Dehydrated(Client):
    title = "dehydrated, nsupdate hook"
    chain = "no"

    def set_up(self):
        self._config = self._write("config", (
            f'CA="{self.pebble.directory}"\nCHALLENGETYPE="dns-01"\n'
            f'BASEDIR="{self.folder}"\nKEY_ALGO=prime256v1\n'
            f'HOOK="{HERE}/hooks/dehydrated"\nHOOK_CHAIN="{self.chain}"\n'))
        argv, env = self._argv("--register", "--accept-terms")
        self.bed.start(argv, env=env).wait(60).assert_ok()

    def _argv(self, *arguments):
        env = {"CURL_CA_BUNDLE": self.pebble.ca_root,
               "BENCH_KEY": self.site.key.path,
               "BENCH_SERVER": self.site.address,
               "BENCH_NAMESERVERS": " ".join(self.site.nameservers)}
        return ([self.bed.tool("dehydrated"), "-f", self._config,
                 *arguments], env)

    def command(self, names, lineage):
        path = self._write(f"{lineage}.txt",
                           " ".join(names) + f" > {lineage}\n")
        return self._argv("-c", "-x", "--domains-txt", path)


class DehydratedChained(Dehydrated):
    title = "dehydrated, HOOK_CHAIN"
    chain = "yes"

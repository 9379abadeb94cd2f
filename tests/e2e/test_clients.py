"""Unmodified ACME clients, of Debian and the newest, through the broker: each
gets a wildcard and the apex from Pebble, and leaves nothing in the zone."""

import json
import os

from testbed import dnswire, namespace, time_limit, wait_until
from testbed.bed import TOP
from testbed.broker import Broker
from testbed.config import zone

NAME = "_acme-challenge.example.com"
NAMES = ("example.com", "*.example.com")
HOOKS = os.path.join(TOP, "contrib", "hooks")
WEB = {"name": "web", "names": ["example.com"], "wildcard": True}


class House:
    """A site, its broker, a CA, and a host that holds a token alone."""

    def __init__(self, bed, *, mname=None, stable_ca=False, listeners=None,
                 key=None, **client):
        self.bed = bed
        self.key = key or bed.key("host.example")
        self.site = bed.new_site("example.com", secondaries=("bind",))
        if mname:
            self.site.zone("example.com").mname = "primary.example.com"
            self.site.zone("example.com").records.append(
                f"primary A {mname}")
        self.bed.start_site(self.site)
        self.broker = Broker(bed, self.site, [
            dict(WEB, **client),
            dict(WEB, name="keyed", auth="tsig",
                 tsig_key_file=self.key.path)],
            listeners=listeners).start()
        self.pebble = bed.pebble(stable=stable_ca)
        os.makedirs(f"{bed.dir}/bin", exist_ok=True)
        os.symlink(bed.tool("dns01"), f"{bed.dir}/bin/dns01")
        self.env = {
            "DNS01_BROKER": self.broker.url() if "http" in self.broker.places
            else f"unix:{self.broker.socket}",
            "DNS01_TOKEN_FILE": self.broker.token_file("web"),
            "PATH": f"{bed.dir}/bin:{os.environ['PATH']}:/usr/sbin"}

    def run(self, argv, deadline_s=120, **env):
        return self.bed.start(argv, env={**self.env, **env},
                              name="client").wait(deadline_s)

    def issued(self, path):
        found = self.bed.certificate(path)
        assert found.names == sorted(NAMES), found.names
        found.assert_chains_to(self.pebble.issuing_root())

    def end(self, deadline_s=20):
        wait_until(lambda: not dnswire.txt_values(self.site.address, NAME),
                   "the values leave", deadline_s)
        self.broker.stop().assert_ok()
        self.site.assert_clean()

    # Clients

    def lego(self, tool, provider, **env):
        folder = self.bed.new_folder("lego")
        domains = [word for name in NAMES for word in ("--domains", name)]
        prefix = provider.upper().replace("-", "_")
        done = self.run(
            [self.bed.tool(tool), "--server", self.pebble.directory,
             "--accept-tos", "--email", "admin@example.com", "--path", folder,
             "--dns", provider, "--dns.resolvers",
             f"{self.bed.resolver().address}:53", *domains, "run"],
            LEGO_CA_CERTIFICATES=self.pebble.ca_root,
            **{f"{prefix}_POLLING_INTERVAL": "1",
               f"{prefix}_SEQUENCE_INTERVAL": "1", **env})
        if done.code == 0:
            self.issued(f"{folder}/certificates/example.com.crt")
        return done

    def dehydrated(self, tool, hook, chain="no", **env):
        folder = self.bed.new_folder("dehydrated")
        config = os.path.join(folder, "config")
        with open(config, "w", encoding="ascii") as file:
            file.write(f'CA="{self.pebble.directory}"\n'
                       f'CHALLENGETYPE="dns-01"\nBASEDIR="{folder}"\n'
                       f'HOOK="{hook}"\nHOOK_CHAIN="{chain}"\n'
                       'KEY_ALGO=prime256v1\n')
        with open(f"{folder}/domains.txt", "w", encoding="ascii") as file:
            file.write(" ".join(NAMES) + " > both\n")
        command = [self.bed.tool(tool), "-f", config]
        env["CURL_CA_BUNDLE"] = self.pebble.ca_root
        self.run([*command, "--register", "--accept-terms"],
                 **env).assert_ok()
        self.run([*command, "-c"], **env).assert_ok()
        self.issued(f"{folder}/certs/both/fullchain.pem")

    def uacme(self, hook, **env):
        namespace.bind_file(self.pebble.ca_root,
                            "/etc/ssl/certs/ca-certificates.crt")
        folder = self.bed.new_folder("uacme")
        command = [self.bed.tool("uacme"), "-a", self.pebble.directory, "-c",
                   folder, "-t", "EC", "-h", hook]
        self.run([*command, "-y", "new", "admin@example.com"],
                 **env).assert_ok()
        self.run([*command, "issue", *NAMES], **env).assert_ok()
        self.issued(f"{folder}/example.com/cert.pem")


# lego


def httpreq(bed, tool, **env):
    house = House(bed)
    house.lego(tool, "httpreq", HTTPREQ_ENDPOINT=house.broker.url(),
               HTTPREQ_USERNAME="web",
               HTTPREQ_PASSWORD=house.broker.token("web", "--as", "httpreq"),
               **env).assert_ok()
    house.end()


def test_debians_lego_httpreq(bed):
    httpreq(bed, "stable-lego")


def test_debians_lego_httpreq_raw(bed):
    httpreq(bed, "stable-lego", HTTPREQ_MODE="RAW")


def rfc2136(bed, tool):
    house = House(bed)
    house.lego(
        tool, "rfc2136",
        RFC2136_NAMESERVER=f"127.0.0.1:{house.broker.port('dns')}",
        RFC2136_TSIG_KEY=house.key.name + ".",
        RFC2136_TSIG_ALGORITHM="hmac-sha256.",
        RFC2136_TSIG_SECRET=house.key.secret).assert_ok()
    house.end()


def test_debians_lego_rfc2136(bed):
    rfc2136(bed, "stable-lego")


def lego_exec(bed, tool):
    house = House(bed)
    house.lego(tool, "exec", EXEC_PATH=f"{HOOKS}/lego").assert_ok()
    house.end()


def test_debians_lego_exec(bed):
    lego_exec(bed, "stable-lego")


def test_newest_lego_exec(bed):
    lego_exec(bed, "lego")


# dehydrated


def test_debians_dehydrated_without_a_chain(bed):
    house = House(bed)
    house.dehydrated("dehydrated", f"{HOOKS}/dehydrated")
    house.end()


def test_newest_dehydrated_with_a_chain(bed):
    house = House(bed)
    house.dehydrated("newest-dehydrated", f"{HOOKS}/dehydrated", chain="yes")
    house.end()


# nsupdate


def test_nsupdate_as_uacme_calls_it(bed):
    """The hook that comes with uacme: it asks the zone who the primary is,
    and what it finds there is the broker."""
    address = bed.address()
    house = House(bed, mname=address, stable_ca=True, listeners=[
        {"unix": f"{bed.dir}/broker.sock", "doors": ["api"]},
        {"dns": f"{address}:53", "doors": ["update"]}])
    with open("/usr/share/uacme/nsupdate.sh", encoding="utf-8") as file:
        text = file.read()
    assert "\nRNDC_KEY_NSUPDATE=\n" in text
    hook = bed.write("nsupdate.sh", text.replace(
        "\nRNDC_KEY_NSUPDATE=\n", f"\nRNDC_KEY_NSUPDATE={house.key.path}\n"),
        mode=0o755)
    os.chmod(hook, 0o755)
    house.uacme(hook)
    told = {(a["action"], a["verdict"]) for a in house.broker.audit()
            if a["door"] == "update"}
    assert {("publish", "granted"), ("remove", "granted")} <= told, told
    house.end()


# acme.sh


# A hook of dehydrated that does with our script what acme.sh's _findHook,
# issue() and _clearupdns do: it is sourced in a subshell from the folder
# dnsapi, its functions are looked for by name, the name is that of the record
# without a last dot, and acme.sh itself waits, as its _check_dns_entries.
ACME_SH = """#!/bin/sh
set -u
_info() { printf '%s\\n' "$*"; }
_err() { printf '%s\\n' "$*" >&2; }
_debug() { :; }
_exists() { command -v "$1" >/dev/null; }
_call() {
  (
    . "$ACME_HOME/dnsapi/dns_dns01.sh" || exit 1
    _exists "dns_dns01_$1" || exit 1
    "dns_dns01_$1" "$2" "$3"
  )
}
verb=$1
shift
case $verb in
deploy_challenge)
  while [ $# -ge 3 ]; do
    _call add "_acme-challenge.$1" "$3" || exit 1
    shift 3
  done
  ;;
clean_challenge)
  while [ $# -ge 3 ]; do
    _call rm "_acme-challenge.$1" "$3" || _err "not removed"
    shift 3
  done
  exit 0
  ;;
*)
  exit 0
  ;;
esac
for server in $ACME_SERVERS; do
  until [ "$(dig +short "@$server" _acme-challenge.example.com TXT |
             wc -l)" -ge 2 ]; do
    :
  done
done
"""


def test_acme_sh_by_its_contract(bed):
    house = House(bed)
    folder = f"{bed.dir}/acme.sh/dnsapi"
    os.makedirs(folder)
    os.symlink(f"{HOOKS}/dns_dns01.sh", f"{folder}/dns_dns01.sh")
    hook = bed.write("as-acme.sh", ACME_SH, mode=0o755)
    os.chmod(hook, 0o755)
    house.dehydrated("dehydrated", hook, chain="yes",
                     ACME_HOME=f"{bed.dir}/acme.sh",
                     ACME_SERVERS=" ".join(house.site.nameservers))
    doors = {a["door"] for a in house.broker.audit()
             if a["action"] == "publish"}
    assert doors == {"api"}, doors
    house.end()


# acme-dns

# As acme.sh's dns_acmedns asks, with curl's own Content-Type, and sees by the
# quoted value that it worked.  (lego's provider is in no Debian build of it.)
ACME_DNS = """#!/bin/sh
set -u
[ "$1" = deploy_challenge ] || exit 0
shift
while [ $# -ge 3 ]; do
  answer=$(curl -s -H "X-Api-User: $ACMEDNS_USERNAME" \\
                -H "X-Api-Key: $ACMEDNS_PASSWORD" \\
                -d '{"subdomain":"'"$ACMEDNS_SUBDOMAIN"'","txt":"'"$3"'"}' \\
                "$ACMEDNS_BASE_URL/update")
  case $answer in
  *"\\"$3\\""*) ;;
  *) printf 'refused: %s\\n' "$answer" >&2; exit 1 ;;
  esac
  shift 3
done
"""


@time_limit(240)
def test_acme_dns_as_acme_sh_speaks_it(bed):
    """What it published, which nobody removes, leaves with its lease."""
    house = House(bed, lease="1m")
    printed = house.broker.dns01("token", "new", "web", "--as", "acmedns",
                                 "--for", "example.com").assert_ok().out
    account = json.loads(printed.splitlines()[-1])["example.com"]
    hook = bed.write("as-acmedns.sh", ACME_DNS, mode=0o755)
    os.chmod(hook, 0o755)
    house.dehydrated(
        "dehydrated", hook, ACMEDNS_BASE_URL=house.broker.url(),
        ACMEDNS_USERNAME=account["username"],
        ACMEDNS_PASSWORD=account["password"],
        ACMEDNS_SUBDOMAIN=account["subdomain"])
    assert len(dnswire.txt_values(house.site.address, NAME)) == 2

    def left():
        return {a["value"]: a["time"] for a in house.broker.audit()
                if a["action"] == "retract"}

    wait_until(lambda: len(left()) == 2, "both leases are over", 90)
    until = {a["value"]: a["lease_until"] for a in house.broker.audit()
             if a["action"] == "publish"}
    assert all(when >= until[v] for v, when in left().items()), left()
    house.end()


# certbot, when its hook cannot publish


def test_certbot_learns_of_a_refusal_by_the_update_door(bed):
    """Its manual hook's exit status is not acted on, so the page of the hook
    recommends this door: a refusal ends the order before the CA is asked."""
    key = bed.key("stranger.example")
    house = House(bed, key=key)
    house.broker.write(clients=[
        dict(WEB, name="keyed", auth="tsig", tsig_key_file=key.path,
             names=["other.example.com"])], zones=[zone("example.com")])
    house.broker.command.signal(1)
    house.broker.command.wait_for(lambda c: "read again" in c.output(),
                                  "reload")
    credentials = bed.write(
        "rfc2136.ini", "dns_rfc2136_server = 127.0.0.1\n"
        f"dns_rfc2136_port = {house.broker.port('dns')}\n"
        f"dns_rfc2136_name = {key.name}.\n"
        f"dns_rfc2136_secret = {key.secret}\n"
        "dns_rfc2136_algorithm = HMAC-SHA256\n", mode=0o600)
    folders = [f"--{part}-dir={bed.dir}/certbot/{part}"
               for part in ("config", "work", "logs")]
    done = house.run(
        [bed.tool("certbot"), "certonly", "-n", "--agree-tos",
         "--register-unsafely-without-email", "--server",
         house.pebble.directory, "--dns-rfc2136",
         "--dns-rfc2136-credentials", credentials,
         "--dns-rfc2136-propagation-seconds", "1", *folders, "-d",
         "example.com"], REQUESTS_CA_BUNDLE=house.pebble.ca_root)
    done.assert_failed("REFUSED")
    assert not house.pebble.challenges_answered()
    house.end()

"""What README.md tells people to type and to configure, taken from its text."""

import os
import re
import shlex

from testbed import (Bind, Knot, NameServer, PowerDns, Zone, dnswire,
                     namespace, wait_until)
from testbed.bed import TOP

PRIMARY = "192.0.2.53"  # the README's, in the bed's own network
CLIENT = "192.0.2.10"
NAME = "_acme-challenge.example.com"


def blocks(after):
    """The indented blocks of the README that follow a text, in order."""
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as file:
        text = file.read()
    assert after in text, f"the README does not say {after!r}"
    found, lines = [], []
    for line in text[text.index(after):].splitlines() + ["end"]:
        if line.startswith("    ") or (lines and not line):
            lines.append(line[4:])
        elif lines:
            found.append("\n".join(lines).strip() + "\n")
            lines = []
    return found


class FromText:
    """A server whose configuration is its own, with the README's text for
    keys, access and zones."""
    text = ""

    def config(self):
        own = super().config()
        return own + self.text


class TextBind(FromText, Bind):
    pass


class TextKnot(FromText, Knot):
    def config(self):
        # Sections may not stand twice; those of the README are complete.
        own = super(FromText, self).config()
        return re.sub(r"(?ms)^(acl|zone|key):\n.*?(?=^\S|\Z)", "",
                      own) + self.text


class Place:
    """The README's places, below the bed's folder."""

    def __init__(self, bed):
        self.bed = bed
        namespace.add_addresses([PRIMARY, CLIENT])
        for folder in ("etc/dns01", "etc/bind", "var/lib/bind",
                       "var/lib/dns01"):
            os.makedirs(os.path.join(bed.dir, folder), exist_ok=True)
        groups = bed.write("etc/group", "root:x:0:\ndns01:x:53:\n")
        namespace.bind_file(groups, "/etc/group")
        self.zone = Zone("example.com", nameservers=[
            NameServer("ns1.example.com", [PRIMARY])])
        bed.hierarchy.delegate(self.zone)
        bed.resolver()

    def text(self, text):
        for folder in ("/etc/dns01/", "/etc/bind/", "/var/lib/bind/",
                       "/var/lib/dns01/"):
            text = text.replace(folder, self.bed.dir + folder)
        return text

    def make_key(self):
        """The README's commands; its secret."""
        self.bed.run(["/bin/sh", "-ec", self.text(
            blocks("Make a TSIG key")[0])])
        path = self.text("/etc/dns01/acme.key")
        assert os.stat(path).st_mode & 0o777 == 0o640
        assert os.stat(path).st_gid == 53
        with open(path, encoding="ascii") as file:
            text = file.read()
        self.bed.write("etc/bind/acme.key", text, 0o600)
        return re.search(r'secret "(.*)"', text).group(1)

    def run(self, command, *more):
        """A dns01 command of the README; `more` says what a test bed has
        and the world has not."""
        words = shlex.split(self.text(command).replace("\\\n", " "))
        assert words[0] == "dns01", command
        return self.bed.dns01(*words[1:2], *more, *words[2:])

    def probe(self):
        command = blocks("Then see whether it works")[0]
        result = self.run(command, "--state", self.text("/var/lib/dns01/"))
        result.assert_ok()
        assert "seen by every server" in result.out, result
        assert dnswire.txt_values(PRIMARY, NAME) == []


def start_bind(place):
    server = TextBind(place.bed, addresses=[PRIMARY])
    place.bed.write("var/lib/bind/example.com.zone", place.zone.text())
    server.text = place.text(blocks("**BIND**")[0])
    server._zones.append(("example.com", ""))
    return server.start()


def test_bind_as_the_readme_has_it_lets_dns01_in(bed):
    place = Place(bed)
    place.make_key()
    start_bind(place)
    place.probe()


def test_knot_as_the_readme_has_it_lets_dns01_in(bed):
    place = Place(bed)
    secret = place.make_key()
    server = TextKnot(bed, addresses=[PRIMARY])
    server.primary(place.zone)
    text = blocks("**Knot DNS**")[0].replace('"..."', f'"{secret}"')
    assert secret in text
    server.text = text + f"    file: {server.folder}/example.com.zone\n"
    server.start()
    place.probe()


def test_powerdns_as_the_readme_has_it_lets_dns01_in(bed):
    place = Place(bed)
    secret = place.make_key()
    target = Zone("acme.example.com", nameservers=[
        NameServer("ns1.example.com", [PRIMARY])])
    place.zone.records += [f"{NAME}. 60 IN CNAME {NAME.split('.')[0]}."
                           "acme.example.com.",
                           "acme 60 IN NS ns1"]
    server = PowerDns(bed, addresses=[PRIMARY])
    server.primary(place.zone)
    server.primary(target)
    # The README's server is asked from another host.
    commands = blocks("**PowerDNS**")[0].replace("'...'", f"'{secret}'")
    commands = commands.replace(CLIENT, PRIMARY)
    assert commands.count("pdnsutil") == 4
    for line in commands.splitlines():
        server.util(*shlex.split(line)[1:])
    server.start()
    place.probe()


def test_issue_as_the_readme_has_it_then_its_lineage_then_its_configuration(
        bed):
    place = Place(bed)
    place.make_key()
    start_bind(place)
    pebble = bed.pebble()
    state = place.text("/var/lib/dns01/")
    first, again, conf = blocks("## Get a certificate")[:3]
    first = first.replace(
        "https://acme-staging-v02.api.letsencrypt.org/directory",
        pebble.directory)
    place.run(first, "--ca-root", pebble.ca_root, "--state",
              state).assert_ok()
    place.run(again).assert_ok()
    bed.assert_issued(pebble, ["*.example.com", "example.com"],
                      lineage="example.com", state=state)
    assert pebble.issued() == 2
    conf = conf.replace(
        "https://acme-v02.api.letsencrypt.org/directory", pebble.directory)
    conf = conf.replace("agree_tos", f'ca_file = "{pebble.ca_root}";\n'
                        "        agree_tos")
    conf = conf.replace("/bin/systemctl", "/bin/echo")
    conf = conf.replace('group = "haproxy";', "")  # not on every host
    conf = conf.replace("/etc/haproxy/certs", os.path.dirname(
        bed.path("certs/edge.pem")))
    path = bed.write("etc/dns01/dns01.conf", f'state = "{state}";\n{conf}')
    bed.dns01("config", "check", "-c", path).assert_ok()
    bed.dns01("issue", "-c", path).assert_ok()
    bed.assert_issued(pebble, ["*.example.com", "example.com"],
                      lineage="edge", state=state)
    assert os.path.exists(bed.path("certs/edge.pem"))
    wait_until(lambda: not dnswire.txt_values(PRIMARY, NAME),
               "nothing is left")


def test_the_table_of_providers_is_that_of_the_program(bed):
    table = bed.dns01("providers", "--format", "markdown").assert_ok().out
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as file:
        assert f"\n{table}\n" in file.read(), (
            "README.md: put in what `dns01 providers --format markdown` prints")


def test_commands_for_a_bad_day(bed):
    """status and sweep, as the last part of "Get a certificate" has them."""
    place = Place(bed)
    for command in ("dns01 status", "dns01 sweep"):
        place.run(command, "--state",
                  place.text("/var/lib/dns01/")).assert_ok()


def test_the_broker_as_the_readme_has_it(bed):
    place = Place(bed)
    place.make_key()
    start_bind(place)
    conf = "".join([blocks("## Get a certificate")[2],
                    blocks("## One broker for all hosts")[0]])
    conf = conf.replace("/run/dns01/socket", f"{bed.dir}/socket")
    path = bed.write("etc/dns01/dns01.conf", "user = \"root\";\n"
                     f'state = "{place.text("/var/lib/dns01/")}";\n{conf}')
    serve = bed.start_dns01("serve", "-c", path)
    serve.wait_for(lambda c: "listening" in c.output(), "it listens")
    token = bed.dns01("token", "-c", path, "new", "web").assert_ok().out
    token = bed.write("web.token", token.splitlines()[-1] + "\n", 0o600)
    value = "x1oGyWqcWbtZ3Oqa9ulcQ6jcMGxbJnBWzlQw1rWoMsA"
    env = {"DNS01_BROKER": f"unix:{bed.dir}/socket",
           "DNS01_TOKEN_FILE": token}
    owner = "_acme-challenge.www.example.com"
    bed.dns01("hook", "getssl", "add", "www.example.com", value,
              env=env).assert_ok()
    assert dnswire.txt_values(PRIMARY, owner) == [value]
    told = bed.dns01("policy", "-c", path, "web", "www.example.com")
    assert "granted" in told.assert_ok().out
    bed.dns01("hook", "getssl", "del", "www.example.com", value,
              env=env).assert_ok()
    wait_until(lambda: not dnswire.txt_values(PRIMARY, owner), "it leaves")
    serve.signal(15)
    serve.wait().assert_ok()

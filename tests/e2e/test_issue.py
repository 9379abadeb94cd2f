"""dns01 issue by the flags that are documented, against Pebble and BIND."""

import json
import os
import pty
import select
import time

from testbed import Bind, Zone, time_limit
from testbed.command import clean_environment
from testbed.config import account, certificate, rfc2136, write_config, zone

NAME = "_acme-challenge.example.com"
NAMES = ("*.example.com", "example.com")
HTTPS_MAX = 14


def client_updates(wire, site):
    return [m for m in wire.updates(server=site.address)]


def test_the_documented_flags_leave_a_certificate(bed):
    site = bed.site()
    pebble = bed.pebble(reject_nonces=30)
    state = bed.path("somewhere/state")
    result = bed.dns01(
        "issue", "--ca", pebble.directory, "--ca-root", pebble.ca_root,
        "--agree-tos", "--state", state, "--provider", "rfc2136", "--set",
        f"server={site.address}:53", "--set",
        f"tsig_key_file={site.key.path}", "--name", "mine", *NAMES)
    result.assert_ok()
    bed.assert_issued(pebble, NAMES, lineage="mine", state=state)
    folder = f"{state}/certs/mine/current"
    assert sorted(os.listdir(folder)) == [
        "cert.pem", "chain.pem", "fullchain.pem", "lineage.conf",
        "privkey.pem"]
    assert os.path.islink(folder)
    assert os.stat(f"{folder}/privkey.pem").st_mode & 0o777 == 0o600
    assert os.stat(state).st_mode & 0o007 == 0
    for account_folder in os.listdir(f"{state}/accounts"):
        key = f"{state}/accounts/{account_folder}/account.key"
        assert os.stat(key).st_mode & 0o777 == 0o600
    assert "mine" in result.out and folder in result.out
    site.assert_clean()


def test_requests_connections_and_updates_are_few(bed):
    site = bed.site(secondaries=("bind",))
    pebble = bed.pebble()
    bed.issue(pebble, site, "first.example.com").assert_ok()
    wire, since = bed.watch_wire(), pebble.mark()
    result = bed.issue(pebble, site, *NAMES, lineage="second").assert_ok()
    asked = pebble.requests(since)
    assert len(asked) <= HTTPS_MAX, asked
    assert not any(r[2] == "/sign-me-up" for r in asked), "a second account"
    assert len(wire.connections(pebble.port)) == 1
    assert len(client_updates(wire, site)) == 2
    assert result.code == 0
    site.assert_clean()


def test_second_run_uses_the_account_and_a_new_version(bed):
    site = bed.site(secondaries=())
    pebble = bed.pebble()
    bed.issue(pebble, site, *NAMES).assert_ok()
    first = bed.assert_issued(pebble, NAMES).serial
    bed.issue(pebble, site, *NAMES).assert_ok()
    assert bed.assert_issued(pebble, NAMES).serial != first
    assert pebble.count("/sign-me-up") == 1
    assert sorted(v for v in os.listdir(f"{bed.state()}/certs/test")
                  if v.startswith("v")) == ["v0001", "v0002"]
    site.assert_clean()


def test_valid_authorizations_are_not_proven_again(bed):
    site = bed.site(secondaries=())
    pebble = bed.pebble(reuse_authz=100)
    bed.issue(pebble, site, *NAMES).assert_ok()
    wire, since = bed.watch_wire(), pebble.mark()
    bed.issue(pebble, site, *NAMES).assert_ok()
    assert pebble.count("/chalZ/", since=since) == 0
    assert client_updates(wire, site) == []
    bed.assert_issued(pebble, NAMES)


def test_some_valid_authorizations_prove_the_rest_alone(bed):
    site = bed.site(secondaries=())
    pebble = bed.pebble(reuse_authz=100)
    bed.issue(pebble, site, "example.com").assert_ok()
    since = pebble.mark()
    bed.issue(pebble, site, *NAMES).assert_ok()
    assert pebble.count("/chalZ/", since=since) == 1
    bed.assert_issued(pebble, NAMES)
    site.assert_clean()


def test_lineage_conf_repeats_the_certificate(bed):
    site = bed.site(secondaries=())
    pebble = bed.pebble()
    bed.issue(pebble, site, *NAMES, more=["--key", "p384"]).assert_ok()
    path = f"{bed.current()}/lineage.conf"
    with open(path, encoding="utf-8") as file:
        assert site.key.secret not in file.read()
    bed.dns01("issue", "-c", path).assert_ok()
    bed.dns01("issue", "-c", f"{bed.state()}/certs/test/lineage.conf"
              ).assert_ok()
    bed.assert_issued(pebble, NAMES, key_type="p384")
    assert pebble.issued() == 3
    site.assert_clean()


def _key_type(bed, kind):
    site = bed.site(secondaries=())
    pebble = bed.pebble()
    bed.issue(pebble, site, *NAMES, more=["--key", kind]).assert_ok()
    bed.assert_issued(pebble, NAMES, key_type=kind)
    site.assert_clean()


def test_key_p384(bed):
    _key_type(bed, "p384")


def test_key_rsa2048(bed):
    _key_type(bed, "rsa2048")


def test_key_rsa3072(bed):
    _key_type(bed, "rsa3072")


def test_key_rsa4096(bed):
    _key_type(bed, "rsa4096")


def test_account_keys_of_each_type(bed):
    site = bed.site(secondaries=())
    pebble = bed.pebble()
    kinds = ("p256", "p384", "rsa2048")
    conf = write_config(
        bed, accounts=[account(pebble) | {"name": kind, "key_type": kind}
                       for kind in kinds],
        providers=[rfc2136(site)], zones=[zone("example.com")],
        certificates=[certificate("example.com", lineage=kind, account=kind)
                      for kind in kinds])
    bed.dns01("issue", "-c", conf).assert_ok()
    for kind in kinds:
        bed.assert_issued(pebble, ["example.com"], lineage=kind)
    assert pebble.count("/sign-me-up") == 3
    site.assert_clean()


def test_external_account_binding(bed):
    site = bed.site(secondaries=())
    secret = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    pebble = bed.pebble(eab_keys={"kid-1": secret})
    bed.issue(pebble, site, *NAMES).assert_failed("--eab-kid",
                                                  "--eab-key-file")
    key = bed.write("eab.key", secret + "\n", 0o600)
    result = bed.issue(pebble, site, *NAMES, more=[
        "--eab-kid", "kid-1", "--eab-key-file", key]).assert_ok()
    assert secret not in result.out + result.err
    bed.assert_issued(pebble, NAMES)
    bed.issue(pebble, site, *NAMES).assert_ok()
    site.assert_clean()


def test_names_may_be_written_as_people_write_them(bed):
    site = bed.site("xn--bcher-kva.com", secondaries=())
    pebble = bed.pebble()
    bed.issue(pebble, site, "*.BÜCHER.com.", "bücher.com").assert_ok()
    bed.assert_issued(pebble, ["*.xn--bcher-kva.com", "xn--bcher-kva.com"])
    site.assert_clean()


def test_overlap_is_told_before_the_order(bed):
    site = bed.site(secondaries=())
    pebble = bed.pebble()
    bed.issue(pebble, site, "*.example.com", "www.example.com").assert_failed(
        "*.example.com", "www.example.com")
    assert pebble.count("/order-plz") == 0
    site.assert_clean()


def test_an_internal_ca_may_certify_any_name(bed):
    """A single label, a name below no public suffix, ten labels."""
    inside = Zone("corp")
    server = Bind(bed, name="primary")
    key = bed.key()
    inside.add_nameserver(server.address)
    server.primary(inside, key=key)
    server.start()
    bed.hierarchy.delegate(Zone("example.com"))
    deep = "a.b.c.d.e.f.g.h.i.corp"
    resolver = bed.extra_resolver(stubs={"corp": [server.address]})
    pebble = bed.pebble(resolver=resolver)
    result = bed.dns01(
        "issue", "--ca", pebble.directory, "--ca-root", pebble.ca_root,
        "--agree-tos", "--state", bed.state(), "--provider", "rfc2136",
        "--set", f"server={server.address}", "--set",
        f"tsig_key_file={key.path}", "--resolver", resolver.address, "--zone",
        "corp", "--server", server.address, "--name", "test", "printer.corp",
        deep)
    result.assert_ok()
    bed.assert_issued(pebble, ["printer.corp", deep])


def test_json_has_everything(bed):
    site = bed.site(secondaries=("bind",))
    pebble = bed.pebble()
    result = bed.issue(pebble, site, *NAMES, more=["--json"]).assert_ok()
    found = json.loads(result.out)["certificates"][0]
    assert found["issued"] is True and found["lineage"] == "test"
    assert sorted(found["names"]) == sorted(NAMES)
    assert found["folder"] == bed.current()
    assert found["https_requests"] <= HTTPS_MAX + 1  # it registers
    seen = {row["address"]: row for row in found["timeline"]}
    assert sorted(seen) == sorted(site.nameservers)
    for row in seen.values():
        assert row["state"] == "seen", row
        assert row["first_asked_ms"] <= row["seen_ms"], row
    assert result.err == "", result.err
    site.assert_clean()


def test_json_of_a_failure(bed):
    site = bed.site(secondaries=(), policy=["name other.example.com. TXT"])
    pebble = bed.pebble()
    result = bed.issue(pebble, site, *NAMES, more=["--json"])
    assert result.code == 77, result
    found = json.loads(result.out)["certificates"][0]
    assert found["issued"] is False
    assert "REFUSED" in found["error"]["text"], found
    site.assert_clean()


def test_without_a_terminal_each_line_is_an_event(bed):
    site = bed.site(secondaries=("bind",))
    pebble = bed.pebble()
    result = bed.issue(pebble, site, *NAMES).assert_ok()
    assert "\033" not in result.out + result.err
    for address in site.nameservers:
        assert any(address in line and "seen" in line
                   for line in result.err.splitlines()), result
    quiet = bed.issue(pebble, site, *NAMES, more=["--quiet"]).assert_ok()
    assert quiet.err == "", quiet


class Screen:
    """What a terminal shows in the end: cursor up and erase are all that is
    known."""

    def __init__(self):
        self.lines, self.at = [""], 0

    def feed(self, text):
        while text:
            if text.startswith("\033["):
                end = next(i for i, c in enumerate(text) if i > 1
                           and c.isalpha())
                self._control(text[2:end], text[end])
                text = text[end + 1:]
            else:
                self._put(text[0])
                text = text[1:]

    def _control(self, number, what):
        if what == "A":
            self.at -= int(number or 1)
            assert self.at >= 0, "the cursor leaves the screen"
        elif what == "K":
            self.lines[self.at] = self.lines[self.at][:self.column]

    column = 0

    def _put(self, char):
        if char == "\n":
            self.at += 1
            if self.at == len(self.lines):
                self.lines.append("")
        elif char == "\r":
            self.column = 0
        else:
            line = self.lines[self.at].ljust(self.column)
            self.lines[self.at] = (line[:self.column] + char
                                   + line[self.column + 1:])
            self.column += 1


def test_on_a_terminal_each_name_and_server_has_its_line(bed):
    site = bed.site(secondaries=("bind",))
    pebble = bed.pebble()
    argv = [bed.tool("dns01")] + bed.issue_arguments(pebble, site, *NAMES)
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(argv[0], argv, clean_environment(bed, TERM="xterm"))
    output, end = b"", time.monotonic() + 60
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            output += os.read(terminal, 65536)
        except OSError:
            break
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, output
    screen = Screen()
    screen.feed(output.decode())
    text = "\n".join(screen.lines)
    live = text[:text.index("test: issued")]
    for key in (NAME, *site.nameservers):
        rows = [line for line in live.splitlines() if f"{key} " in line]
        assert len(rows) == 1, (key, text)
        assert " s  " in rows[0], rows
    site.assert_clean()


def test_terms_are_agreed_to_by_the_operator_alone(bed):
    site = bed.site(secondaries=())
    pebble = bed.pebble()
    arguments = bed.issue_arguments(pebble, site, *NAMES)
    arguments.remove("--agree-tos")
    bed.dns01(*arguments).assert_failed("terms", "--agree-tos")
    assert pebble.count("/sign-me-up") == 0
    site.assert_clean()


def test_ca_that_is_not_trusted(bed):
    site = bed.site(secondaries=())
    pebble = bed.pebble()
    arguments = bed.issue_arguments(pebble, site, *NAMES)
    at = arguments.index("--ca-root")
    bed.dns01(*arguments[:at], *arguments[at + 2:]).assert_failed(
        "127.0.0.1", "certificate", "--ca-root", code=76)
    arguments[at + 1] = bed.path("nowhere.pem")
    bed.dns01(*arguments).assert_failed("nowhere.pem")


def test_ca_that_is_not_there_or_not_https(bed):
    site = bed.site(secondaries=())
    pebble = bed.pebble()
    arguments = bed.issue_arguments(pebble, site, *NAMES)
    at = arguments.index("--ca") + 1
    arguments[at] = f"https://127.0.0.1:{bed.port()}/dir"
    bed.dns01(*arguments).assert_failed("127.0.0.1", code=69)
    arguments[at] = pebble.directory.replace("https:", "http:")
    bed.dns01(*arguments).assert_failed("https")
    arguments[at] = pebble.directory.replace("/dir", "/nothing")
    bed.dns01(*arguments).assert_failed("404")
    site.assert_clean()


def test_retry_after_of_the_ca_is_obeyed(bed):
    site = bed.site(secondaries=())
    pebble = bed.pebble(retry_after=(1, 2))
    result = bed.issue(pebble, site, *NAMES).assert_ok()
    assert pebble.count("/my-order/") <= 4, pebble.requests()
    assert result.seconds > 1
    bed.assert_issued(pebble, NAMES)


def test_profile_is_asked_for(bed):
    site = bed.site(secondaries=())
    pebble = bed.pebble(profiles={"short": 518400, "long": 7776000})
    bed.issue(pebble, site, *NAMES, more=["--profile", "short"]).assert_ok()
    bed.issue(pebble, site, *NAMES, more=["--profile", "none"]).assert_failed(
        "none", "short")
    site.assert_clean()


@time_limit(180)
def test_a_hundred_names_over_three_zones(bed):
    site = bed.site("example.com", "example.net", "example.org",
                    secondaries=("bind", "nsd"))
    pebble = bed.pebble()
    bed.issue(pebble, site, "first.example.com").assert_ok()
    names = [f"h{n}.example.{('com', 'net', 'org')[n % 3]}"
             for n in range(100)]
    wire, since = bed.watch_wire(), pebble.mark()
    bed.issue(pebble, site, *names, lineage="many").assert_ok()
    bed.assert_issued(pebble, names, lineage="many")
    assert len(pebble.requests(since)) <= 2 * len(names) + 20
    assert len(wire.connections(pebble.port)) == 1
    for suffix in ("com", "net", "org"):
        assert len(wire.updates(name=f"example.{suffix}",
                                server=site.address)) == 2, suffix
    site.assert_clean()


def test_more_than_one_message_holds_is_split(bed):
    """120 names of more than 200 octets, twice in each UPDATE's record."""
    site = bed.site(secondaries=())
    pebble = bed.pebble()
    label = "a" * 60
    names = [f"h{n}.{label}.{label}.{label}.example.com" for n in range(120)]
    wire = bed.watch_wire()
    bed.issue(pebble, site, *names).assert_ok()
    sizes = [m.octets for m in client_updates(wire, site)]
    assert len(sizes) >= 2 and max(sizes) < 65535, sizes
    bed.assert_issued(pebble, names)
    site.assert_clean()

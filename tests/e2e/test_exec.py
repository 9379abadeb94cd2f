"""Providers exec and manual: programs of other people, and people."""

import os

from testbed import Bind, Zone, dnswire, wait_until
from testbed.bed import TOP
from testbed.broker import digest
from testbed.config import account, certificate, write_config, zone
from testbed.kerberos import Realm

NAME = "_acme-challenge.example.com"
NAMES = ("example.com", "*.example.com")

# As its documentation shows a program for lego's exec provider.
LEGO_PROGRAM = """#!/bin/sh
# written for lego
printf '%s\\n' "server {server}" "update $(
    case "$1" in
    present) echo "add $2 60 TXT \\"$3\\"" ;;
    cleanup) echo "delete $2 TXT \\"$3\\"" ;;
    *) exit 1 ;;
    esac)" send | nsupdate -k {key}
"""


def script(bed, text, name="program"):
    return bed.write(f"bin/{name}", text, mode=0o755)


def provider(program, *arguments, **more):
    return {"name": "own", "type": "exec", "command": [program, *arguments], **more}


def host(bed, settings, **more):
    """A configuration for one zone that the provider alone decides about."""
    return write_config(bed, providers=[settings],
                        zones=[zone("example.com", settings["name"], zone="example.com",
                                    alias="off", watch="provider", **more)])


def hook(bed, conf, verb, value, env=None):
    return bed.dns01("hook", "-c", conf, "getssl", verb, "example.com", value, env=env)


def issued_through(bed, site, settings, env=None):
    pebble = bed.pebble()
    site.update(f'add {NAME} 60 TXT "somebody-else"')
    conf = write_config(bed, accounts=[account(pebble)], providers=[settings],
                        zones=[zone("example.com", "own")], certificates=[certificate(*NAMES)])
    bed.dns01("issue", "-c", conf, env=env).assert_ok()
    bed.assert_issued(pebble, list(NAMES))
    site.assert_clean(expecting=[(NAME, "somebody-else")])


def test_a_program_written_for_lego_issues_a_certificate(bed):
    site = bed.site(secondaries=("bind",))
    program = script(bed, LEGO_PROGRAM.format(server=site.address, key=site.key.path))
    issued_through(bed, site, provider(program),
                   env={"PATH": f"{os.environ['PATH']}:/usr/sbin"})


def test_the_same_program_serves_lego(bed):
    """So that it is one that lego takes."""
    site = bed.site(secondaries=())
    pebble = bed.pebble()
    program = script(bed, LEGO_PROGRAM.format(server=site.address, key=site.key.path))
    bed.start(
        [bed.tool("lego"), "--server", pebble.directory, "--accept-tos", "--email",
         "admin@example.com", "--path", bed.new_folder("lego"), "--dns", "exec",
         "--dns.resolvers", f"{bed.resolver().address}:53", "--domains", "example.com", "run"],
        env={"LEGO_CA_CERTIFICATES": pebble.ca_root, "EXEC_PATH": program,
             "EXEC_POLLING_INTERVAL": "1",
             "PATH": f"{os.environ['PATH']}:/usr/sbin"}).wait(120).assert_ok()
    site.assert_clean()


def test_arguments_environment_and_order_are_as_documented(bed):
    log = f"{bed.dir}/calls"
    program = script(bed, '#!/bin/sh\necho "$*|$DNS01_ACTION|$DNS01_OWNER|$DNS01_VALUE|'
                     f'$DNS01_ZONE|$DNS01_TTL|$PLAIN|$HIDDEN|$INHERITED" >>{log}\n')
    secrets = bed.write("program.env", "# for the program\nHIDDEN=S3cretOfTheProgram\n", 0o600)
    conf = host(bed, provider(program, "first", environment=["PLAIN=a b"],
                              environment_file=secrets), ttl=120)
    value = digest()
    for verb in ("add", "del"):
        hook(bed, conf, verb, value, env={"INHERITED": "yes"}).assert_ok()
    with open(log, encoding="utf-8") as file:
        calls = file.read().splitlines()
    tail = "|a b|S3cretOfTheProgram|yes"
    assert calls == [
        f"first present {NAME}. {value}|publish|{NAME}|{value}|example.com|120{tail}",
        f"first cleanup {NAME}. {value}|retract|{NAME}|{value}|example.com|0{tail}"], calls


def test_what_its_end_means(bed):
    """77 and 78: nothing was changed, nothing is left to do. Others leave that open."""
    secrets = bed.write("program.env", "HIDDEN=S3cretOfTheProgram\n", 0o600)
    value = digest()
    for status, left in ((1, 1), (77, 0), (78, 0)):
        program = script(bed, "#!/bin/sh\necho something; echo why $HIDDEN >&2\n"
                         f"exit {status}\n", f"p{status}")
        conf = host(bed, provider(program, environment_file=secrets))
        failed = hook(bed, conf, "add", value)
        failed.assert_failed(program, f"exit status {status}", "why ***", NAME)
        assert "S3cret" not in failed.err + failed.out, failed
        shown = bed.dns01("status", "-c", conf).assert_ok().out
        assert shown.count(value) == left, (status, shown)
        script(bed, "#!/bin/sh\nexit 0\n", f"p{status}")
        bed.dns01("sweep", "-c", conf).assert_ok()
        assert value not in bed.dns01("status", "-c", conf).out


def test_a_program_that_hangs_or_is_missing(bed):
    slow = script(bed, "#!/bin/sh\nexec sleep 100\n", "slow")
    conf = host(bed, provider(slow, timeout="1s"))
    hook(bed, conf, "add", digest()).assert_failed(slow, "within 1s", "killed")
    conf = host(bed, provider(f"{bed.dir}/nowhere"))
    hook(bed, conf, "add", digest()).assert_failed(f"{bed.dir}/nowhere", "cannot be run")
    for settings, words in (
            (provider("relative"), ("whole path",)),
            (provider("/bin/true", environment=["no assignment"]), ("NAME=VALUE", "line 1")),
            (provider("/x/dns_y.sh", "more", style="acme.sh"), ("dns_NAME.sh", "environment"))):
        conf = host(bed, settings)
        hook(bed, conf, "add", digest()).assert_failed(*words)


# What dns_NAME.sh files stand on: acme.sh runs an argument that is no option in its own shell.
ACME_SH = """#!/usr/bin/env sh
_initpath() { [ -f "$HOME/account.conf" ] && . "$HOME/account.conf"; true; }
_info() { echo "$@"; }
_err() { echo "$@" >&2; }
_readaccountconf_mutable() { eval echo "\\$SAVED_$1"; }
main() { case "$1" in -*) exit 9 ;; *) "$@" ;; esac; }
main "$@"
"""
DNS_TEST_SH = """#!/usr/bin/env sh
# Usage: dns_test_add _acme-challenge.www.domain.com VALUE
dns_test_add() { _change "add $1 60 TXT \\"$2\\""; }
dns_test_rm() { _change "delete $1 TXT \\"$2\\""; }
_change() {
  _key=$(_readaccountconf_mutable TEST_KEY)
  [ "$_key" ] || { _err "TEST_KEY is not set"; return 1; }
  printf 'server %s\\nupdate %s\\nsend\\n' "$TEST_SERVER" "$1" | nsupdate -k "$_key"
}
"""


def test_a_dns_file_of_acme_sh_issues_a_certificate(bed):
    site = bed.site(secondaries=("bind",))
    acme_sh = script(bed, ACME_SH, "acme.sh")
    dns_sh = bed.write("dnsapi/dns_test.sh", DNS_TEST_SH)
    bed.write("home/account.conf", f"SAVED_TEST_KEY='{site.key.path}'\n", 0o600)
    issued_through(bed, site, provider(
        dns_sh, style="acme.sh", acme_sh=acme_sh, environment=[f"TEST_SERVER={site.address}"]),
        env={"PATH": f"{os.environ['PATH']}:/usr/sbin"})


def test_a_dns_file_of_acme_sh_that_fails_says_why(bed):
    conf = host(bed, provider(bed.write("dns_test.sh", DNS_TEST_SH), style="acme.sh",
                              acme_sh=script(bed, ACME_SH, "acme.sh")))
    hook(bed, conf, "add", digest()).assert_failed("TEST_KEY is not set", "exit status 1")


def test_active_directory_by_kerberos(bed):
    """contrib/exec/nsupdate-gss against a name server that takes Kerberos alone."""
    realm = Realm(bed).start()
    zone_of = Zone("corp.example.com")
    server = Bind(bed, name="ad")
    zone_of.add_nameserver(server.address, name="dc1.corp.example.com")
    keytab = realm.keytab("DNS/dc1.corp.example.com")
    os.chmod(keytab, 0o644)
    server.options.append(f'tkey-gssapi-keytab "{keytab}";')
    server.primary(zone_of)
    rule = (f'grant "dns01@{realm.name}" name _acme-challenge.corp.example.com. TXT;')
    server._views[""][0] = server._views[""][0].replace(
        "type primary;", f"type primary;\n\tupdate-policy {{ {rule} }};")
    os.environ.update(realm.env)
    server.start()
    bed.hierarchy.delegate(zone_of)
    pebble = bed.pebble()
    conf = write_config(
        bed, accounts=[account(pebble)],
        providers=[provider(
            os.path.join(TOP, "contrib/exec/nsupdate-gss"),
            environment=[f"GSS_PRINCIPAL=dns01@{realm.name}", "GSS_SERVER=dc1.corp.example.com",
                         f"GSS_KEYTAB={realm.keytab('dns01')}",
                         f"KRB5_CONFIG={realm.env['KRB5_CONFIG']}"])],
        zones=[zone("corp.example.com", "own")],
        certificates=[certificate("corp.example.com", "*.corp.example.com")])
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.assert_issued(pebble, ["corp.example.com", "*.corp.example.com"])
    assert dnswire.txt_values(server.address, "_acme-challenge.corp.example.com") == []
    # what the policy does not grant
    bed.dns01("probe", "-c", conf, "www.corp.example.com").assert_failed("REFUSED")


# manual


def test_a_person_creates_and_removes_the_records(bed):
    site = bed.site(secondaries=("bind",))
    pebble = bed.pebble()
    told = f"{bed.dir}/told"
    tell = script(bed, f"#!/bin/sh\ncat >>{told}\n", "tell")
    conf = write_config(
        bed, accounts=[account(pebble)],
        providers=[{"name": "by-hand", "type": "manual", "notify_command": [tell]}],
        zones=[zone("example.com", "by-hand")], certificates=[certificate(*NAMES)])
    run = bed.start_dns01("issue", "-c", conf)
    run.wait_for(lambda c: c.output().count(" IN TXT ") >= 2, "it says what to create")
    lines = [line.split() for line in run.output().splitlines() if " IN TXT " in line]
    assert [line[:4] for line in lines] == [[f"{NAME}.", "60", "IN", "TXT"]] * 2, lines
    assert not pebble.challenges_answered()
    for line in lines:
        site.update(f"add {' '.join(line[0:1] + line[1:2] + line[3:])}")
    result = run.wait().assert_ok()
    bed.assert_issued(pebble, list(NAMES))
    assert "Remove these TXT records" in result.err
    with open(told, encoding="utf-8") as file:
        text = file.read()
    assert text.count("Create these") == text.count("Remove these") == 1, text
    values = {line[4].strip('"') for line in lines}
    assert all(text.count(value) == 2 for value in values)
    wait_until(lambda: "in DNS" not in bed.dns01("status", "-c", conf).out, "nothing is held")

"""Every command as a person types it: what it prints, and how it ends."""

import glob
import json
import os
import pty
import re
import subprocess
import termios

from testbed import Behind
from testbed.bed import TOP
from testbed.config import (account, certificate, rfc2136, site_config,
                            write_config, zone)

NAME = "_acme-challenge.example.com"
NAMES = ("*.example.com", "example.com")
COMMANDS = ("issue", "probe", "retract", "sweep", "account", "revoke",
            "delete", "renew", "status", "providers", "config")
USAGE, ABSENT, CONFIG, IO = 64, 66, 78, 74


def _private(*secrets):
    """A check that none of the secrets is in a result."""
    def check(result):
        for secret in secrets:
            assert secret not in result.out + result.err, "a secret is shown"
        return result
    return check


# Help and usage


def test_help_of_every_command_is_printed_without_a_configuration(bed):
    for command in COMMANDS + ("keygen",):
        for flag in ("--help", "-h"):
            result = bed.dns01(command, flag).assert_ok()
            assert result.out.startswith(f"usage: dns01 {command} "), result
            assert "--json" in result.out and "Options:" in result.out
            assert not result.err


def test_help_lists_every_command_and_version_says_which_build(bed):
    for flag in ("--help", "-h", "help"):
        result = bed.dns01(flag).assert_ok()
        for command in COMMANDS:
            assert re.search(rf"^  {command} ", result.out, re.M), command
    for flag in ("--version", "-V"):
        assert re.fullmatch(r"dns01 \S+\n", bed.dns01(flag).assert_ok().out)


def test_help_has_the_options_that_the_manual_has(bed):
    with open(os.path.join(TOP, "cmd/dns01/dns01.1"),
              encoding="utf-8") as file:
        manual = set(re.findall(r"Fl -([a-z-]+)|, -([a-z-]+)", file.read()))
    documented = {a or b for a, b in manual}
    offered = set()
    for command in COMMANDS:
        offered |= set(re.findall(r"--([a-z][a-z-]+) ",
                                  bed.dns01(command, "--help").out))
    assert offered - documented == set()


def test_wrong_command_lines_say_what_to_type(bed):
    for words, said in (
            ((), "usage: dns01 COMMAND"),
            (("isue",), 'there is no command "isue"; `dns01 --help`'),
            (("--json", "status"), "options follow the command"),
            (("issue", "--bogus"), '`dns01 issue` has no option "--bogus"'),
            (("issue", "-x"), '`dns01 issue` has no option "-x"'),
            (("status", "--ca", "x"), "`dns01 status --help` lists them"),
            (("issue", "--set"), "--set needs a value: KEY=VALUE"),
            (("issue", "--quiet=no"), "or it takes no value"),
            (("probe",), "dns01 probe [OPTIONS] NAME"),
            (("probe", "a.example", "b.example"), "too many arguments"),
            (("retract",), "dns01 retract [OPTIONS] NAME [VALUE]"),
            (("retract", "a", "b", "c"), "too many arguments"),
            (("sweep", "everything"), "too many arguments"),
            (("status", "everything"), "too many arguments"),
            (("config",), "config [OPTIONS] check [FILE]"),
            (("config", "chekc"), "write dns01 config check, dump or manual"),
            (("keygen", "p257", "x"), "p256, p384, rsa2048"),
    ):
        result = bed.dns01(*words).assert_failed(said, code=USAGE)
        assert not result.out, result


def test_flags_that_do_not_fit_together_say_so(bed):
    state = bed.state()
    for words, said in (
            (("issue", "-c", "x", "--ca", "https://ca.example/"),
             "--ca and -c exclude each other"),
            (("issue", "--state", state, "--provider", "rfc2163", "a.example"),
             'there is no provider type "rfc2163"; `dns01 providers`'),
            (("probe", "--state", state, "--provider", "rfc2136", "--set",
              "server", "a.example"), "write --set KEY=VALUE"),
            (("probe", "--state", state, "--provider", "rfc2136", "--settle",
              "5", "--set", "server=192.0.2.1", "a.example"),
             "--settle 5 is not a duration"),
            (("issue", "--state", state), "nothing to issue: give names"),
            (("account", "--state", state, "show-me"),
             "write dns01 account show, register, update"),
            (("account", "--state", state, "register"), "--account NAME"),
    ):
        bed.dns01(*words).assert_failed(said, code=USAGE)


def test_flags_that_would_go_unheard_are_refused(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    for words, said in (
            (("--deadline", "30s"), "--deadline goes with --provider"),
            (("--alias", "off"), "--alias goes with --provider"),
            (("--resolver", "192.0.2.1"), "--resolver goes with --provider"),
            (("--agree-tos",), "--agree-tos goes with --ca"),
            (("--email", "a@example.com"), "--email goes with --ca"),
            (("--key", "p384"), "--key goes with DNS names"),
            (("--name", "other"), "--name goes with DNS names"),
            (("--account", "pebble", "test"), "--account goes with DNS"),
    ):
        bed.dns01("issue", "-c", conf, *words).assert_failed(
            said, code=USAGE)
    bed.dns01("probe", "--state", bed.state(), "--set", "server=192.0.2.1",
              "example.com").assert_failed("--set goes with --provider",
                                           code=USAGE)
    assert not pebble.count("/order-plz")
    site.assert_clean()


def test_settings_by_flags_are_checked_like_a_file(bed):
    for words, said in (
            (("--set", "servr=192.0.2.1"), "servr"),
            (("--set", "unsigned=true"), "server"),
            (("--set", "server=192.0.2.1", "--quorum", "most"), "quorum"),
            (("--set", "server=192.0.2.1", "--watch", "tv"), "watch"),
            (("--set", "server=192.0.2.1", "--alias", "a b"), "alias"),
    ):
        bed.dns01("probe", "--state", bed.state(), "--provider", "rfc2136",
                  *words, "a.example").assert_failed(said, code=CONFIG)


def test_without_a_configuration_it_says_where_it_looked(bed):
    env = {"XDG_CONFIG_HOME": bed.path("x/y")}
    result = bed.dns01("issue", env=env)
    result.assert_failed("there is no configuration", "-c", "dns01.conf(5)",
                         code=CONFIG)


def test_what_was_issued_by_flags_is_managed_without_a_configuration(bed):
    """By the usual state folder alone: root's, or that of a plain user."""
    site, pebble = bed.site(secondaries=()), bed.pebble()
    state = bed.path("xdg/dns01") if os.geteuid() else "/var/lib/dns01"
    env = {"XDG_STATE_HOME": os.path.dirname(state)}
    for path in ("/var/lib", "/etc/dns01"):
        if not os.geteuid() and os.path.exists(path):
            bed.run(["mount", "-t", "tmpfs", "tmpfs", path])
    bed.dns01("status", env=env).assert_failed("there is no configuration", code=3)
    bed.issue(pebble, site, *NAMES, state=state).assert_ok()
    assert "DNS01 OK: 1 certificate" in bed.dns01("status", env=env).assert_ok().out
    bed.dns01("sweep", env=env).assert_ok()
    bed.dns01("backup", bed.path("backup.tar"), env=env).assert_ok()
    bed.dns01("renew", env=env).assert_failed("there is no configuration", "lineage.conf",
                                              code=CONFIG)
    assert pebble.directory in bed.dns01("account", env=env).assert_ok().out
    bed.dns01("revoke", "test", env=env).assert_ok()
    bed.dns01("delete", "test", env=env).assert_ok()
    assert "DNS01 OK: 0 certificates" in bed.dns01("status", env=env).assert_ok().out


def test_output_that_cannot_be_written_is_an_error(bed):
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([bed.tool("dns01"), "config", "manual"],
                              stdout=full, stderr=subprocess.PIPE,
                              text=True, check=False)
    assert done.returncode == IO and "standard output" in done.stderr


# issue


def test_certificate_that_fails_does_not_keep_the_others(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    bed.site("example.org", keyname="other", secondaries=())
    conf = write_config(
        bed, accounts=[account(pebble)], providers=[rfc2136(site)],
        zones=[zone("example.com")],
        certificates=[certificate("www.example.org", lineage="foreign"),
                      certificate(*NAMES)])
    result = bed.dns01("issue", "-c", conf)
    result.assert_failed("www.example.org", code=CONFIG)
    assert "test: issued" in result.out
    bed.assert_issued(pebble, NAMES)
    done = bed.dns01("issue", "-c", conf, "--json")
    assert done.code == CONFIG
    assert [(c["lineage"], c["issued"]) for c in json.loads(done.out)[
        "certificates"]] == [("foreign", False), ("test", True)]
    site.assert_clean()


def test_configured_certificates_are_issued_by_their_names(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    conf = write_config(
        bed, accounts=[account(pebble)], providers=[rfc2136(site)],
        zones=[zone("example.com")],
        certificates=[certificate(f"{n}.example.com", lineage=n)
                      for n in ("one", "two", "three")])
    bed.dns01("issue", "-c", conf, "three", "one").assert_ok()
    for name in ("one", "three"):
        bed.assert_issued(pebble, [f"{name}.example.com"], lineage=name)
    assert pebble.issued() == 2
    site.assert_clean()


# probe


def test_probe_shows_each_server_and_leaves_nothing(bed):
    site = bed.site(secondaries=(Behind("nsd", lag_s=0.3),))
    bed.resolver()
    result = bed.dns01(
        "probe", "--state", bed.state(), "--provider", "rfc2136", "--set",
        f"server={site.address}", "--set", f"tsig_key_file={site.key.path}",
        "example.com").assert_ok()
    _private(site.key.secret)(result)
    for address in site.nameservers:
        row = rf"^  \S+ +{address} +[\d.]+ s +[\d.]+ s +\d+$"
        assert re.search(row, result.out, re.M), result
    assert "seen by every server that counts, and removed" in result.out
    site.assert_clean()


def test_probe_gives_its_timeline_as_json(bed):
    site = bed.site(secondaries=(Behind("nsd", lag_s=0.3),))
    pebble = bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    result = bed.dns01("probe", "-c", conf, "--json", "*.example.com")
    done = json.loads(result.assert_ok().out)
    assert done["visible"] and done["retracted"]
    assert {row["address"] for row in done["timeline"]} == set(
        site.nameservers)
    lagging = next(r for r in done["timeline"]
                   if r["address"] == site.proxies[0].address)
    assert lagging["state"] == "seen" and lagging["questions"] > 1
    assert lagging["seen_ms"] >= lagging["first_asked_ms"] + 200
    assert not result.err and not pebble.requests()[2:]
    site.assert_clean()


def test_probe_that_fails_gives_the_error_as_json_too(bed):
    site = bed.site(secondaries=(Behind("nsd", silent=True),))
    pebble = bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES,
                       zone_settings={"deadline": "1s"})
    result = bed.dns01("probe", "-c", conf, "--json", "example.com")
    assert result.code in (11, 75), result
    done = json.loads(result.out)
    assert not done["visible"] and done["retracted"]
    assert site.proxies[0].address in done["error"]["text"]
    assert done["error"]["code"] in ("dns", "timeout")
    site.assert_clean()


def test_quiet_probe_shows_no_progress(bed):
    site = bed.site(secondaries=())
    conf = site_config(bed, bed.pebble(), site, *NAMES)
    result = bed.dns01("probe", "-q", "-c", conf, "example.com").assert_ok()
    assert not result.err
    site.assert_clean()


def _on_a_terminal(bed, *arguments, columns, rows):
    """Runs dns01 on a terminal of this size; exit code, what it drew."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (rows, columns))
    with open(os.devnull, "rb") as nothing:
        run = subprocess.Popen(
            [bed.tool("dns01"), *arguments], stdin=nothing, stdout=its,
            stderr=its, env={"TERM": "xterm", "PATH": os.environ["PATH"]})
    os.close(its)
    drawn = b""
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:  # EIO: it has ended
            break
        if not more:
            break
        drawn += more
    os.close(ours)
    return run.wait(), drawn.decode()


def test_long_lines_are_broken_at_blanks_on_a_terminal_only(bed):
    site = bed.site(secondaries=())
    conf = site_config(bed, bed.pebble(), site, *NAMES)
    bed.dns01("renew", "-c", conf).assert_ok()
    bed.dns01("renew", "-c", conf).assert_ok()  # the CA says when
    for arguments in (("renew", "-c", conf, "--plan"), ("status", "-c", conf),
                      ("renew", "--help")):
        plain = bed.dns01(*arguments).assert_ok().out
        assert max(map(len, plain.splitlines())) > 80, plain
        code, shown = _on_a_terminal(bed, *arguments, columns=80, rows=50)
        assert code == 0 and max(map(len, shown.splitlines())) <= 80, shown
        assert shown.split() == plain.split()


def test_run_with_nothing_to_do_says_why_on_a_terminal_only(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    bed.dns01("renew", "-c", conf).assert_ok()
    plain = bed.dns01("renew", "-c", conf).assert_ok()
    assert plain.out == plain.err == ""
    for arguments in (("renew", "-c", conf), ("renew", "-c", conf, "test")):
        code, shown = _on_a_terminal(bed, *arguments, columns=80, rows=50)
        assert code == 0 and shown.startswith("test: not due until 20"), shown
    assert _on_a_terminal(bed, "renew", "-q", "-c", conf, columns=80, rows=50) == (0, "")
    pebble.stop()
    bed.dns01("renew", "-c", conf, "--force").assert_failed()
    conf = site_config(bed, pebble, site, *NAMES, keys=["p384"])
    code, shown = _on_a_terminal(bed, "renew", "-c", conf, columns=200, rows=50)
    assert code == 0 and shown.startswith("test: not tried now: its key type changed"), shown
    assert "tried again at 20" in shown


def test_progress_is_drawn_in_place_on_a_terminal_only(bed):
    site = bed.site(secondaries=(Behind("nsd", lag_s=0.3),))
    conf = site_config(bed, bed.pebble(), site, *NAMES)
    for columns, rows in ((120, 40), (40, 8)):
        code, drawn = _on_a_terminal(bed, "probe", "-c", conf, "example.com",
                                     columns=columns, rows=rows)
        assert code == 0, drawn
        assert re.search(r"\x1b\[\d+A", drawn), drawn
        picture = drawn[:drawn.rindex("asked")]
        lines = re.sub(r"\x1b\[[0-9]*[A-Z]|\r", "", picture).split("\n")
        assert max(map(len, lines)) < columns, lines
        assert "seen by every server" in drawn
    plain = bed.dns01("probe", "-c", conf, "example.com").assert_ok()
    assert "\x1b" not in plain.err + plain.out
    site.assert_clean()


# retract


def test_retract_removes_one_value_that_the_journal_does_not_know(bed):
    site = bed.site(secondaries=())
    conf = site_config(bed, bed.pebble(), site, *NAMES)
    for value in ("old", "-dash", "sibling"):
        site.update(f'add {NAME} 60 TXT "{value}"')
    result = bed.dns01("retract", "-c", conf, "example.com", "old")
    assert f"{NAME}: 1 record removed" in result.assert_ok().out
    bed.dns01("retract", "-c", conf, "--", NAME, "-dash").assert_ok()
    site.assert_clean(expecting=[(NAME, "sibling")])


def test_retract_without_a_value_takes_only_what_is_ours(bed):
    """A value that the journal does not know is never removed unasked."""
    site = bed.site(secondaries=(Behind("nsd", lag_s=3600.0),))
    site.update(f'add {NAME} 60 TXT "sibling"')
    conf = site_config(bed, bed.pebble(), site, *NAMES)
    bed.dns01("retract", "-c", conf, "example.com").assert_failed(
        NAME, "the journal knows no value of ours there", code=ABSENT)
    run = bed.start_dns01("issue", "-c", conf)
    run.wait_for(lambda r: "watching" in r.output(), "it watches")
    assert len(site.txt()) == 3
    result = bed.dns01("retract", "-c", conf, "example.com").assert_ok()
    assert "2 records removed" in result.out
    assert site.txt() == [(NAME, "sibling")]
    run.kill()
    bed.dns01("sweep", "-c", conf).assert_ok()
    site.assert_clean(expecting=[(NAME, "sibling")])


# account


def test_account_is_registered_once_and_shown(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    shown = bed.dns01("account", "-c", conf).assert_ok()
    assert "not registered yet" in shown.out
    made = bed.dns01("account", "-c", conf, "register").assert_ok()
    url = re.search(r"account +(https://\S+)", made.out).group(1)
    again = bed.dns01("account", "-c", conf, "register").assert_ok()
    assert url in again.out
    shown = json.loads(bed.dns01("account", "-c", conf, "show",
                                 "--json").assert_ok().out)
    assert [(a["name"], a["url"], a["key_type"]) for a in shown] == [
        ("pebble", url, "p256")]
    bed.dns01("issue", "-c", conf).assert_ok()
    assert sum("accounts in memory" in line
               for _, line in pebble.process.lines) == 1
    site.assert_clean()


def test_account_by_flags_is_used_by_issue(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    bed.dns01("account", "register", "--state", bed.state(), "--ca",
              pebble.directory, "--ca-root", pebble.ca_root, "--agree-tos",
              "--email", "admin@example.com").assert_ok()
    assert pebble.count("/sign-me-up") == 1
    bed.issue(pebble, site, *NAMES).assert_ok()
    assert pebble.count("/sign-me-up") == 1
    shown = json.loads(bed.dns01("account", "--state", bed.state(), "--json").assert_ok().out)
    assert [a["directory"] for a in shown] == [pebble.directory] and shown[0]["url"], shown
    site.assert_clean()


# status


def test_status_tells_of_success_and_of_the_last_failure(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    status = bed.dns01("status", "-c", conf).assert_failed(code=1)
    assert "there is no certificate yet" in status.out.splitlines()[0]
    bed.dns01("issue", "-c", conf).assert_ok()
    status = bed.dns01("status", "-c", conf).assert_ok()
    assert "names *.example.com example.com" in status.out
    assert re.search(r"until \S+Z, \d+ days left", status.out)
    assert "failed" not in status.out
    pebble.stop()
    failed = bed.dns01("issue", "-c", conf).assert_failed(code=69)
    sentence = failed.err.rpartition("dns01: ")[2].strip()
    status = bed.dns01("status", "-c", conf).assert_failed(code=1)
    assert re.search(r"failed at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: "
                     + re.escape(sentence), status.out), status
    lineage = json.loads(bed.dns01("status", "-c", conf, "--json").out)[
        "lineages"][0]
    assert lineage["failure"]["code"] == "network"
    assert lineage["failure"]["text"] in sentence and lineage["failed_at"]
    site.assert_clean()


def test_status_forgets_the_failure_after_a_success(bed):
    site = bed.site(secondaries=(Behind("bind", silent=True),))
    pebble = bed.pebble()
    hasty = site_config(bed, pebble, site, *NAMES,
                        zone_settings={"deadline": "1s"})
    bed.dns01("issue", "-c", hasty).assert_failed(site.proxies[0].address)
    conf = site_config(bed, pebble, site, *NAMES)
    status = bed.dns01("status", "-c", conf).out
    assert "no certificate" in status and site.proxies[0].address in status
    site.proxies[0].silent = False
    bed.dns01("issue", "-c", conf).assert_ok()
    assert "failed" not in bed.dns01("status", "-c", conf).out
    site.assert_clean()


def test_status_shows_the_values_that_are_in_dns_and_who_holds_them(bed):
    site = bed.site(secondaries=(Behind("nsd", lag_s=3600.0),))
    conf = site_config(bed, bed.pebble(), site, *NAMES)
    run = bed.start_dns01("issue", "-c", conf)
    run.wait_for(lambda r: "watching" in r.output(), "it watches")
    values = json.loads(bed.dns01("status", "-c", conf, "--json").out)[
        "values"]
    assert sorted((v["owner"], v["value"]) for v in values) == site.txt()
    assert {(v["zone"], v["holder"]) for v in values} == {
        ("example.com", "issue test")}
    run.kill()
    status = bed.dns01("status", "-c", conf).assert_failed(code=1).out
    assert status.count("held by nobody (sweep)") == 2
    bed.dns01("sweep", "-c", conf).assert_ok()
    site.assert_clean()


# providers


def test_providers_are_listed_with_settings_privilege_and_example(bed):
    listed = bed.dns01("providers").assert_ok().out.splitlines()
    names = [line.split()[0] for line in listed]
    files = {os.path.basename(f)[:-2] for f in glob.glob(
        os.path.join(TOP, "providers", "*.c"))} - {"registry"}
    assert set(names) == files
    as_json = json.loads(bed.dns01("providers", "--json").assert_ok().out)
    assert [p["name"] for p in as_json] == names
    for name in names:
        shown = bed.dns01("providers", name).assert_ok().out
        one = json.loads(bed.dns01("providers", name, "--json").out)
        assert f'type = "{name}"' in one["example"]
        assert " ".join(one["example"].split()) in " ".join(shown.split())
        assert " ".join(one["privilege"].split()) in " ".join(shown.split())
        for setting in one["settings"]:
            assert re.search(rf"^  {setting['name']} ", shown, re.M)
    bed.dns01("providers", "bind").assert_failed(
        "bind", "`dns01 providers` lists them", code=ABSENT)


# keygen


def test_keygen_writes_a_private_key_of_the_type(bed):
    for kind in ("p256", "p384", "rsa2048"):
        path = bed.path(f"keys/{kind}.pem")
        bed.dns01("keygen", kind, path).assert_ok()
        assert os.stat(path).st_mode & 0o777 == 0o600
        text = bed.run([bed.tool("openssl"), "pkey", "-in", path, "-noout",
                        "-text"])
        bits = kind.lstrip("prsa")
        assert f"Private-Key: ({bits} bit" in text, text


def completed(bed, *words, env=None):
    """What bash offers for the last word."""
    script = (f'. "{TOP}/contrib/completion/dns01"; COMP_WORDS=("$@"); '
              'COMP_CWORD=$(($# - 1)); _dns01; printf "%s\\n" '
              '"${COMPREPLY[@]}"')
    os.makedirs(f"{bed.dir}/bin", exist_ok=True)
    if not os.path.exists(f"{bed.dir}/bin/dns01"):
        os.symlink(bed.tool("dns01"), f"{bed.dir}/bin/dns01")
    result = bed.start(
        ["bash", "-c", script, "bash", *words],
        env={"PATH": f"{bed.dir}/bin:{os.environ['PATH']}", **(env or {})}).wait()
    return result.assert_ok().out.split()


def test_bash_completes_commands_options_and_providers(bed):
    assert completed(bed, "dns01", "pro") == ["probe", "providers"]
    assert completed(bed, "dns01", "issue", "--agr") == ["--agree-tos"]
    assert "--config" in completed(bed, "dns01", "sweep", "--")
    assert completed(bed, "dns01", "issue", "--provider", "rfc") == ["rfc2136"]
    assert completed(bed, "dns01", "hook", "mod") == ["mod_md"]
    assert completed(bed, "dns01", "account", "ro") == ["rollover"]
    assert completed(bed, "dns01", "revoke", "--reason", "key") == [
        "keyCompromise"]


def test_bash_completes_lineages(bed):
    conf = site_config(bed, bed.pebble(), bed.site(secondaries=()), *NAMES, lineage="edge",
                       keys=["p256", "p384"])
    for verb in ("renew", "deploy", "revoke", "delete"):
        assert completed(bed, "dns01", verb, "ed", env={"DNS01_CONFIG": conf}) == [
            "edge", "edge-p384"]

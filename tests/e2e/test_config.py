"""The configuration: every kind of error is told with its place and with what
was expected; what is right comes out of `config dump` as it went in."""

import glob
import json
import os
import subprocess

from testbed.bed import TOP
from testbed.config import site_config

CONFIG, ABSENT = 78, 66
NAMES = ("*.example.com", "example.com")
ACCOUNTS = ('accounts = ( { name = "a";\n'
            '  directory = "https://ca.example/dir"; agree_tos = true; } );\n')
PROVIDERS = ('providers = ( { name = "p"; type = "rfc2136";\n'
             '  server = "192.0.2.1"; unsigned = true; } );\n')
ZONES = 'zones = ( { suffix = "example.com"; providers = [ "p" ]; } );\n'
BASE = ACCOUNTS + PROVIDERS + ZONES

# A configuration as a company with a public and an inside view would have.
COMPANY = """
state   = "/var/lib/dns01";
include = [ "conf.d/*.conf" ];                    # each team's own
proxy   = "http://proxy.corp.example.com:3128";

accounts = (
  { name = "letsencrypt";
    directory = "https://acme-v02.api.letsencrypt.org/directory";
    agree_tos = true;  profiles = [ "tlsserver", "classic" ];
    view = "public"; },
  { name = "step";
    directory = "https://ca.corp.example.com/acme/acme/directory";
    ca_file = "corp-root.pem";  agree_tos = true;  proxy = "none";
    view = "inside"; }
);

providers = (
  { name = "hidden-primary";  type = "rfc2136";
    server = "10.0.1.5";  tsig_key_file = "public.key"; },
  { name = "inside-bind";  type = "rfc2136";
    server = "10.0.0.11";  tsig_key_file = "inside.key"; }
);

zones = (                     // the longest suffix wins within a view
  { suffix = "example.com";  view = "public";
    providers = [ "hidden-primary" ];
    servers = [ "ns1.example.com", "ns2.example.net" ];  settle = "10s"; },
  { suffix = "example.com";  view = "inside";  providers = [ "inside-bind" ];
    resolvers = [ "10.0.0.53" ];  servers = [ "10.0.0.11", "10.0.0.12" ]; },
  { suffix = "acme.example.com";  view = "inside";
    providers = [ "inside-bind" ];  alias = "off";  quorum = 1;
    ignore = [ "ns3.example.net" ];  deadline = "2m";  ttl = 30; },
  { suffix = "example-shop.com";  view = "public";
    providers = [ "hidden-primary" ];  watch = "resolvers";
    resolvers = [ "https://dns.example.net/dns-query" ];  settle = "30s"; }
);

certificates = (
  { name = "edge";  account = "letsencrypt";
    names = [ "example.com", "*.example.com" ];  keys = [ "p256", "rsa2048" ];
    deploy = ( [ "/bin/systemctl", "reload", "haproxy" ],
               [ "/usr/local/bin/say", "with \\"quotes\\" and \\\\" ] ); },
  { name = "broker";  account = "step";  deploy_timeout = "90s";
    names = [ "dns01.corp.example.com" ]; }
);
"""

# (text, line, words that the sentence must have)
WRONG = (
    (BASE + 'statee = "/x";', 6, ["statee", 'did you mean "state"?']),
    (BASE + "colour = 1;", 6, ["colour", "no such setting"]),
    (BASE + "state = 3;", 6, ["state", "wrong type", "path", "quotes"]),
    (ACCOUNTS.replace("true", '"true"'), 2, ["accounts[0].agree_tos",
                                             "true or false"]),
    (ACCOUNTS.replace("true", "yes"), 2, ["agree_tos", "true or false"]),
    (ACCOUNTS.replace("agree_tos", "agre_tos"), 2,
     ["accounts[0].agre_tos", 'did you mean "agree_tos"?']),
    (ACCOUNTS.replace("https", "http"), 2, ["accounts[0].directory",
                                            "https://"]),
    (PROVIDERS.replace("rfc2136", "rfc2163"), 1,
     ["providers[0].type", "rfc2163", "`dns01 providers`"]),
    (PROVIDERS.replace("192.0.2.1", "ns1.example.com"), 1,
     ['provider "p"', "not an address"]),
    (PROVIDERS.replace("unsigned = true", 'tsig_key_file = "gone.key"'), 1,
     ['provider "p"', "gone.key", "does not exist"]),
    (PROVIDERS.replace("; unsigned = true", ""), 1,
     ['provider "p"', "tsig_key_file", "tsig-keygen"]),
    (PROVIDERS.replace("unsigned", "ttl"), 2, ["providers[0].ttl",
                                               "known here", "server"]),
    (ZONES, 1, ["zones[0].providers", 'no provider "p"',
                "add it to providers"]),
    (PROVIDERS + ZONES.replace('[ "p" ]', '[ "q" ]'), 3,
     ["zones[0].providers", 'no provider "q"']),
    (BASE + ZONES, 6, ["zones", "given twice"]),
    (PROVIDERS + ZONES.replace("} )", "},\n" + ZONES[10:-4] + " )"), 4,
     ["zones[1].suffix", "another"]),
    (PROVIDERS + ZONES.replace("; }", "; ttl = 86401; }"), 3,
     ["zones[0].ttl", "out of range", "0 to 86400"]),
    (PROVIDERS + ZONES.replace("; }", "; ttl = 060; }"), 3,
     ["zones[0].ttl", "zero"]),
    (PROVIDERS + ZONES.replace("; }", '; quorum = "most"; }'), 3,
     ["zones[0].quorum", '"all" or "reachable"', "number"]),
    (PROVIDERS + ZONES.replace("; }", "; settle = 10s; }"), 3,
     ["zones[0].settle", 'write "10s"']),
    (PROVIDERS + ZONES.replace("; }", "; settle = 10; }"), 3,
     ["zones[0].settle", '"10s"']),
    (PROVIDERS + ZONES.replace("; }", '; settle = "2h"; }'), 3,
     ["zones[0].settle", "out of range", '"1h"']),
    (PROVIDERS + ZONES.replace("; }", '; watch = "dig"; }'), 3,
     ["zones[0].watch", '"authoritative"', '"resolvers"', '"provider"']),
    (PROVIDERS + ZONES.replace("; }", '; resolvers = [ "dns" ]; }'), 3,
     ["zones[0].resolvers", '"dns"', "https://"]),
    (PROVIDERS + ZONES.replace("example.com", "exa mple.com"), 3,
     ["zones[0].suffix", "not a DNS name"]),
    (PROVIDERS + ZONES.replace('"p" ]', '"p", ]'), 3,
     ["zones[0].providers", "comma", "last element"]),
    (PROVIDERS + ZONES.replace('"example.com"', "example.com"), 3,
     ["zones[0].suffix", "quote"]),
    ("zones = { };", 1, ["zones", "list of groups"]),
    ("a.b = 1;", 1, ["a.b", "no dots"]),
    ('state = "/a";\nstate = "/b";', 2, ["state", "given twice", "line 1"]),
    ('state = "/a;\n', 1, ["state", "not closed"]),
    ('state = "/a";\n}', 2, ["}"]),
    ("accounts = (\n  { name = \"a\";\n", 3, ["accounts"]),
    ('certificates = ( { name = "c"; names = [ "x.org" ]; account = "b"; } );',
     1, ["certificates[0].account", 'no account "b"']),
    ('certificates = ( { name = "c"; names = [ "x.org" ]; } );', 1,
     ["certificates[0].account", "missing", "0 accounts"]),
    (BASE + 'certificates = ( { name = "c"; } );', 6,
     ["certificates[0].names", "missing"]),
    (BASE + 'certificates = ( { name = "c"; names = "x.org"; } );', 6,
     ["certificates[0].names", "list of strings"]),
    (BASE + 'certificates = ( { name = "c"; names = [ "x y" ]; } );', 6,
     ['certificate "c"', "x y"]),
    (BASE + 'certificates = ( { name = "c"; names = [ "*.*.org" ]; } );', 6,
     ['certificate "c"', "wildcard"]),
    (BASE + 'certificates = ( { name = "../c"; names = [ "x.org" ]; } );', 6,
     ["certificates[0].name", "not a name"]),
    (BASE + 'certificates = ( { name = "c"; names = [ "x.org" ];\n'
     'keys = [ "rsa1024" ]; } );', 7, ["certificates[0].keys", '"rsa2048"']),
    (BASE + 'certificates = ( { name = "c"; names = [ "x.org" ];\n'
     'deploy = ( [ "systemctl" ] ); } );', 7,
     ["certificates[0].deploy", "whole path"]),
    (BASE + 'certificates = ( { name = "c"; names = [ "x.org" ];\n'
     'deploy = [ "/bin/true" ]; } );', 7,
     ["certificates[0].deploy", "list of commands"]),
)


def _piped(bed, text, *arguments):
    """Runs dns01 in the bed's folder with this on its standard input."""
    return subprocess.run([bed.tool("dns01"), *arguments], input=text,
                          capture_output=True, text=True, check=False,
                          timeout=20, cwd=bed.dir)


def _check(bed, path, **options):
    return bed.dns01("config", "check", path, **options)


def _refused(bed, text, line, words):
    path = bed.write("wrong.conf", text)
    result = _check(bed, path)
    assert result.code == CONFIG, f"{text}\nwas taken: {result}"
    assert not result.out and result.err.count("\n") == 1, result
    for word in [f"{path}:{line}: ", *words]:
        assert word in result.err, f"{word!r} for\n{text}\n{result.err}"


def _company(bed):
    """The company's files; the path of the main one."""
    for key in ("public", "inside"):
        bed.write(f"etc/dns01/{key}.key",
                  bed.key(key).statement(), mode=0o640)
    bed.write("etc/dns01/corp-root.pem", "a root\n")
    return bed.write("etc/dns01/dns01.conf", COMPANY)


# Errors


def test_every_kind_of_error_names_place_and_what_was_expected(bed):
    problems = []
    for text, line, words in WRONG:
        try:
            _refused(bed, text, line, words)
        except AssertionError as error:
            problems.append(str(error))
    assert not problems, "\n".join(problems)


def test_errors_are_objects_with_json(bed):
    path = bed.write("wrong.conf", "colour = 1;\n")
    result = bed.dns01("config", "check", "--json", path)
    assert result.code == CONFIG
    error = json.loads(result.out)["error"]
    assert error["code"] == "config" and "colour" in error["text"]
    assert f"{path}:1" in error["subject"] + error["text"]


def test_counts_are_an_object_with_json(bed):
    path = bed.write("right.conf", BASE)
    result = bed.dns01("config", "check", "--json", path).assert_ok()
    assert json.loads(result.out) == {
        "file": path, "accounts": 1, "providers": 1, "zones": 1,
        "certificates": 0}


def test_wrong_configuration_stops_every_command_before_any_traffic(bed):
    path, wire = bed.write("wrong.conf", "colour = 1;\n"), bed.watch_wire()
    for command in (("issue",), ("probe", "example.com"), ("sweep",),
                    ("account",), ("retract", "example.com"), ("renew",),
                    ("config", "dump")):
        bed.dns01(*command, "-c", path).assert_failed("colour", code=CONFIG)
    bed.dns01("status", "-c", path).assert_failed("colour", code=3)
    assert not wire.messages()


def test_file_that_is_not_there_is_said(bed):
    path = bed.path("none.conf")
    for command in (("config", "check", path), ("issue", "-c", path)):
        bed.dns01(*command).assert_failed(path, "does not exist", code=ABSENT)


def test_secret_that_others_may_read_is_refused(bed):
    for mode, taken in ((0o600, True), (0o640, True), (0o400, True),
                        (0o644, False), (0o660, False), (0o606, False)):
        key = bed.key()
        os.chmod(key.path, mode)
        path = bed.write("dns01.conf", PROVIDERS.replace(
            "unsigned = true", f'tsig_key_file = "{key.path}"'))
        result = _check(bed, path)
        assert (result.code == 0) == taken, (oct(mode), str(result))
        if not taken:
            result.assert_failed(key.path, f"{mode:04o}", "chmod 0640",
                                 code=CONFIG)
        assert key.secret not in result.out + result.err


def test_damaged_key_file_is_told_without_its_secret(bed):
    key = bed.key()
    with open(key.path, "w", encoding="ascii") as file:
        file.write(key.statement().replace("secret", "secert"))
    path = bed.write("dns01.conf", PROVIDERS.replace(
        "unsigned = true", f'tsig_key_file = "{key.path}"'))
    result = _check(bed, path).assert_failed(key.path, code=CONFIG)
    assert key.secret not in result.err


# Several files, and places


def test_included_files_append_to_the_lists(bed):
    path = _company(bed)
    bed.write("etc/dns01/conf.d/a.conf", 'certificates = ( { name = "a"; '
              'account = "step"; names = [ "a.example.com" ]; } );\n')
    bed.write("etc/dns01/conf.d/b.conf", 'certificates = ( { name = "b"; '
              'account = "step"; names = [ "b.example.com" ]; } );\n')
    bed.write("etc/dns01/conf.d/ignored.txt", "nonsense")
    assert "4 certificates" in _check(bed, path).assert_ok().out
    dump = bed.dns01("config", "dump", path).assert_ok().out
    assert dump.index('"edge"') < dump.index('"a"') < dump.index('"b"')


def test_error_in_an_included_file_names_that_file(bed):
    path = _company(bed)
    part = bed.write("etc/dns01/conf.d/a.conf", '\ncolour = "red";\n')
    _check(bed, path).assert_failed(f"{part}:2: colour", code=CONFIG)
    bed.write("etc/dns01/conf.d/a.conf", 'certificates = ( { name = "edge"; '
              'account = "step"; names = [ "a.example.com" ]; } );\n')
    _check(bed, path).assert_failed(part, "edge", f"{path}:", code=CONFIG)
    bed.write("etc/dns01/conf.d/a.conf", 'proxy = "none";\n')
    _check(bed, path).assert_failed(part, "proxy", "twice", path, code=CONFIG)
    bed.write("etc/dns01/conf.d/a.conf", 'include = [ "x" ];\n')
    _check(bed, path).assert_failed(f"{part}:1", "include", code=CONFIG)


def test_environment_names_the_file_and_a_flag_wins(bed):
    path = _company(bed)
    env = {"DNS01_CONFIG": path}
    assert "2 accounts" in bed.dns01("config", "check", env=env).out
    assert "0 accounts" in bed.dns01(
        "config", "check", "-c", bed.write("empty.conf", ""), env=env).out
    gone = {"DNS01_CONFIG": bed.path("gone.conf")}
    bed.dns01("account", env=gone).assert_failed("gone.conf", code=ABSENT)


def test_files_are_looked_for_in_the_credentials_folder_first(bed):
    path = _company(bed)
    os.unlink(bed.path("etc/dns01/inside.key"))
    _check(bed, path).assert_failed("inside.key", code=CONFIG)
    folder = bed.new_folder("credentials")
    with open(os.path.join(folder, "inside.key"), "w",
              encoding="ascii") as file:
        file.write(bed.key("inside").statement())
    _check(bed, path, env={"CREDENTIALS_DIRECTORY": folder}).assert_ok()


def test_configuration_comes_from_standard_input_too(bed):
    for words in (("config", "check", "-"), ("config", "check")):
        done = _piped(bed, BASE, *words)
        assert done.returncode == 0, done
        assert done.stdout == ("standard input: 1 account, 1 provider, 1 "
                               "zone, 0 certificates\n")
    done = _piped(bed, "colour = 1;\n", "config", "check", "-")
    assert done.returncode == CONFIG and "standard input:1" in done.stderr


# dump


def _dump(bed, path):
    return bed.dns01("config", "dump", path).assert_ok().out


def _assert_fixed_point(bed, dump):
    again = _piped(bed, dump, "config", "dump")
    assert again.returncode == 0, again
    assert again.stdout == dump, again.stdout
    return again


def test_dump_of_a_whole_configuration_is_read_back_to_itself(bed):
    path = _company(bed)
    assert _check(bed, path).assert_ok().out == (
        f"{path}: 2 accounts, 2 providers, 4 zones, 2 certificates\n")
    dump = _dump(bed, path)
    _assert_fixed_point(bed, dump)
    checked = _piped(bed, dump, "config", "check")
    assert checked.returncode == 0, checked
    assert "2 accounts, 2 providers, 4 zones, 2 certificates" in checked.stdout
    for default in ('quorum = "all"', 'alias = "follow"', 'deadline = "10m"',
                    'deploy_timeout = "5m"', 'key_type = "p256"'):
        assert default in dump, default
    for key in ("public", "inside"):
        with open(bed.path(f"etc/dns01/{key}.key"), encoding="ascii") as file:
            assert file.read().split('"')[3] not in dump


def test_examples_are_read_and_dumped(bed):
    examples = glob.glob(os.path.join(TOP, "contrib/examples/*.conf"))
    assert len(examples) >= 4
    for name in ("acme", "dns01", "public", "inside", "k8s"):
        bed.write(f"examples/{name}.key", bed.key(name).statement(), 0o640)
    for name in ("corp-root", "host-ca"):
        bed.write(f"examples/{name}.pem", "a root\n")
    bed.write("examples/cloudflare.token", "a token\n", 0o640)
    for example in examples:
        with open(example, encoding="utf-8") as file:
            path = bed.write("examples/dns01.conf", file.read())
        result = _check(bed, path).assert_ok()
        assert "0 certificates" not in result.out, result
        _assert_fixed_point(bed, _dump(bed, path))


def test_manual_has_every_setting_of_the_dump(bed):
    dump = _dump(bed, _company(bed))
    manual = bed.dns01("config", "manual").assert_ok().out
    settings = {line.split("=")[0].strip() for line in dump.splitlines()
                if " = " in line and not line.strip().startswith("#")}
    assert len(settings) > 30
    of_the_provider = {"server", "tsig_key_file", "unsigned", "allow_sha1",
                       "transport", "timeout"}
    for name in settings - of_the_provider:
        assert f".It Ic {name}\n" in manual, name


def test_lineage_conf_repeats_the_certificate(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    bed.dns01("issue", "-c", conf).assert_ok()
    first = bed.assert_issued(pebble, NAMES).serial
    lineage = os.path.join(bed.current(), "lineage.conf")
    _check(bed, lineage).assert_ok()
    os.unlink(conf)
    bed.dns01("issue", "-c", lineage).assert_ok()
    assert bed.assert_issued(pebble, NAMES).serial != first
    site.assert_clean()

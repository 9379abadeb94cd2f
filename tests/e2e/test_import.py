"""Another client's accounts, certificates and settings, carried over: real
certbot and lego issue from Pebble, and what was imported goes on there with
the same accounts."""

import base64
import hashlib
import json
import os
import re
import shutil

from testbed.config import account, certificate, rfc2136, text_of, zone

NAMES = ("*.example.com", "example.com")


def digest(folder):
    """Everything of a folder that a change would show in."""
    found = hashlib.sha256()
    for path, folders, files in sorted(os.walk(folder)):
        folders.sort()
        for name in sorted(folders + files):
            item = os.path.join(path, name)
            stat = os.lstat(item)
            found.update(repr((item, stat.st_mode, stat.st_size,
                               stat.st_mtime_ns)).encode())
            if os.path.islink(item):
                found.update(os.readlink(item).encode())
            elif os.path.isfile(item):
                with open(item, "rb") as file:
                    found.update(file.read())
    return found.hexdigest()


class Old:
    """A host with another client, whose folder is kept as it is."""

    def __init__(self, bed, client, folder):
        self.bed, self.client, self.folder = bed, client, folder
        self.conf = os.path.join(bed.new_folder("etc"), "dns01.conf")
        self.digest = digest(folder)

    def run(self, *more):
        result = self.bed.dns01(
            "import", self.client, "--from", self.folder, "-c", self.conf,
            "--state", self.bed.state(), *more)
        assert digest(self.folder) == self.digest, "the old folder changed"
        return result

    def lines(self, *more):
        """The report as (kind, subject, text)."""
        report = json.loads(self.run("--json", *more).assert_ok().out)
        assert report["client"] == self.client
        return [(line["kind"], line["subject"], line["text"])
                for line in report["lines"]]

    def dns01(self, *arguments):
        return self.bed.dns01(arguments[0], "-c", self.conf, "--state",
                              self.bed.state(), *arguments[1:])

    def account_urls(self):
        shown = json.loads(self.dns01("account", "--json").assert_ok().out)
        return [account.get("url") for account in shown]

    def check(self):
        return self.dns01("config", "check").assert_ok()

    def dump(self):
        return self.dns01("config", "dump").assert_ok().out

    def add(self, **settings):
        """One more file of the configuration."""
        path = os.path.join(os.path.dirname(self.conf), "conf.d", "own.conf")
        with open(path, "w", encoding="utf-8") as file:
            for name, value in settings.items():
                file.write(f"{name} = {text_of(value)};\n")


def said(lines, kind, *words):
    """The one line of that kind with all these words."""
    found = [line for line in lines
             if line[0] == kind and all(w in " ".join(line) for w in words)]
    assert len(found) == 1, (words, found, lines)
    return found[0]


def serial(bed, folder, name="fullchain.pem"):
    return bed.certificate(os.path.join(folder, name)).serial


def assert_goes_on(old, pebble, site, lineage, *, key_type="p256",
                   names=NAMES):
    """The imported configuration renews with the imported account."""
    before = serial(old.bed, old.bed.current(lineage))
    plan = old.dns01("renew", "--plan", lineage).assert_ok().out
    assert re.search(rf"^{re.escape(lineage)} +waits", plan, re.M), plan
    mark = pebble.mark()
    old.dns01("renew", "--force", lineage).assert_ok()
    assert pebble.count("/sign-me-up", since=mark) == 0, "a new account"
    assert pebble.issued(mark) == 1
    # The CA knew which certificate this one follows.
    assert any("marked as replaced" in line
               for _, line in pebble.process.lines[mark:])
    issued = old.bed.assert_issued(pebble, names, lineage=lineage,
                                   key_type=key_type)
    assert issued.serial != before
    site.assert_clean()


def assert_private(*paths):
    for path in paths:
        assert os.stat(path).st_mode & 0o077 == 0, path


# certbot

def run_certbot(bed, pebble, site, *arguments, names=NAMES, folder=None):
    folder = folder or bed.new_folder("letsencrypt")
    key = site.key
    credentials = bed.write("rfc2136.ini", (
        f"dns_rfc2136_server = {site.address}\n"
        f"dns_rfc2136_name = {key.name}.\n"
        f"dns_rfc2136_secret = {key.secret}\n"
        f"dns_rfc2136_algorithm = {key.algorithm.upper()}\n"), mode=0o600)
    domains = [word for name in names for word in ("-d", name)]
    bed.start(
        [bed.tool("certbot"), "certonly", "-n", "--agree-tos", "-m",
         "admin@example.com", "--no-eff-email", "--server", pebble.directory,
         "--config-dir", folder, "--work-dir", f"{bed.dir}/work",
         "--logs-dir", f"{bed.dir}/logs", "--dns-rfc2136",
         "--dns-rfc2136-credentials", credentials,
         "--dns-rfc2136-propagation-seconds", "0", *domains, *arguments],
        env={"REQUESTS_CA_BUNDLE": pebble.ca_root},
        name="certbot").wait(120).assert_ok()
    return folder


def certbot_account(folder):
    """The URL in regr.json."""
    for path, _, files in os.walk(os.path.join(folder, "accounts")):
        if "regr.json" in files:
            with open(os.path.join(path, "regr.json"),
                      encoding="ascii") as file:
                return json.load(file)["uri"]
    raise AssertionError("certbot has no account")


def make_hook(bed, name):
    """A program of certbot's kind that keeps what it was given."""
    return bed.write(name, (
        "#!/bin/sh\n"
        f'echo "$RENEWED_LINEAGE|$RENEWED_DOMAINS" >>"{bed.dir}/{name}.log"\n'
        'test -f "$RENEWED_LINEAGE/fullchain.pem"\n'), mode=0o755)


def hook_log(bed, name):
    with open(f"{bed.dir}/{name}.log", encoding="utf-8") as file:
        return file.read().splitlines()


def test_certbot_goes_on_with_its_account_and_hooks(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    hook = make_hook(bed, "hook")
    folder = run_certbot(bed, pebble, site, "--deploy-hook",
                         f"{hook} 'of the lineage'", "--post-hook", "true")
    hooks = os.path.join(folder, "renewal-hooks", "deploy")
    os.makedirs(hooks, exist_ok=True)
    shutil.copy(make_hook(bed, "shared"), os.path.join(hooks, "10-shared"))
    for name in ("hook.log", "shared.log"):
        if os.path.exists(f"{bed.dir}/{name}"):
            os.unlink(f"{bed.dir}/{name}")
    old = Old(bed, "certbot", folder)
    lines = old.lines("--ca-root", pebble.ca_root)
    said(lines, "carried", "account certbot-127.0.0.1",
         certbot_account(folder))
    said(lines, "carried", "certificate example.com", *NAMES)
    said(lines, "carried", "provider certbot-rfc2136", site.address)
    said(lines, "left", "post_hook")
    said(lines, "todo", "certbot.timer")
    said(lines, "todo", "10-shared")
    old.check()
    conf_d = os.path.join(os.path.dirname(old.conf), "conf.d")
    assert os.listdir(conf_d) == ["imported-certbot.conf"]
    key = os.path.join(os.path.dirname(old.conf),
                       "imported-certbot-rfc2136.key")
    assert_private(key, bed.current("example.com") + "/privkey.pem",
                   *(f"{bed.state()}/accounts/{name}/account.key"
                     for name in os.listdir(f"{bed.state()}/accounts")))
    assert serial(bed, bed.current("example.com")) == serial(
        bed, f"{folder}/live/example.com")
    assert old.account_urls() == [certbot_account(folder)]
    # What was imported to a place of its own is found there without more.
    plan = bed.dns01("renew", "--plan", "-c", old.conf).assert_ok().out
    assert re.search(r"^example.com +waits", plan, re.M), plan
    assert_goes_on(old, pebble, site, "example.com")
    assert old.account_urls() == [certbot_account(folder)]
    for name in ("hook", "shared"):
        line, = hook_log(bed, name)
        lineage, _, names = line.partition("|")
        assert os.path.basename(lineage) == "example.com", line
        assert serial(bed, lineage) == serial(
            bed, bed.current("example.com")), line
        assert sorted(names.split()) == sorted(NAMES), line
    # certbot itself still works with what it has.
    assert digest(folder) == old.digest


def test_certbots_live_folder_goes_on_by_an_export(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    folder = run_certbot(bed, pebble, site)
    old = Old(bed, "certbot", folder)
    hint = said(old.lines("--ca-root", pebble.ca_root), "todo", "export = (")
    # What the line says, for this certificate.
    export = re.search(r"export = .* \)", hint[2]).group().replace(
        "NAME", "example.com")
    conf = os.path.join(os.path.dirname(old.conf), "conf.d",
                        "imported-certbot.conf")
    with open(conf, encoding="utf-8") as file:
        text = file.read()
    with open(conf, "w", encoding="utf-8") as file:
        file.write(text.replace("\t\tnames =", f"\t\t{export};\n\t\tnames ="))
    old.dns01("renew", "--force").assert_ok()
    live = f"{folder}/live/example.com"
    assert serial(bed, live) == serial(bed, bed.current("example.com"))
    assert os.path.islink(f"{live}/fullchain.pem")
    bed.certificate(f"{live}/fullchain.pem").assert_key(f"{live}/privkey.pem")


def test_done_again_it_changes_nothing(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    folder = run_certbot(bed, pebble, site)
    old = Old(bed, "certbot", folder)
    old.lines("--ca-root", pebble.ca_root)
    written = digest(os.path.dirname(old.conf)), digest(bed.state())
    result = old.run().assert_ok()
    assert "nothing new" in result.out, result
    assert "already there  certificate example.com" in result.out, result
    assert "already there  account certbot-127.0.0.1" in result.out, result
    assert "carried over" not in result.out, result
    # With renewals in between it is still there.
    assert (digest(os.path.dirname(old.conf)), digest(bed.state())) == written
    old.dns01("issue").assert_ok()
    again = old.lines()
    assert not [line for line in again if line[0] == "carried"], again
    # A lineage more comes in a file of its own; the first stays as it is.
    run_certbot(bed, pebble, site, names=("www.example.com",), folder=folder)
    old.digest = digest(folder)
    more = old.lines()
    said(more, "carried", "certificate www.example.com")
    said(more, "there", "certificate example.com")
    conf_d = os.path.join(os.path.dirname(old.conf), "conf.d")
    assert sorted(os.listdir(conf_d)) == ["imported-certbot-2.conf",
                                          "imported-certbot.conf"]
    old.check()
    assert_goes_on(old, pebble, site, "www.example.com",
                   names=("www.example.com",))


def test_a_dry_run_says_everything_and_writes_nothing(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    old = Old(bed, "certbot", run_certbot(bed, pebble, site))
    state = bed.state()
    empty = digest(state), digest(os.path.dirname(old.conf))
    dry = old.lines("--dry-run", "--ca-root", pebble.ca_root)
    assert (digest(state), digest(os.path.dirname(old.conf))) == empty
    assert "nothing is written" in old.run("--dry-run").assert_ok().out
    assert old.lines("--ca-root", pebble.ca_root) == dry


def test_into_a_file_that_stands_alone(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    old = Old(bed, "certbot", run_certbot(bed, pebble, site))
    # A main configuration that this file is no part of plays no role.
    with open(old.conf, "w", encoding="ascii") as file:
        file.write("parallel = 2;\n")
    alone = os.path.join(bed.new_folder("alone"), "mine.conf")
    old.run("--into", alone, "--ca-root", pebble.ca_root).assert_ok()
    assert os.listdir(os.path.dirname(old.conf)) == ["dns01.conf"]
    assert "nothing new" in old.run("--into", alone).assert_ok().out
    # It names the state folder itself.
    bed.dns01("issue", "-c", alone).assert_ok()
    bed.assert_issued(pebble, NAMES, lineage="example.com")
    # What is there is never rewritten.
    run_certbot(bed, pebble, site, names=("www.example.com",),
                folder=old.folder)
    old.digest = digest(old.folder)
    before = digest(os.path.dirname(alone))
    old.run("--into", alone).assert_failed("mine.conf", "is there already",
                                           code=73)
    assert digest(os.path.dirname(alone)) == before


def test_a_configuration_that_is_there_is_not_touched(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    old = Old(bed, "certbot", run_certbot(bed, pebble, site))
    folder = os.path.dirname(old.conf)
    with open(old.conf, "w", encoding="ascii") as file:
        for name, value in {
                "include": ["conf.d/*.conf"],
                "providers": [rfc2136(site, name="certbot-rfc2136")],
                "zones": [zone("com", provider="certbot-rfc2136")]}.items():
            file.write(f"{name} = {text_of(value)};\n")
    with open(old.conf, encoding="ascii") as file:
        text = file.read()
    lines = old.lines("--ca-root", pebble.ca_root)
    with open(old.conf, encoding="ascii") as file:
        assert file.read() == text
    # Its zone serves the names already, so no provider came along.
    assert not [line for line in lines if "provider" in line[1]], lines
    assert sorted(os.listdir(folder)) == ["conf.d", "dns01.conf"]
    old.check()
    assert_goes_on(old, pebble, site, "example.com")


def test_a_configuration_that_includes_nothing_is_told(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    old = Old(bed, "certbot", run_certbot(bed, pebble, site))
    with open(old.conf, "w", encoding="ascii") as file:
        file.write("parallel = 2;\n")
    said(old.lines("--ca-root", pebble.ca_root), "todo", "dns01.conf",
         "conf.d/*.conf", "include")


def test_what_only_the_import_makes_ambiguous_is_told(bed):
    """One account needs no name, two do."""
    site, pebble = bed.site(secondaries=()), bed.pebble()
    old = Old(bed, "certbot", run_certbot(bed, pebble, site))
    text = "".join(f"{name} = {text_of(value)};\n" for name, value in {
        "include": ["conf.d/*.conf"], "accounts": [account(pebble, name="mine")],
        "providers": [rfc2136(site)], "zones": [zone("example.com")],
        "certificates": [certificate("www.example.com")]}.items())
    with open(old.conf, "w", encoding="ascii") as file:
        file.write(text)
    old.check()
    for more in ((), ("--dry-run",)):
        old.run("--ca-root", pebble.ca_root, *more).assert_failed(
            "certificates[0].account", "with what is imported beside it", "nothing was written",
            code=78)
    with open(old.conf, "w", encoding="ascii") as file:
        file.write(text.replace('names = [ "www', 'account = "mine"; names = [ "www'))
    old.run("--ca-root", pebble.ca_root).assert_ok()
    old.check()


def test_nothing_is_left_of_an_import_that_fails(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    folder = run_certbot(bed, pebble, site)
    run_certbot(bed, pebble, site, names=("www.example.com",), folder=folder)
    old = Old(bed, "certbot", folder)
    # The last lineage cannot be stored: something is where its folder goes.
    os.makedirs(f"{bed.state()}/certs", mode=0o755)
    before = digest(os.path.dirname(old.conf))
    os.symlink("/nowhere/at/all", f"{bed.state()}/certs/www.example.com")
    result = old.run("--ca-root", pebble.ca_root)
    result.assert_failed("www.example.com")
    os.unlink(f"{bed.state()}/certs/www.example.com")
    assert digest(os.path.dirname(old.conf)) == before
    for path, _, files in os.walk(bed.state()):
        assert not files, (path, files)
    # And then it can be done.
    old.run("--ca-root", pebble.ca_root).assert_ok()
    old.check()


def test_certbot_lineages_of_every_kind_are_judged(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    folder = run_certbot(bed, pebble, site, "--key-type", "rsa")
    renewal = os.path.join(folder, "renewal")
    with open(f"{renewal}/example.com.conf", encoding="utf-8") as file:
        good = file.read()

    def lineage(name, *changes, live=True):
        text = good.replace("example.com", name)
        for old_text, new_text in changes:
            assert old_text in text, (name, old_text)
            text = text.replace(old_text, new_text)
        with open(f"{renewal}/{name}.conf", "w", encoding="utf-8") as file:
            file.write(text)
        if live:
            shutil.copytree(f"{folder}/live/example.com",
                            f"{folder}/live/{name}", symlinks=False)

    plugin = ("authenticator = dns-rfc2136", "authenticator = ")
    lineage("a-webroot", plugin, ("authenticator = ",
                                  "authenticator = webroot"))
    lineage("b-luadns", plugin, ("authenticator = ",
                                 "authenticator = dns-luadns"))
    lineage("c-broken", ("[renewalparams]", "[renewalparams"))
    lineage("d-off", ("[renewalparams]", "[renewalparams]\nautorenew = False"))
    lineage("e-gone", live=False)
    lineage("f-p521")
    bed.run([bed.tool("openssl"), "ecparam", "-name", "secp521r1", "-genkey",
             "-noout", "-out", f"{folder}/live/f-p521/privkey.pem"])
    lineage("g-other")
    bed.run([bed.tool("openssl"), "genrsa", "-out",
             f"{folder}/live/g-other/privkey.pem", "2048"])
    lineage("h-manual", plugin, (
        "authenticator = ",
        "manual_auth_hook = /usr/local/bin/hook\nauthenticator = manual"))
    old = Old(bed, "certbot", folder)
    lines = old.lines("--ca-root", pebble.ca_root)
    said(lines, "carried", "certificate example.com", "rsa2048")
    said(lines, "left", "certificate a-webroot", "webroot", "HTTP")
    said(lines, "left", "certificate b-luadns", "dns-luadns")
    said(lines, "left", "certificate c-broken", "c-broken.conf:")
    said(lines, "left", "certificate d-off", "autorenew")
    said(lines, "left", "certificate e-gone", "fullchain.pem")
    said(lines, "left", "certificate f-p521", "secp521r1")
    said(lines, "left", "certificate g-other")
    said(lines, "left", "certificate h-manual", "/usr/local/bin/hook")
    old.check()


def test_a_copy_of_certbots_folder_without_its_links(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    folder = run_certbot(bed, pebble, site)
    shutil.rmtree(f"{folder}/live")
    old = Old(bed, "certbot", folder)
    said(old.lines("--ca-root", pebble.ca_root), "carried",
         "certificate example.com", "valid until")
    assert serial(bed, bed.current("example.com")) == serial(
        bed, f"{folder}/archive/example.com", "fullchain1.pem")
    assert_goes_on(old, pebble, site, "example.com")


# lego

def lego_account(folder):
    path, = [os.path.join(p, "account.json")
             for p, _, files in os.walk(f"{folder}/accounts")
             if "account.json" in files]
    with open(path, encoding="utf-8") as file:
        return path, json.load(file)


def serve(old, site):
    """What lego does not keep: the provider, and a zone for the names."""
    old.add(providers=[rfc2136(site)], zones=[zone("example.com")])


def test_lego_goes_on_with_its_account(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    folder = bed.new_folder("lego")
    bed.lego(pebble, site, *NAMES, folder=folder).assert_ok()
    old = Old(bed, "lego", folder)
    # Version 4 keeps the CA's host alone.
    unknown = old.lines("--dry-run")
    said(unknown, "left", "account", "--ca URL")
    said(unknown, "left", "certificate example.com", "--ca URL")
    assert "nothing could be carried over of" in old.run().assert_ok().out
    lines = old.lines("--ca", pebble.directory, "--ca-root", pebble.ca_root)
    uri = lego_account(folder)[1]["registration"]["uri"]
    said(lines, "carried", "account lego-127.0.0.1", uri)
    said(lines, "carried", "certificate example.com", *NAMES)
    said(lines, "left", "provider", "zone")
    said(lines, "todo", "zones", "example.com")
    old.check()
    serve(old, site)
    assert old.account_urls() == [uri]
    assert_goes_on(old, pebble, site, "example.com")
    again = old.run("--ca", pebble.directory, "--ca-root", pebble.ca_root)
    assert "nothing new" in again.assert_ok().out


def to_version_5(folder, directory):
    """What `lego migrate` makes of a folder of version 4."""
    path, account = lego_account(folder)
    home = os.path.dirname(path)
    name = account["email"]
    registration = {**account["registration"]["body"],
                    "accountURL": account["registration"]["uri"]}
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"id": name, "email": name, "keyType": "EC256",
                   "server": directory, "origin": "migration",
                   "registration": registration}, file, indent=2)
    os.rename(f"{home}/keys/{name}.key", f"{home}/{name}.key")
    os.rmdir(f"{home}/keys")
    path, = [os.path.join(f"{folder}/certificates", name)
             for name in os.listdir(f"{folder}/certificates")
             if name.endswith(".json")]
    with open(path, encoding="utf-8") as file:
        resource = json.load(file)
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"id": resource["domain"], "domains": sorted(NAMES),
                   "keyType": "EC256", "profile": "default",
                   "certUrl": resource["certUrl"],
                   "certStableUrl": resource["certStableUrl"],
                   "origin": "migration"}, file, indent=2)
    return registration["accountURL"]


def test_lego_5_says_its_ca_itself(bed):
    site = bed.site(secondaries=())
    pebble = bed.pebble(profiles={"default": 7776000})
    folder = bed.new_folder("lego")
    bed.lego(pebble, site, *NAMES, folder=folder).assert_ok()
    url = to_version_5(folder, pebble.directory)
    old = Old(bed, "lego", folder)
    lines = old.lines("--ca-root", pebble.ca_root)
    said(lines, "carried", "account lego-127.0.0.1", url)
    serve(old, site)
    assert 'profile = "default"' in old.dump()
    assert old.account_urls() == [url]
    assert_goes_on(old, pebble, site, "example.com")


# acme.sh

class AcmeSh:
    """A folder as acme.sh writes it, around an account and a certificate
    that Pebble knows."""

    def __init__(self, bed, pebble, site):
        self.bed, self.pebble, self.site = bed, pebble, site
        self.folder = bed.new_folder("acme.sh")
        self.directory = pebble.directory
        host, _, port = self.directory.split("/")[2].partition(":")
        self.ca = f"{self.folder}/ca/{host}/dir"
        assert port

    def issue(self, *names, folder, key="p256", **conf):
        """Issues, and writes what acme.sh would have."""
        state, lineage = self.bed.state("acme.sh"), folder.replace("*", "_")
        self.bed.issue(self.pebble, self.site, *names, state=state,
                       lineage=lineage, more=("--key", key)).assert_ok()
        current = self.bed.current(lineage, state)
        home = f"{self.folder}/{folder}"
        name = folder.removesuffix("_ecc")
        os.makedirs(home)
        self.convert(f"{current}/privkey.pem", f"{home}/{name}.key")
        for source, target in (("cert", f"{name}.cer"), ("chain", "ca.cer"),
                               ("fullchain", "fullchain.cer")):
            shutil.copy(f"{current}/{source}.pem", f"{home}/{target}")
        self.write(f"{home}/{name}.conf", {
            "Le_Domain": names[0], "Le_Alt": ",".join(names[1:]) or "no",
            "Le_Webroot": "dns_nsupdate", "Le_PreHook": "",
            "Le_PostHook": "", "Le_RenewHook": "",
            "Le_API": self.directory,
            "Le_Keylength": {"p256": "ec-256", "rsa2048": "2048"}[key],
            "Le_LinkOrder": f"{self.directory}/order",
            "Le_CertCreateTime": "1795694421",
            "Le_NextRenewTime": "1800921638",
            "Le_RealCertPath": "", "Le_RealCACertPath": "",
            "Le_RealKeyPath": "", "Le_ReloadCmd": "",
            "Le_RealFullChainPath": "", **conf})
        self.account(state)
        return self

    def convert(self, source, target):
        """As `openssl ecparam -genkey` and `openssl genrsa` write keys."""
        self.bed.run([self.bed.tool("openssl"), "pkey", "-in", source, "-out",
                      target, "-traditional"])
        os.chmod(target, 0o600)

    def account(self, state):
        if os.path.exists(self.ca):
            return
        os.makedirs(self.ca)
        name, = os.listdir(f"{state}/accounts")
        with open(f"{state}/accounts/{name}/account.json",
                  encoding="ascii") as file:
            self.url = json.load(file)["url"]
        self.convert(f"{state}/accounts/{name}/account.key",
                     f"{self.ca}/account.key")
        self.write(f"{self.ca}/ca.conf", {
            "CA_EMAIL": "admin@example.com", "ACCOUNT_URL": self.url,
            "CA_KEY_HASH": "jAhQiT14MnMe8Ky1uIlXh="})
        with open(f"{self.ca}/account.json", "w", encoding="ascii") as file:
            file.write('{"status":"valid"}\n')
        self.write(f"{self.folder}/account.conf", {
            "SAVED_NSUPDATE_SERVER": self.site.address,
            "SAVED_NSUPDATE_SERVER_PORT": "",
            "SAVED_NSUPDATE_KEY": self.site.key.path,
            "SAVED_NSUPDATE_ZONE": "", "SAVED_NSUPDATE_OPT": "",
            "USER_PATH": "/usr/bin:/bin",
            "CA_BUNDLE": self.pebble.ca_root})

    @staticmethod
    def write(path, values):
        with open(path, "w", encoding="utf-8") as file:
            for name, value in values.items():
                file.write(f"{name}='{value}'\n")
        os.chmod(path, 0o600)

    @staticmethod
    def wrapped(text):
        encoded = base64.b64encode(text.encode()).decode()
        return f"__ACME_BASE64__START_{encoded}__ACME_BASE64__END_"


def test_acme_sh_goes_on_with_its_account_and_commands(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    tree = AcmeSh(bed, pebble, site)
    done, chain = f"{bed.dir}/done", f"{bed.dir}/chain.pem"
    tree.issue("example.com", "*.example.com", folder="example.com_ecc",
               Le_ReloadCmd=tree.wrapped(f"echo 'reloaded' >{done}"),
               Le_RealFullChainPath=chain,
               Le_RenewHook=tree.wrapped("cp $CERT_PATH /elsewhere"),
               Le_DNSSleep="120", Le_DeployHook="haproxy,")
    tree.issue("www.example.com", folder="www.example.com", key="rsa2048",
               Le_RealKeyPath=f"{bed.dir}/www.key")
    old = Old(bed, "acme.sh", tree.folder)
    lines = old.lines()
    said(lines, "carried", "account acme.sh-127.0.0.1", tree.url)
    said(lines, "carried", "certificate example.com", "p256")
    said(lines, "carried", "certificate www.example.com", "rsa2048")
    said(lines, "left", "Le_RenewHook", "$CERT_PATH")
    said(lines, "left", "Le_DNSSleep")
    said(lines, "left", "Le_DeployHook", "haproxy")
    said(lines, "todo", "acme.sh", "--uninstall-cronjob")
    old.check()
    assert old.account_urls() == [tree.url]
    assert_goes_on(old, pebble, site, "example.com")
    assert serial(bed, bed.dir, "chain.pem") == serial(
        bed, bed.current("example.com"))
    with open(done, encoding="ascii") as file:
        assert file.read() == "reloaded\n"
    assert_goes_on(old, pebble, site, "www.example.com", key_type="rsa2048",
                   names=("www.example.com",))
    assert_private(f"{bed.dir}/www.key")
    bed.certificate(bed.current("www.example.com") + "/cert.pem").assert_key(
        f"{bed.dir}/www.key")


def test_acme_sh_files_are_never_run(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    tree = AcmeSh(bed, pebble, site)
    trap = f"{bed.dir}/trap"
    tree.issue("example.com", folder="example.com_ecc",
               Le_Alt=f"no' ; touch {trap}; X='", Le_DNSSleep="$(touch "
               f"{trap})")
    for path in (f"{tree.folder}/account.conf", f"{tree.ca}/ca.conf",
                 f"{tree.folder}/example.com_ecc/example.com.conf"):
        with open(path, "a", encoding="ascii") as file:
            file.write(f"touch {trap}\nY=$(touch {trap})\nZ=`touch {trap}`\n")
    old = Old(bed, "acme.sh", tree.folder)
    lines = old.lines()
    assert not os.path.exists(trap)
    said(lines, "left", "certificate example.com_ecc", "was not run")
    assert_goes_on(old, pebble, site, "example.com", names=("example.com",))
    assert not os.path.exists(trap)


def test_acme_sh_aliases_are_kept(bed):
    # Challenges of example.com go to another zone, without a CNAME that
    # dns01 could find before it publishes.
    site = bed.site("example.com", "alias.test", secondaries=())
    pebble = bed.pebble(always_valid=True)
    tree = AcmeSh(bed, pebble, site)
    tree.issue("example.com", folder="example.com_ecc",
               Le_ChallengeAlias="alias.test,")
    old = Old(bed, "acme.sh", tree.folder)
    old.lines()
    old.check()
    assert 'alias = "_acme-challenge.alias.test"' in old.dump()
    wire = bed.watch_wire()
    old.dns01("issue", "example.com").assert_ok()
    assert wire.updates(server=site.address)
    site.assert_clean()


# What is no folder of a client's

def test_wrong_folders_and_clients_end_in_a_sentence(bed):
    empty = bed.new_folder("empty")
    conf = f"{bed.dir}/none.conf"
    for client in ("certbot", "lego", "acme.sh"):
        bed.dns01("import", client, "--from", "/nowhere", "-c", conf,
                  "--state", bed.state()).assert_failed(
                      "/nowhere", "--from", code=66)
    for client, part in (("certbot", "renewal"), ("lego", "certificates")):
        bed.dns01("import", client, "--from", empty, "-c", conf, "--state",
                  bed.state()).assert_failed(part, code=66)
    assert "nothing new" in bed.dns01(
        "import", "acme.sh", "--from", empty, "-c", conf, "--state",
        bed.state()).assert_ok().out
    bed.dns01("import", "caddy", "-c", conf, "--state",
              bed.state()).assert_failed("certbot, lego or acme.sh", code=64)
    assert not os.path.exists(conf)

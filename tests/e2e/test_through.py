"""Hosts that publish through the broker: hooks, dns01 issue, and providers."""

import hashlib
import os
import signal

from testbed import Behind, OwnCa, dnswire, namespace, wait_until
from testbed.bed import TOP
from testbed.broker import Broker, digest
from testbed.config import account, certificate, write_config, zone

NAME = "_acme-challenge.example.com"
NAMES = ("example.com", "*.example.com")
HOOKS = os.path.join(TOP, "contrib", "hooks")
WEB = {"name": "web", "names": ["example.com", "www.example.com"],
       "under": ["example.com"], "wildcard": True}


class Host:
    """A host without a DNS credential, and without a configuration."""

    def __init__(self, bed, *, secondaries=("bind",), listeners=None,
                 records=(), **client):
        self.bed = bed
        self.site = bed.site(secondaries=secondaries, records=records)
        self.broker = Broker(bed, self.site, [dict(WEB, **client)],
                             listeners=listeners).start()
        os.makedirs(f"{bed.dir}/bin", exist_ok=True)
        os.symlink(bed.tool("dns01"), f"{bed.dir}/bin/dns01")
        self.env = {"DNS01_BROKER": self.broker.url(),
                    "DNS01_TOKEN_FILE": self.broker.token_file("web"),
                    "PATH": f"{bed.dir}/bin:{os.environ['PATH']}:/usr/sbin"}

    def start(self, argv, **env):
        return self.bed.start(argv, env={**self.env, **env}, name="client")

    def run(self, argv, **env):
        return self.start(argv, **env).wait(120)

    def hook(self, *arguments, **env):
        return self.run([self.bed.tool("dns01"), "hook", *arguments], **env)

    def shown(self, owner=NAME):
        return sorted(dnswire.txt_values(self.site.address, owner))

    def end(self):
        wait_until(lambda: not self.shown(), "the values leave")
        self.broker.stop().assert_ok()
        self.site.assert_clean()


def issued(bed, pebble, path):
    found = bed.certificate(path)
    assert found.names == sorted(NAMES), found.names
    found.assert_chains_to(pebble.issuing_root())


def test_certbot_hook_sends_its_run_in_one_update(bed):
    host = Host(bed, secondaries=("bind", Behind("bind", lag_s=2)))
    pebble = bed.pebble()
    wire = bed.watch_wire()
    folders = [f"--{part}-dir={bed.dir}/certbot/{part}"
               for part in ("config", "work", "logs")]
    domains = [word for name in NAMES for word in ("-d", name)]
    host.run(
        [bed.tool("certbot"), "certonly", "-n", "--agree-tos",
         "--register-unsafely-without-email", "--server", pebble.directory,
         "--manual", "--preferred-challenges", "dns", "--manual-auth-hook",
         "dns01 hook certbot auth", "--manual-cleanup-hook",
         "dns01 hook certbot cleanup", *folders, *domains],
        REQUESTS_CA_BUNDLE=pebble.ca_root).assert_ok()
    issued(bed, pebble,
           f"{bed.dir}/certbot/config/live/example.com/fullchain.pem")
    shown = host.site.proxies[0].first_shown(NAME)
    assert min(pebble.challenges_answered()) > shown
    host.end()
    assert len(wire.updates(server=host.site.address)) <= 3


def test_dehydrated_hook_with_a_chain(bed):
    host = Host(bed)
    pebble = bed.pebble()
    folder = bed.new_folder("dehydrated")
    config = os.path.join(folder, "config")
    with open(config, "w", encoding="ascii") as file:
        file.write(f'CA="{pebble.directory}"\nCHALLENGETYPE="dns-01"\n'
                   f'BASEDIR="{folder}"\nHOOK="{HOOKS}/dehydrated"\n'
                   'HOOK_CHAIN="yes"\nKEY_ALGO=prime256v1\n')
    with open(f"{folder}/domains.txt", "w", encoding="ascii") as file:
        file.write(" ".join(NAMES) + " > both\n")
    command = [bed.tool("dehydrated"), "-f", config]
    env = {"CURL_CA_BUNDLE": pebble.ca_root}
    host.run([*command, "--register", "--accept-terms"], **env).assert_ok()
    host.run([*command, "-c"], **env).assert_ok()
    issued(bed, pebble, f"{folder}/certs/both/fullchain.pem")
    host.end()


def test_uacme_hook(bed):
    host = Host(bed)
    pebble = bed.pebble(stable=True)
    namespace.bind_file(pebble.ca_root, "/etc/ssl/certs/ca-certificates.crt")
    folder = bed.new_folder("uacme")
    command = [bed.tool("uacme"), "-a", pebble.directory, "-c", folder, "-t",
               "EC", "-h", f"{HOOKS}/uacme"]
    host.run([*command, "-y", "new", "admin@example.com"]).assert_ok()
    host.run([*command, "issue", *NAMES]).assert_ok()
    issued(bed, pebble, f"{folder}/example.com/cert.pem")
    host.end()


def test_every_hook_publishes_and_retracts(bed):
    host = Host(bed, secondaries=())
    values = [digest() for _ in range(4)]
    host.hook("getssl", "add", "example.com", values[0]).assert_ok()
    host.hook("acme.sh", "add", NAME, values[1]).assert_ok()
    host.hook("lego", "present", NAME + ".", values[2]).assert_ok()
    host.hook("mod_md", "setup", "example.com", values[3]).assert_ok()
    assert host.shown() == sorted(values)
    host.hook("getssl", "del", "example.com", values[0]).assert_ok()
    host.hook("acme.sh", "rm", NAME, values[1]).assert_ok()
    host.hook("lego", "cleanup", NAME + ".", values[2]).assert_ok()
    host.hook("mod_md", "teardown", "example.com").assert_ok()
    host.end()


def test_a_value_with_a_hyphen_first(bed):
    host = Host(bed, secondaries=())
    value = "-" + digest()[1:]
    for held, gone in (
            (("lego", "present", NAME + ".", value),
             ("lego", "cleanup", NAME + ".", value)),
            (("getssl", "add", "example.com", value),
             ("getssl", "del", "example.com", value)),
            (("mod_md", "setup", "example.com", value),
             ("mod_md", "teardown", "example.com", value)),
            (("acme.sh", "add", NAME, value), ("acme.sh", "rm", NAME, value)),
            (("dehydrated", "deploy_challenge", "example.com", "-f", value),
             ("dehydrated", "clean_challenge", "example.com", "-f", value)),
            (("uacme", "begin", "dns-01", "example.com", "-t", value),
             ("uacme", "done", "dns-01", "example.com", "-t", value))):
        host.hook(*held).assert_ok()
        assert host.shown() == [value], held
        host.hook(*gone).assert_ok()
        wait_until(lambda: not host.shown(), "it leaves")
    host.end()


def test_a_batch_through_the_broker_that_fails_is_undone(bed):
    """dehydrated calls no clean_challenge after a deploy_challenge that
    failed."""
    host = Host(bed, secondaries=())
    result = host.hook("dehydrated", "deploy_challenge",
                       "example.com", "f", digest(),
                       "example.org", "f", digest())
    result.assert_failed("example.org", "may not publish")
    host.end()


def test_a_batch_larger_than_a_request_comes_and_goes(bed):
    host = Host(bed, secondaries=(), values=400, publishes_per_hour=1000)
    batch = [word for i in range(210)
             for word in (f"h{i}.example.com", "f", digest())]
    host.hook("dehydrated", "deploy_challenge", *batch).assert_ok()
    assert len(host.site.txt()) == 210
    host.hook("dehydrated", "clean_challenge", *batch).assert_ok()
    wait_until(lambda: not host.site.txt(), "all leave")
    host.hook("dehydrated", "deploy_challenge", *batch, "example.org", "f",
              digest()).assert_failed("example.org", "may not publish")
    wait_until(lambda: not host.site.txt(), "what came before it leaves")
    host.end()


def test_an_old_certbot_that_counts_nothing(bed):
    """Without CERTBOT_REMAINING_CHALLENGES each value goes out at once."""
    host = Host(bed, secondaries=())
    value = digest()
    env = {"CERTBOT_DOMAIN": "example.com", "CERTBOT_VALIDATION": value}
    host.hook("certbot", "auth", **env).assert_ok()
    assert host.shown() == [value]
    host.hook("certbot", "cleanup", **env).assert_ok()
    host.end()


def test_what_certbot_deferred_outlives_a_restart_behind_an_alias(bed):
    port = bed.port()
    host = Host(bed, secondaries=(), listeners=[
        {"http": f"127.0.0.1:{port}", "doors": ["api"]}],
        records=["_acme-challenge.www CNAME _acme-challenge.mail"])
    target = "_acme-challenge.mail.example.com"
    values = {"www.example.com": digest(), "example.com": digest()}

    def certbot(verb, name, left):
        return host.hook("certbot", verb, CERTBOT_DOMAIN=name,
                         CERTBOT_VALIDATION=values[name],
                         CERTBOT_ALL_DOMAINS=",".join(values),
                         CERTBOT_REMAINING_CHALLENGES=left).assert_ok()

    certbot("auth", "www.example.com", "1")
    assert host.shown(target) == []
    host.broker.command.kill()
    host.broker.start()
    certbot("auth", "example.com", "0")
    assert host.shown(target) == [values["www.example.com"]]
    assert host.shown() == [values["example.com"]]
    for name in values:
        certbot("cleanup", name, "0")
    wait_until(lambda: not host.shown(target), "the values leave")
    host.end()


def test_a_hook_that_its_user_proves_needs_no_token(bed):
    """Over the broker's own Unix socket; and a hook whose broker refuses
    says so without what it was not told."""
    host = Host(bed, secondaries=())
    host.broker.write(clients=[dict(WEB, auth="unix", user="root")])
    host.broker.command.signal(signal.SIGHUP)
    host.broker.command.wait_for(lambda c: "read again" in c.output(),
                                 "reload")
    value = digest()
    there = {"DNS01_BROKER": f"unix:{host.broker.socket}",
             "DNS01_TOKEN_FILE": ""}
    host.hook("getssl", "add", "example.com", value, **there).assert_ok()
    assert host.shown() == [value]
    host.hook("getssl", "del", "example.com", value, **there).assert_ok()
    empty = host.bed.write("empty.token", "\n", mode=0o600)
    host.hook("getssl", "add", "example.com", value,
              DNS01_TOKEN_FILE=empty).assert_failed("no token")
    host.bed.write("open.token", "secret\n", mode=0o644)
    host.hook("getssl", "add", "example.com", value,
              DNS01_TOKEN_FILE=f"{bed.dir}/open.token").assert_failed(
                  "open.token")
    host.hook("getssl", "add", "example.com", value,
              DNS01_TOKEN_FILE=f"{bed.dir}/none.token").assert_failed(
                  "none.token")
    host.end()


def test_a_token_file_may_be_what_token_new_printed_and_holds_one(bed):
    host = Host(bed, secondaries=())
    token = host.broker.token("web")
    made = host.broker.dns01("token", "new", "web").assert_ok().out
    assert made.startswith("#")

    def add(text):
        path = bed.write("odd.token", text, mode=0o600)
        return host.hook("getssl", "add", "example.com", digest(),
                         DNS01_TOKEN_FILE=path)

    for text in (made, f"\n {token}\r\n", token):
        add(text).assert_ok()
    for text in (f"{token}\n{token}\n", f"Bearer {token}",
                 f"{token[:9]} {token[9:]}"):
        refused = add(text)
        refused.assert_failed("odd.token", "one token", code=78)
        assert token[9:] not in refused.err
    host.hook("getssl", "add", "example.com", digest(),
              DNS01_TOKEN_FILE="").assert_failed("DNS01_TOKEN_FILE", code=77)
    host.hook("mod_md", "teardown", "example.com").assert_ok()
    host.end()


def test_a_broker_out_of_reach_is_an_error_never_a_way_around(bed):
    host = Host(bed, secondaries=())
    conf = write_config(bed, providers=host.broker.settings["providers"],
                        zones=[zone("example.com")])
    nowhere = f"http://127.0.0.1:{bed.port()}"
    result = host.hook("getssl", "add", "example.com", digest(),
                       DNS01_BROKER=nowhere, DNS01_CONFIG=conf)
    result.assert_failed("broker", nowhere)
    assert result.err.count("cannot connect") == 1, result.err
    host.hook("getssl", "add", "example.com", digest(), DNS01_BROKER=" , ",
              DNS01_CONFIG=conf).assert_failed("is not a broker's URL")
    assert host.shown() == []
    # the next one in the list is tried
    value = digest()
    host.hook("getssl", "add", "example.com", value,
              DNS01_BROKER=f"{nowhere}, {host.broker.url()}").assert_ok()
    assert host.shown() == [value]
    refused = host.hook("getssl", "add", "example.org", digest())
    refused.assert_failed("may not publish", "example.org")
    secret = host.broker.token("web")
    assert secret not in refused.err + refused.out
    host.hook("getssl", "del", "example.com", value).assert_ok()
    host.end()


def test_a_hook_survives_that_its_broker_is_restarted(bed):
    """By a crash, which forgets who waits, and in good order."""
    port = bed.port()
    host = Host(bed, secondaries=(Behind("bind", silent=True),), listeners=[
        {"http": f"127.0.0.1:{port}", "doors": ["api"]}], wait="60s")

    def begin(value):
        before = len(host.shown())
        command = host.start([bed.tool("dns01"), "hook", "uacme", "begin",
                              "dns-01", "example.com", "token", value])
        wait_until(lambda: len(host.shown()) > before, "it is published")
        return command

    values = [digest(), digest()]
    command = begin(values[0])
    host.broker.command.kill()
    host.broker.start()
    wait_until(lambda: host.broker.ask("GET", "/healthz", kind="http").status
               == 200, "ready")
    other = begin(values[1])
    host.broker.stop().assert_ok()
    host.broker.start()
    host.site.proxies[0].silent = False
    command.wait(60).assert_ok()
    other.wait(60).assert_ok()
    assert host.shown() == sorted(values)
    host.hook("uacme", "done", "dns-01", "example.com", "token", values[0])
    host.hook("mod_md", "teardown", "example.com").assert_ok()
    host.end()


def test_what_the_second_broker_published_is_removed_there(bed):
    """The first one was out of reach then, and is there again."""
    host = Host(bed, secondaries=())
    first = bed.port()
    digests = [hashlib.sha256(host.broker.token("web").encode()).hexdigest()]
    conf = write_config(
        bed, "first.conf", state=bed.state("first"), user="root",
        providers=host.broker.settings["providers"],
        zones=[zone("example.com")],
        clients=[dict(WEB, token_sha256=digests)],
        listeners=[{"http": f"127.0.0.1:{first}", "doors": ["api"]}])
    value = digest()
    both = {"DNS01_BROKER": f"http://127.0.0.1:{first} {host.broker.url()}"}
    added = host.hook("getssl", "add", "example.com", value, **both)
    assert f"{first}: cannot connect" in added.assert_ok().err
    assert "the next one is asked" in added.err
    serve = bed.start_dns01("serve", "-c", conf)
    serve.wait_for(lambda c: "listening" in c.output(), "it listens")
    host.hook("getssl", "del", "example.com", value, **both).assert_ok()
    serve.signal(signal.SIGTERM)
    serve.wait(30)
    host.end()


def test_a_signal_while_a_hook_waits_undoes_it(bed):
    host = Host(bed, secondaries=("bind", Behind("bind", silent=True)))
    command = host.start([bed.tool("dns01"), "hook", "mod_md", "setup",
                          "example.com", digest()])
    command.wait_for(lambda _: host.shown(), "it has published")
    command.signal(signal.SIGTERM)
    assert command.wait().code == 130
    host.end()


def through(bed, broker, pebble, provider, **zone_settings):
    return write_config(
        bed, "host.conf", state=bed.state("host"),
        accounts=[account(pebble)], providers=[provider],
        zones=[zone("example.com", provider["name"], **zone_settings)],
        certificates=[certificate(*NAMES)])


def issue(bed, conf, pebble):
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.assert_issued(pebble, list(NAMES), state=bed.state("host"))


def test_issue_through_the_provider_broker(bed):
    host = Host(bed)
    pebble = bed.pebble()
    wire = bed.watch_wire()
    conf = through(bed, host.broker, pebble, {
        "name": "through", "type": "broker", "url": [host.broker.url()],
        "token_file": host.broker.token_file("web")})
    issue(bed, conf, pebble)
    assert len(wire.updates(server=host.site.address)) == 2
    host.end()


def test_issue_where_the_broker_alone_watches(bed):
    host = Host(bed, secondaries=(Behind("bind", lag_s=2),))
    pebble = bed.pebble()
    conf = through(bed, host.broker, pebble, {
        "name": "through", "type": "broker",
        "url": [f"unix:{host.broker.socket}"], "wait": "visible",
        "token_file": host.broker.token_file("web")}, watch="provider")
    issue(bed, conf, pebble)
    shown = host.site.proxies[0].first_shown(NAME)
    assert min(pebble.challenges_answered()) > shown
    host.end()


def test_issue_through_the_provider_httpreq(bed):
    host = Host(bed)
    pebble = bed.pebble()
    conf = through(bed, host.broker, pebble, {
        "name": "through", "type": "httpreq", "endpoint": host.broker.url(),
        "username": "web", "password_file": host.broker.token_file("web")})
    issue(bed, conf, pebble)
    host.end()


def test_issue_through_the_provider_acmedns(bed):
    host = Host(bed, lease="1m")
    pebble = bed.pebble()
    printed = host.broker.dns01("token", "new", "web", "--as", "acmedns",
                                "--for", "example.com").assert_ok().out
    accounts = bed.write("accounts.json", printed.splitlines()[-1].replace(
        "https://BROKER:PORT", host.broker.url()), mode=0o600)
    conf = through(bed, host.broker, pebble, {
        "name": "through", "type": "acmedns", "accounts_file": accounts})
    issue(bed, conf, pebble)
    host.broker.stop().assert_ok()


def test_a_refusal_reaches_whoever_issues(bed):
    host = Host(bed, names=["other.example.com"], under=[])
    pebble = bed.pebble()
    conf = through(bed, host.broker, pebble, {
        "name": "through", "type": "broker", "url": [host.broker.url()],
        "token_file": host.broker.token_file("web")})
    bed.dns01("issue", "-c", conf).assert_failed(
        "may not publish", "example.com", "names or under")
    host.end()


def test_hooks_go_through_the_configured_broker_by_tls(bed):
    site = bed.site(secondaries=())
    ca = OwnCa(bed, "hosts")
    broker = Broker(bed, site, [
        {"name": "fleet", "auth": "mtls", "names": ["@san"]}],
        tls=ca).start()
    cert, key = ca.issue("h1", ["DNS:h1.example.com"])
    os.chmod(key, 0o600)
    conf = write_config(bed, brokers=[
        {"url": broker.url("https"), "ca_file": ca.root, "cert_file": cert,
         "key_file": key}])
    value = digest()
    bed.dns01("hook", "-c", conf, "getssl", "add", "h1.example.com",
              value).assert_ok()
    owner = "_acme-challenge.h1.example.com"
    assert dnswire.txt_values(site.address, owner) == [value]
    bed.dns01("hook", "-c", conf, "getssl", "add", "h2.example.com",
              digest()).assert_failed("may not publish")
    bed.dns01("hook", "-c", conf, "getssl", "del", "h1.example.com",
              value).assert_ok()
    wait_until(lambda: not dnswire.txt_values(site.address, owner), "gone")
    broker.stop().assert_ok()

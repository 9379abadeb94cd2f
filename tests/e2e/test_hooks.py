"""dns01 as the hook of other ACME clients, unmodified ones, against Pebble."""

import os
import signal

from testbed import Behind, dnswire
from testbed.bed import TOP
from testbed.config import rfc2136, write_config, zone

NAME = "_acme-challenge.example.com"
NAMES = ("example.com", "*.example.com")
VALUE = "-x1oGyWqcWbtZ3Oqa9ulcQ6jcMGxbJnBWzlQw1rWoMs"  # a hyphen first
OTHER = "LPsIwTo7o8BoG0-vjCyGQGBWSVIPxI-i_X336eUOQZo"
HOOKS = os.path.join(TOP, "contrib", "hooks")


class Host:
    """A host with dns01 in its PATH, a configuration, and a site."""

    def __init__(self, bed, *, zone_settings=None, **site):
        self.bed = bed
        self.site = bed.site(**site)
        bed.resolver()
        os.makedirs(f"{bed.dir}/bin", exist_ok=True)
        os.symlink(bed.tool("dns01"), f"{bed.dir}/bin/dns01")
        conf = write_config(bed, providers=[rfc2136(self.site)],
                            zones=[zone("example.com",
                                        **(zone_settings or {}))])
        self.env = {"DNS01_CONFIG": conf,
                    "PATH": f"{bed.dir}/bin:{os.environ['PATH']}:/usr/sbin"}

    def start(self, argv, **env):
        return self.bed.start(argv, env={**self.env, **env}, name="client")

    def run(self, argv, **env):
        return self.start(argv, **env).wait(120)

    def hook(self, *arguments, **env):
        return self.run([self.bed.tool("dns01"), "hook", *arguments], **env)

    def shown(self):
        return dnswire.txt_values(self.site.address, NAME)

    def updates_of(self, wire):
        return len(wire.updates(server=self.site.address))


def issued(bed, pebble, path):
    found = bed.certificate(path)
    assert found.names == sorted(NAMES), found.names
    found.assert_chains_to(pebble.issuing_root())


def certbot(bed, host, pebble):
    folders = [f"--{part}-dir={bed.dir}/certbot/{part}"
               for part in ("config", "work", "logs")]
    domains = [word for name in NAMES for word in ("-d", name)]
    return host.run(
        [bed.tool("certbot"), "certonly", "-n", "--agree-tos",
         "--register-unsafely-without-email", "--server", pebble.directory,
         "--manual", "--preferred-challenges", "dns", "--manual-auth-hook",
         "dns01 hook certbot auth", "--manual-cleanup-hook",
         "dns01 hook certbot cleanup", *folders, *domains],
        REQUESTS_CA_BUNDLE=pebble.ca_root)


def test_certbot_publishes_a_run_at_once_and_waits(bed):
    host = Host(bed, secondaries=("bind", Behind("bind", lag_s=2)))
    pebble = bed.pebble()  # certbot ends at the second nonce that is refused in a row
    wire = bed.watch_wire()
    result = certbot(bed, host, pebble).assert_ok()
    issued(bed, pebble,
           f"{bed.dir}/certbot/config/live/example.com/fullchain.pem")
    shown = host.site.proxies[0].first_shown(NAME)
    assert min(pebble.challenges_answered()) > shown, result
    # One to publish both values; certbot cleans up one by one.
    assert host.updates_of(wire) == 3
    host.site.assert_clean()


def dehydrated(bed, host, pebble, chain):
    folder = bed.new_folder("dehydrated")
    config = os.path.join(folder, "config")
    with open(config, "w", encoding="ascii") as file:
        file.write(f'CA="{pebble.directory}"\nCHALLENGETYPE="dns-01"\n'
                   f'BASEDIR="{folder}"\nHOOK="{HOOKS}/dehydrated"\n'
                   f'HOOK_CHAIN="{chain}"\nKEY_ALGO=prime256v1\n')
    with open(f"{folder}/domains.txt", "w", encoding="ascii") as file:
        file.write(" ".join(NAMES) + " > both\n")
    command = [bed.tool("dehydrated"), "-f", config]
    env = {"CURL_CA_BUNDLE": pebble.ca_root}
    host.run([*command, "--register", "--accept-terms"], **env).assert_ok()
    host.run([*command, "-c"], **env).assert_ok()
    issued(bed, pebble, f"{folder}/certs/both/fullchain.pem")
    host.site.assert_clean()


def test_dehydrated_with_a_chain_needs_two_updates(bed):
    host = Host(bed, secondaries=("bind",))
    pebble = bed.pebble()
    wire = bed.watch_wire()
    dehydrated(bed, host, pebble, "yes")
    assert host.updates_of(wire) == 2


def test_dehydrated_without_a_chain(bed):
    dehydrated(bed, Host(bed, secondaries=("bind",)), bed.pebble(), "no")


def test_dehydrated_hears_nothing_of_what_it_does_not_know(bed):
    host = Host(bed, secondaries=())
    for verb in (["startup_hook"], ["exit_hook", "an error"], ["generate_csr"],
                 ["this_hookscript_is_broken"], []):
        result = host.hook("dehydrated", *verb, DNS01_CONFIG="/nowhere.conf")
        assert (result.code, result.out, result.err) == (0, "", ""), result


def test_a_batch_that_fails_is_undone(bed):
    host = Host(bed, secondaries=(), policy=[f"name {NAME}. TXT"])
    result = host.hook("dehydrated", "deploy_challenge", "example.com", "f",
                       VALUE, "www.example.com", "f", OTHER)
    result.assert_failed("REFUSED", code=77)
    host.site.assert_clean()


def test_uacme(bed):
    host = Host(bed, secondaries=("bind",))
    pebble = bed.pebble(stable=True)
    trust(bed, pebble)
    folder = bed.new_folder("uacme")
    command = [bed.tool("uacme"), "-a", pebble.directory, "-c", folder, "-t",
               "EC", "-h", f"{HOOKS}/uacme"]
    host.run([*command, "-y", "new", "admin@example.com"]).assert_ok()
    host.run([*command, "issue", *NAMES]).assert_ok()
    issued(bed, pebble, f"{folder}/example.com/cert.pem")
    host.site.assert_clean()
    declined = host.hook("uacme", "begin", "http-01", "example.com", "t", "a")
    assert declined.code == 1 and declined.out == "", declined


def trust(bed, pebble):
    """For clients that know the system's roots alone."""
    from testbed import namespace
    namespace.bind_file(pebble.ca_root, "/etc/ssl/certs/ca-certificates.crt")


def lego(bed, host, pebble, **env):
    folder = bed.new_folder("lego")
    domains = [word for name in NAMES for word in ("--domains", name)]
    host.run([bed.tool("lego"), "--server", pebble.directory, "--accept-tos",
              "--email", "admin@example.com", "--path", folder, "--dns",
              "exec", "--dns.resolvers", f"{bed.resolver().address}:53",
              *domains, "run"],
             LEGO_CA_CERTIFICATES=pebble.ca_root, EXEC_PATH=f"{HOOKS}/lego",
             EXEC_POLLING_INTERVAL="1", EXEC_SEQUENCE_INTERVAL="1",
             **env).assert_ok()
    issued(bed, pebble, f"{folder}/certificates/example.com.crt")
    host.site.assert_clean()


def test_lego_exec(bed):
    lego(bed, Host(bed, secondaries=("bind",)), bed.pebble())


def test_lego_exec_raw(bed):
    lego(bed, Host(bed, secondaries=("bind",)), bed.pebble(), EXEC_MODE="RAW")


def test_acme_sh_sources_the_script(bed):
    host = Host(bed, secondaries=())
    for verb, left in (("add", [VALUE]), ("rm", [])):
        host.run(["/bin/sh", "-ec", f'. "{HOOKS}/dns_dns01.sh"; '
                  f'dns_dns01_{verb} "$1" "$2"', "sh", NAME, VALUE]
                 ).assert_ok()
        assert host.shown() == left
    failing = host.run(["/bin/sh", "-c", f'. "{HOOKS}/dns_dns01.sh"; '
                        "dns_dns01_add elsewhere.test value"])
    assert failing.code != 0


def test_getssl_may_say_it_twice(bed):
    host = Host(bed, secondaries=())
    for _ in range(2):
        host.hook("getssl", "add", "example.com", VALUE).assert_ok()
    assert host.shown() == [VALUE]
    host.hook("getssl", "del", "example.com", VALUE).assert_ok()
    host.hook("getssl", "del", "example.com", VALUE).assert_ok()
    host.site.assert_clean()


def test_mod_md_tears_down_with_and_without_the_value(bed):
    host = Host(bed, secondaries=())
    for value in (VALUE, OTHER):
        host.hook("mod_md", "setup", "example.com", value).assert_ok()
    assert host.shown() == sorted([VALUE, OTHER])
    host.hook("mod_md", "teardown", "example.com", OTHER).assert_ok()
    assert host.shown() == [VALUE]
    host.hook("mod_md", "teardown", "example.com").assert_ok()
    host.site.assert_clean()


def test_what_an_alias_led_elsewhere_goes_by_name_though_it_turned(bed):
    old = "old.targets.example.com"
    host = Host(bed, secondaries=())

    def lead(alias):
        write_config(bed, providers=[rfc2136(host.site)],
                     zones=[zone("example.com", alias=alias)])

    def of_old():
        return sorted(dnswire.txt_values(host.site.address, old))

    lead(old)
    host.hook("mod_md", "setup", "www.example.com", VALUE).assert_ok()
    host.hook("mod_md", "setup", "mail.example.com", OTHER).assert_ok()
    assert of_old() == sorted([VALUE, OTHER])
    lead("off")
    host.hook("mod_md", "teardown", "www.example.com").assert_ok()
    assert of_old() == [OTHER]
    retract = [bed.tool("dns01"), "retract", "mail.example.com"]
    assert "1 record removed" in host.run(retract).assert_ok().out
    host.run(retract).assert_failed("no value of ours")
    host.site.assert_clean()


def test_two_clients_share_a_value_and_the_last_takes_it_away(bed):
    host = Host(bed, secondaries=())
    for client in ("getssl", "acme.sh"):
        name = NAME if client == "acme.sh" else "example.com"
        host.hook(client, "add", name, VALUE).assert_ok()
    host.hook("getssl", "del", "example.com", VALUE).assert_ok()
    assert host.shown() == [VALUE]
    host.hook("acme.sh", "rm", NAME, VALUE).assert_ok()
    host.site.assert_clean()


def test_siblings_stay(bed):
    host = Host(bed, secondaries=())
    host.site.update(f'add {NAME} 60 TXT "somebody-else"')
    host.hook("getssl", "add", "example.com", VALUE).assert_ok()
    host.hook("getssl", "del", "example.com", VALUE).assert_ok()
    host.site.assert_clean(expecting=[(NAME, "somebody-else")])


def test_a_client_that_dies_leaves_it_to_the_sweep(bed):
    host = Host(bed, secondaries=())
    host.hook("getssl", "add", "example.com", VALUE).assert_ok()
    status = host.run([bed.tool("dns01"), "status"]).assert_ok()
    assert "hook getssl" in status.out and NAME in status.out, status
    host.run([bed.tool("dns01"), "sweep"]).assert_ok()
    assert host.shown() == [VALUE], "its lease is alive"
    host.run([bed.tool("dns01"), "sweep"], **bed.clock_offset(3700))
    host.run([bed.tool("dns01"), "retract", "example.com"]).assert_ok()
    host.site.assert_clean()


def test_a_signal_while_it_waits_undoes_it(bed):
    host = Host(bed, secondaries=("bind", Behind("bind", silent=True)))
    command = host.start([bed.tool("dns01"), "hook", "mod_md", "setup",
                          "example.com", VALUE])
    command.wait_for(lambda _: host.shown(), "it has published")
    command.signal(signal.SIGTERM)
    assert command.wait().code == 130
    host.site.assert_clean()


def test_what_is_called_wrongly_says_how(bed):
    host = Host(bed, secondaries=())
    host.hook("emacs", "add").assert_failed("certbot, dehydrated", code=64)
    host.hook("getssl", "add", "example.com").assert_failed("DOMAIN VALUE",
                                                            code=64)
    host.hook("certbot", "auth").assert_failed("CERTBOT_VALIDATION", code=64)
    host.hook("lego", "present", "--", "example.com").assert_failed("KEYAUTH",
                                                                    code=64)
    helped = host.hook("--help").assert_ok()
    assert "mod_md" in helped.out

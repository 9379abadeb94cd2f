"""Deployment apart from issuance: copies, what is due later, what people are
told of it."""

import json
import os
import shutil
import signal
import ssl
import stat
import threading

from testbed import time_limit
from testbed.deployed import DEPLOY_FAILED, NAMES, Host, mode, read

PARTS = ("privkey", "cert", "chain", "fullchain")
HOOK = r"""#!/bin/sh
# As people write them for certbot: knows nothing but its variables.
set -e
[ -z "$FAILED_DOMAINS" ]
name=$(basename "$RENEWED_LINEAGE")
for domain in $RENEWED_DOMAINS; do
    case $domain in
    example.com)
        umask 077
        cat "$RENEWED_LINEAGE/fullchain.pem" "$RENEWED_LINEAGE/privkey.pem" \
            > "@OUT@/$name.pem"
        cmp "$RENEWED_LINEAGE/cert.pem" "@OUT@/cert" 2>/dev/null || true
        ;;
    esac
done
"""


# Copies


def test_every_layout_has_the_new_certificate(bed):
    host = Host(bed)
    out = os.path.dirname(bed.path("out/."))
    os.makedirs(f"{out}/le")
    bed.write("password", "sesame street\n", 0o600)
    host.configure(export=[
        {"layout": "files", "path": f"{out}/files", "mode": "0640",
         "group": "daemon"},
        {"layout": "certbot", "path": f"{out}/le/live/example.com"},
        {"layout": "haproxy", "path": f"{out}/edge.pem"},
        {"layout": "pkcs12", "path": f"{out}/edge.p12",
         "password_file": bed.path("password")}])
    for number in (1, 2):
        host.issue().assert_ok()
        current = bed.current()
        for part in PARTS:
            new = read(current, f"{part}.pem")
            assert read(out, "files", f"{part}.pem") == new
            link = f"{out}/le/live/example.com/{part}.pem"
            assert os.readlink(link) == (
                f"../../archive/example.com/{part}{number}.pem")
            assert read(link) == new
        assert read(out, "edge.pem") == (
            read(current, "privkey.pem") + read(current, "fullchain.pem"))
        assert mode(out, "edge.pem") == mode(out, "edge.p12") == 0o600
        assert mode(out, "files/privkey.pem") == 0o640
        assert os.stat(f"{out}/files/privkey.pem").st_gid != 0
        shown = bed.run([bed.tool("openssl"), "pkcs12", "-in",
                         f"{out}/edge.p12", "-passin",
                         "file:" + bed.path("password"), "-nodes", "-info"])
        assert read(current, "cert.pem").decode().strip() in shown
        assert "friendlyName: test" in shown
    bed.assert_issued(host.pebble, NAMES)


def test_reader_never_sees_a_key_with_another_certificate(bed):
    """Key, chain, key again: where the key stayed, the chain is its own."""
    host = Host(bed)
    out = bed.path("out/tls")
    host.configure(export=[{"layout": "files", "path": out}])
    host.issue().assert_ok()
    stop, mixes, looks = threading.Event(), [], [0]

    def look():
        while not stop.is_set():
            key, chain = read(out, "privkey.pem"), read(out, "fullchain.pem")
            if key != read(out, "privkey.pem"):
                continue
            looks[0] += 1
            both = bed.write("reader/both.pem", (key + chain).decode())
            try:
                ssl.create_default_context().load_cert_chain(both)
            except ssl.SSLError as error:
                mixes.append(error)

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for _ in range(30):
            host.deploy("test").assert_ok()
        for _ in range(3):
            host.issue().assert_ok()
    finally:
        stop.set()
        reader.join()
    assert looks[0] > 10 and not mixes, (looks, mixes)


def test_full_disk_keeps_the_old_copy_until_there_is_room(bed):
    host = Host(bed)
    out = os.path.dirname(bed.path("out/."))
    bed.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", out])
    host.configure(host.recorder.command("go"),
                   export=[{"layout": "files", "path": f"{out}/tls"}])
    host.issue().assert_ok()
    assert host.runs() == ["go"]
    before = read(out, "tls/fullchain.pem")
    with open(f"{out}/ballast", "wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(512))
        except OSError:
            pass
    host.issue().assert_failed("the certificate is there", f"{out}/tls",
                               "No space left on device", "make room",
                               code=DEPLOY_FAILED)
    assert read(out, "tls/fullchain.pem") == before != host.cert()
    assert host.runs() == []
    os.unlink(f"{out}/ballast")
    host.deploy().assert_ok()
    assert read(out, "tls/cert.pem") == host.cert()
    assert host.runs() == ["go"]


def test_plain_user_keeps_a_certificate_and_its_copies(bed):
    host = Host(bed)
    out = bed.path("home/out")
    os.makedirs(out)
    key = bed.path("home/acme.key")
    shutil.copy(host.site.key.path, key)
    os.chmod(key, 0o600)
    host.site.key.path = key
    host.configure(host.recorder.command("go"), export=[
        {"layout": "files", "path": f"{out}/tls"},
        {"layout": "haproxy", "path": f"{out}/edge.pem"},
        {"layout": "haproxy", "path": "/etc/edge.pem"}])
    bed.run(["chown", "-R", "nobody", bed.path("home")])
    os.chmod(bed.dir, 0o777)
    user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
            bed.tool("dns01"), "issue", "-c", host.conf, "--state",
            bed.path("home/state")]
    result = bed.start(user, name="user").wait()
    result.assert_failed("/etc/edge.pem", "Permission denied",
                         "run dns01 as a user who may", code=DEPLOY_FAILED)
    assert not os.path.exists("/etc/edge.pem")
    for path in (f"{out}/tls/.current/privkey.pem", f"{out}/edge.pem"):
        assert mode(path) == 0o600 and os.stat(path).st_uid != 0
    assert host.runs() == [], "a copy is missing, so nobody is told"


# What is due later


def test_certbots_deploy_hook_runs_unchanged(bed):
    host = Host(bed)
    out = os.path.dirname(bed.path("out/."))
    hook = bed.write("bin/hook", HOOK.replace("@OUT@", out), 0o755)
    host.configure((hook, "{lineage}"), keys=["p256", "rsa2048"])
    host.issue().assert_ok()
    assert sorted(os.listdir(out)) == ["test-rsa2048.pem", "test.pem"]
    for lineage in ("test", "test-rsa2048"):
        current = bed.current(lineage)
        assert read(out, f"{lineage}.pem") == (
            read(current, "fullchain.pem") + read(current, "privkey.pem"))


def test_failed_command_is_tried_again_until_it_succeeds(bed):
    host = Host(bed)
    flag = bed.path("out/flag")
    host.configure(("/usr/bin/test", "-e", flag), host.recorder.command("go"))
    host.issue().assert_failed("/usr/bin/test", code=DEPLOY_FAILED)
    host.deploy().assert_failed("exit status 1", code=DEPLOY_FAILED)
    assert host.runs() == ["go"], "what succeeded is not done again"
    bed.write("out/flag", "")
    result = host.deploy("--json").assert_ok()
    step, = json.loads(result.out)["deployed"]
    assert step["done"] and step["lineages"] == ["test"]
    assert step["what"] == f"/usr/bin/test -e {flag}"
    assert host.deploy().assert_ok().out == ""
    assert host.pebble.issued() == 1 and host.runs() == []


def test_what_is_new_in_the_configuration_is_due(bed):
    """As after a crash between the store and the first command."""
    host = Host(bed).configure()
    host.issue().assert_ok()
    host.configure(host.recorder.command("go"),
                   export=[{"layout": "haproxy",
                            "path": bed.path("out/edge.pem")}])
    host.deploy().assert_ok()
    host.deploy().assert_ok()
    assert host.runs() == ["go"]
    assert read(bed.path("out/edge.pem")).endswith(
        read(bed.current(), "fullchain.pem"))
    host.deploy("test").assert_ok()
    assert host.runs() == ["go"]
    host.deploy("tset").assert_failed("tset", "no certificate of this name")


def test_crash_while_deploying_leaves_the_rest_due(bed):
    host = Host(bed)
    killer = bed.write("bin/killer", "#!/bin/sh\n"
                       f"[ -e {bed.path('out/once')} ] && exit 0\n"
                       f": > {bed.path('out/once')}\nkill -9 $PPID\n", 0o755)
    host.configure(host.recorder.command("one"), (killer,),
                   host.recorder.command("two"),
                   export=[{"layout": "files", "path": bed.path("out/tls")}])
    result = host.issue()
    assert result.code == -signal.SIGKILL, result
    assert host.runs() == ["one"]
    host.deploy().assert_ok()
    assert host.runs() == ["two"], "one is not done twice, two not never"
    assert host.deploy().assert_ok().err == ""
    bed.assert_issued(host.pebble, NAMES)


def test_signal_before_the_deployment_leaves_it_due(bed):
    host = Host(bed)
    host.configure(host.recorder.command("hang"), host.recorder.command("two"))
    run = bed.start_dns01("issue", "-c", host.conf)
    run.wait_for(lambda _: host.recorder.runs(), "the command runs")
    run.signal(signal.SIGINT)
    run.wait(15).assert_failed("stopped by the operator", code=130)
    host.runs()
    host.configure(host.recorder.command("ok"), host.recorder.command("two"))
    host.deploy().assert_ok()
    assert host.runs() == ["ok", "two"]


# What people are told


def _pager(bed):
    """A command that keeps each event; where."""
    log = bed.path("out/events")
    bed.write("bin/page", f"#!/bin/sh\ncat >> {log}\n"
              f"[ $# = 1 ] || echo argv >> {log}\n", 0o755)
    return {"notify": {"run": [bed.path("bin/page"), "ops"]}}, log


def _events(log):
    if not os.path.exists(log):
        return []
    with open(log, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_failed_deployment_is_told_once_and_reminded_of(bed):
    host, (more, log) = Host(bed), _pager(bed)
    host.configure(host.recorder.command("fail"), more=more)
    host.issue().assert_failed(code=DEPLOY_FAILED)
    host.deploy().assert_failed(code=DEPLOY_FAILED)
    event, = _events(log)
    assert event["event"] == "deploy-failed", event
    assert event["error"]["subject"] == host.recorder.program
    assert "exit status 3" in event["error"]["text"]
    lineage, = event["lineages"]
    assert lineage["name"] == "test" and lineage["what"].endswith("fail")
    for hours, told in ((23, 1), (25, 2), (26, 2), (50, 3)):
        host.deploy(env=bed.clock_offset(hours * 3600)).assert_failed(
            code=DEPLOY_FAILED)
        assert len(_events(log)) == told, hours
    host.configure(host.recorder.command("ok"), more=more)
    host.deploy().assert_ok()
    assert len(_events(log)) == 3


def test_pager_that_fails_is_said_and_asked_again(bed):
    host = Host(bed)
    host.configure(host.recorder.command("fail"),
                   more={"notify": {"run": ["/bin/false"]}})
    for command in (host.issue, host.deploy):
        command().assert_failed("notify.run", "/bin/false", "exit status 1",
                                code=DEPLOY_FAILED)


# Secrets


@time_limit(180)
def test_no_secret_is_ever_shown(bed):
    """Not in what is printed, however loud; not in a command's argv or
    environment; not in the state but where it belongs; not for others."""
    host, (more, log) = Host(bed), _pager(bed)
    out = os.path.dirname(bed.path("out/."))
    password = bed.write("password", "sesame street\n", 0o600)
    os.makedirs(f"{out}/le")
    host.configure(host.recorder.command("fail"), more=more, export=[
        {"layout": "pkcs12", "path": f"{out}/edge.p12",
         "password_file": password},
        {"layout": "haproxy", "path": f"{out}/edge.pem"},
        {"layout": "files", "path": f"{out}/tls"},
        {"layout": "certbot", "path": f"{out}/le/live/x"}])
    said = []
    for arguments in (("issue", "-vv"), ("deploy", "-vv"),
                      ("deploy", "test", "--json"), ("status",),
                      ("config", "dump", host.conf)):
        options = () if arguments[0] == "config" else ("-c", host.conf)
        result = bed.dns01(*arguments, *options)
        said += [result.out, result.err]
    with open(host.recorder.log, encoding="utf-8") as file:
        said.append(file.read())
    said.append(json.dumps(_events(log)))
    with open(bed.state() + "/renewals.db", "rb") as file:
        said.append(file.read().decode("latin-1"))
    secrets = ["sesame street"] + read(
        bed.current(), "privkey.pem").decode().splitlines()[1:3]
    for text in said:
        for secret in secrets:
            assert secret not in text, text
    for folder, _, names in os.walk(out):
        for name in names:
            path = os.path.join(folder, name)
            if b"PRIVATE KEY" in read(path) or name == "edge.p12":
                assert mode(path) == 0o600, path

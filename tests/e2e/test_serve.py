"""The broker as a service: users, sockets that it is handed, what it tells
its manager and its administrator, and many clients."""

import json
import os
import pwd
import signal
import socket
import sqlite3
import ssl
import sys
import time

from testbed import Behind, OwnCa, dnswire, namespace, time_limit, tsig
from testbed import wait_until
from testbed.broker import Broker, digest
from testbed.config import (account, certificate, rfc2136, write_config,
                            zone)

NAME = "_acme-challenge.www.example.com"
WEB = {"name": "web", "names": ["www.example.com"]}
SERVICE = "daemon"  # a user that every system has


def shown(broker, owner=NAME):
    return dnswire.txt_values(broker.site.address, owner)


def service_folder(bed, broker):
    """State folder, configuration and key as tmpfiles.d and the README make
    them for the daemon's user."""
    user = pwd.getpwnam(SERVICE)
    os.chmod(bed.dir, 0o711)
    os.chmod(os.path.dirname(broker.site.key.path), 0o711)
    os.chown(broker.state, user.pw_uid, user.pw_gid)
    os.chmod(broker.state, 0o2770)
    for path in (broker.conf, broker.site.key.path):
        os.chown(path, 0, user.pw_gid)
        os.chmod(path, 0o640)
    folder = bed.path("run/.")[:-2]
    os.chown(folder, user.pw_uid, user.pw_gid)
    return user


def identity_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        fields = dict(line.split(":\t", 1) for line in file if ":\t" in line)
    return ({int(n) for n in fields["Uid"].split()},
            {int(n) for n in fields["Gid"].split()},
            int(fields["CapEff"], 16))


def test_started_as_root_it_becomes_its_user(bed):
    """Ports and keys that root alone may have, then nothing of root's."""
    if namespace.only_root():
        return
    site = bed.site(secondaries=())
    ca = OwnCa(bed, "hosts")
    sock = f"{bed.dir}/run/socket"
    address = bed.address()
    broker = Broker(bed, site, [WEB], tls=ca, user=SERVICE,
                    audit=f"{bed.dir}/run/audit.json", listeners=[
                        {"unix": sock, "doors": ["api"]},
                        {"dns": f"{address}:53", "doors": ["update"]}])
    broker.socket = sock
    user = service_folder(bed, broker)
    broker.start()
    uids, gids, capabilities = identity_of(broker.command.pid)
    assert uids == {user.pw_uid} and gids == {user.pw_gid}, (uids, gids)
    assert capabilities == 0
    value = digest()
    assert broker.publish("web", "www.example.com", value).status == 200
    assert dnswire.ask(address, "example.com", "SOA").authoritative
    # root's commands and the daemon write the same files, in either order
    other = digest()
    broker.dns01("hook", "getssl", "add", "www.example.com",
                 other).assert_ok()
    assert sorted(shown(broker)) == sorted([value, other])
    broker.dns01("hook", "getssl", "del", "www.example.com",
                 other).assert_ok()
    assert broker.publish("web", "www.example.com", digest()).status == 200
    for name in os.listdir(broker.state):
        owner = os.stat(f"{broker.state}/{name}").st_uid
        assert owner == user.pw_uid or name == "certs", name
    broker.command.signal(signal.SIGHUP)
    broker.command.wait_for(lambda c: "read again" in c.output(), "reload")
    assert broker.publish("web", "www.example.com", digest()).status == 200
    broker.stop().assert_ok()
    broker.start()
    assert broker.publish("web", "www.example.com", value).status == 200
    broker.stop().assert_ok()


def test_a_user_that_is_not_there_is_said(bed):
    site = bed.site(secondaries=())
    broker = Broker(bed, site, [WEB], user="no-such-user")
    result = bed.dns01("serve", "-c", broker.conf)
    result.assert_failed("no-such-user", "useradd", code=78)


class Launcher:
    """A service manager: opens sockets, hands them on, and listens to what
    it is told."""

    SCRIPT = """
import os, socket, sys
places = sys.argv[1].split(",")
fds = []
for place in places:
    if place.startswith("/"):
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(place)
        os.chmod(place, 0o666)
        sock.listen(64)
        fds.append(sock)
    else:
        kind, host, port = place.split("!")
        sock = socket.socket(socket.AF_INET, getattr(socket, kind))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, int(port)))
        if kind == "SOCK_STREAM":
            sock.listen(64)
        fds.append(sock)
kept = [os.dup(s.fileno()) for s in fds]
kept = [os.dup2(os.dup2(fd, 100 + i), 3 + i) for i, fd in enumerate(kept)]
os.environ.update(LISTEN_FDS=str(len(kept)), LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""

    def __init__(self, bed, places):
        self.script = bed.write("launcher.py", self.SCRIPT)
        self.places = places
        self.notified = []
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.path = f"{bed.dir}/notify"
        self.sock.bind(self.path)
        self.sock.setblocking(False)
        bed.on_close(self.sock.close)

    def command(self, *argv):
        return [sys.executable, self.script, ",".join(self.places), *argv]

    def heard(self, word):
        try:
            while True:
                self.notified.append(self.sock.recv(4096).decode())
        except BlockingIOError:
            pass
        return word in self.notified


def test_a_service_manager_hands_it_sockets_and_hears_of_it(bed):
    site = bed.site(secondaries=())
    address, port = bed.address(), bed.port()
    sock = f"{bed.dir}/activated.sock"
    broker = Broker(bed, site, [WEB], listeners=[
        {"unix": sock, "doors": ["api"]},
        {"http": f"{address}:{port}", "doors": ["metrics"]},
        {"dns": f"{address}:8053", "doors": ["update"]}])
    broker.socket = sock
    launcher = Launcher(bed, [sock, f"SOCK_STREAM!{address}!{port}",
                              f"SOCK_DGRAM!{address}!8053",
                              f"SOCK_STREAM!{address}!8053"])

    def start():
        broker.command = bed.start(
            launcher.command(bed.tool("dns01"), "serve", "-c", broker.conf,
                             "-v"),
            env={"NOTIFY_SOCKET": launcher.path}, name="dns01")
        broker.command.wait_for(lambda _: launcher.heard("READY=1"),
                                "it is ready")

    start()
    inode = os.stat(sock).st_ino
    value = digest()
    assert broker.publish("web", "www.example.com", value).status == 200
    for tcp in (False, True):
        reply = dnswire.ask(address, "example.com", "SOA", tcp=tcp,
                            port=8053)
        assert reply.authoritative
    with socket.create_connection((address, port), 10) as http:
        http.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert b" 200 " in http.recv(4096)
    broker.command.signal(signal.SIGHUP)
    wait_until(lambda: launcher.heard("RELOADING=1")
               and launcher.notified.count("READY=1") == 2, "it reloads")
    # A manager's socket is not ours to remove, nor to make anew.
    broker.stop().assert_ok()
    assert launcher.heard("STOPPING=1")
    assert os.stat(sock).st_ino == inode
    os.unlink(sock)
    launcher.notified.clear()
    # An abstract name, as systemd may give.
    launcher.sock.close()
    launcher.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    launcher.sock.bind("\0dns01-notify")
    launcher.sock.setblocking(False)
    launcher.path = "@dns01-notify"
    start()
    assert shown(broker) == [value]
    broker.stop().assert_ok()


def test_it_raises_its_limit_of_open_files(bed):
    site = bed.site(secondaries=())
    broker = Broker(bed, site, [WEB])
    broker.command = bed.start(
        ["prlimit", "--nofile=100:4000", bed.tool("dns01"), "serve", "-c",
         broker.conf], name="dns01")
    broker.command.wait_for(lambda c: "listening" in c.output(), "it listens")
    with open(f"/proc/{broker.command.pid}/limits", encoding="ascii") as file:
        files = next(line for line in file if "open files" in line).split()
    assert files[3:5] == ["4000", "4000"], files
    broker.stop().assert_ok()


ASKER = """
import socket, sys
sock = socket.socket(socket.AF_UNIX)
sock.settimeout(20)
sock.connect(sys.argv[1])
sock.sendall(b"GET /v1/grant HTTP/1.0\\r\\n\\r\\n")
while True:
    part = sock.recv(65536)
    if not part:
        break
    sys.stdout.write(part.decode())
"""


def test_a_unix_socket_knows_users_and_groups(bed):
    if namespace.only_root():
        return
    site = bed.site(secondaries=())
    broker = Broker(bed, site, [
        {"name": "by-user", "auth": "unix", "user": "nobody"},
        {"name": "by-group", "auth": "unix", "group": "staff"},
        {"name": "root", "auth": "unix", "user": "root"}]).start()
    os.chmod(bed.dir, 0o711)
    script = bed.write("asker.py", ASKER)
    os.chmod(script, 0o644)

    def ask(*who):
        return bed.run(["setpriv", *who, sys.executable, script,
                        broker.socket])

    assert '"client":"by-user"' in ask(
        "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    assert '"client":"by-group"' in ask(
        "--reuid=4242", "--regid=staff", "--clear-groups")
    assert '"client":"root"' in ask("--reuid=0")
    refused = ask("--reuid=4242", "--regid=4242", "--clear-groups")
    assert " 401 " in refused and "nothing says who asks" in refused, refused
    told = [a for a in broker.audit() if a["action"] == "identify"]
    assert told[-1]["from"] == "uid 4242", told
    broker.stop().assert_ok()


def test_ipv4_addresses_match_ipv4_networks_on_a_socket_for_both(bed):
    site = bed.site(secondaries=())
    key = bed.key("host.example")
    near = ["127.0.0.0/8"]
    ca = OwnCa(bed, "hosts")
    cert, tls_key = ca.issue("broker", ["DNS:localhost"])
    os.chmod(tls_key, 0o600)
    broker = Broker(bed, site, [
        {"name": "net", "auth": "network", "networks": near,
         "names": ["www.example.com"]},
        {"name": "far", "auth": "network", "networks": ["::/0"],
         "names": ["www.example.com"]},
        {"name": "keyed", "auth": "tsig", "tsig_key_file": key.path,
         "networks": near, "names": ["www.example.com"]}],
        listeners=[{"https": "[::]:0", "doors": ["api"], "cert_file": cert,
                    "key_file": tls_key},
                   {"dns": "[::]:0", "doors": ["update"]}]).start()
    context = ssl.create_default_context(cafile=ca.root)
    context.check_hostname = False
    for host, client in (("127.0.0.1", "net"), ("::1", "far")):
        plain = socket.create_connection((host, broker.port("https")), 10)
        with context.wrap_socket(plain) as s:
            s.sendall(b"GET /v1/grant HTTP/1.0\r\n\r\n")
            got = "".join(iter(lambda: s.recv(65536).decode(), ""))
        assert f'"client":"{client}"' in got, got
        assert f'"from":"{host}"' in got, got
    for server, rcode in (("127.0.0.1", dnswire.NOERROR),
                          ("::1", dnswire.REFUSED)):
        for tcp in (False, True):
            reply = tsig.exchange(tsig.sign(tsig.update(
                "example.com", tsig.add(NAME, digest())), key), key,
                broker.port("dns"), server=server, tcp=tcp)
            assert reply.verified and reply.rcode == rcode, (server, tcp)
    broker.stop().assert_ok()


def test_registering_by_network_alone(bed):
    """acme-dns clients that can show nothing: from allowed networks."""
    site = bed.site(secondaries=())
    broker = Broker(bed, site, [
        {"name": "net", "auth": "network", "networks": ["127.0.0.1/32"],
         "names": ["www.example.com"]},
        dict(WEB, names=["a.example.com", "b.example.com"],
             networks=["192.0.2.0/24"])]).start()
    made = broker.ask("POST", "/register", "{}", kind="http")
    assert made.status == 201, made
    head = {"X-Api-User": made.json["username"],
            "X-Api-Key": made.json["password"]}
    value = digest()
    done = broker.ask("POST", "/update", {
        "subdomain": made.json["subdomain"], "txt": value}, headers=head,
        kind="http")
    assert done.status == 200, done
    assert shown(broker) == [value]
    # An account opens its own door, for its own name.
    for method, path in (("GET", "/v1/challenges"), ("GET", "/v1/grant"),
                         ("DELETE", f"/v1/challenges?value={value}")):
        assert broker.ask(method, path, headers=head).status == 401, path
    beyond = broker.ask("POST", "/acmedns/other.example.com/register", "{}",
                        headers=head, kind="http")
    assert beyond.status == 403, beyond
    outside = broker.ask("POST", "/acmedns/a.example.com/register", "{}",
                         basic=("web", broker.token("web")), kind="http")
    assert outside.status == 403 and "networks" in outside.body, outside
    assert shown(broker) == [value]
    broker.stop().assert_ok()


def test_its_certificate_is_a_lineage_read_again_when_renewed(bed):
    """Issued by root, exported for the daemon's user, and noticed without a
    signal."""
    if namespace.only_root():
        return
    site = bed.site(secondaries=())
    pebble = bed.pebble()
    broker = Broker(
        bed, site, [WEB], user=SERVICE, audit=f"{bed.dir}/run/audit.json",
        accounts=[account(pebble)],
        certificates=[certificate(
            "broker.example.com", lineage="broker",
            export=[{"layout": "files", "path": f"{bed.dir}/run/listener",
                     "group": SERVICE, "mode": "0640"}])],
        listeners=[{"https": "127.0.0.1:0", "certificate": "broker",
                    "doors": ["api"]}])
    service_folder(bed, broker)
    context = ssl.create_default_context(cafile=pebble.issuing_root())

    def ask(method="GET", path="/v1/grant"):
        plain = socket.create_connection(("127.0.0.1", broker.port("https")),
                                         20)
        with context.wrap_socket(plain, server_hostname="broker.example.com"
                                 ) as sock:
            serial = sock.getpeercert()["serialNumber"]
            sock.sendall((
                f"{method} {path} HTTP/1.0\r\nAuthorization: Bearer "
                f"{broker.token('web')}\r\n\r\n").encode())
            assert b" 200 " in sock.recv(4096)
        return serial

    bed.dns01("serve", "-c", broker.conf).assert_failed("listener", "read")
    bed.dns01("issue", "-c", broker.conf, "broker").assert_ok()
    broker.start()
    before = ask()
    bed.dns01("issue", "-c", broker.conf, "broker").assert_ok()
    wait_until(lambda: ask() != before, "the new certificate is shown", 30)
    broker.stop().assert_ok()
    # Without an export, as whoever issued it.
    broker.write(user="root", certificates=[
        certificate("broker.example.com", lineage="broker")])
    broker.start()
    assert ask()
    broker.stop().assert_ok()


def test_a_reload_drops_no_request_under_way(bed):
    """Each door's, while the configuration changes under it twice: what
    they began with holds for them, even where the client is gone."""
    site = bed.site(secondaries=[Behind("nsd", lag_s=4)])
    key = bed.key("host.example")
    clients = [dict(WEB, wait="1m"),
               {"name": "keyed", "auth": "tsig", "tsig_key_file": key.path,
                "names": ["www.example.com"]}]
    broker = Broker(bed, site, clients).start()
    waiting = []
    for path, body in (
            ("/v1/challenges", {"name": "www.example.com",
                                "value": digest(), "wait": "visible"}),
            ("/present", {"fqdn": NAME + ".", "value": digest()})):
        connection = broker.connect()
        connection.request("POST", path, json.dumps(body), {
            "Authorization": f"Bearer {broker.token('web')}"})
        waiting.append((connection, body["value"]))
    signed = tsig.sign(tsig.update("example.com", tsig.add(NAME, digest())),
                       key)
    update = socket.create_connection(("127.0.0.1", broker.port("dns")), 30)
    update.sendall(len(signed).to_bytes(2, "big") + signed)
    wait_until(lambda: len(shown(broker)) == 3, "the primary has them")
    for edition in ([], clients):
        broker.write(clients=edition)
        before = broker.command.output().count("read again")
        broker.command.signal(signal.SIGHUP)
        broker.command.wait_for(
            lambda c, n=before: c.output().count("read again") > n, "reload")
    for connection, value in waiting:
        answer = connection.getresponse()
        assert answer.status == 200 and value in answer.read().decode()
    length = int.from_bytes(dnswire.read_exactly(update, 2), "big")
    assert dnswire.read_exactly(update, length)[3] & 15 == dnswire.NOERROR
    update.close()
    assert len(shown(broker)) == 3
    broker.stop().assert_ok()


def test_the_audit_file_may_be_moved_away(bed):
    site = bed.site(secondaries=())
    broker = Broker(bed, site, [WEB]).start()
    broker.publish("web", "www.example.com", digest())
    path = f"{bed.dir}/audit.json"
    wait_until(broker.audit, "a line")
    os.rename(path, path + ".1")
    broker.command.signal(signal.SIGHUP)
    broker.command.wait_for(lambda c: "read again" in c.output(), "reload")
    broker.publish("web", "mail.example.com", digest())
    told = wait_until(broker.audit, "a line in the new file")
    assert [a["name"] for a in told] == ["mail.example.com"], told
    broker.stop().assert_ok()


def test_every_request_leaves_a_line_of_who_and_why(bed):
    site = bed.site(secondaries=())
    broker = Broker(bed, site, [WEB]).start()
    value = digest()
    made = broker.publish("web", "www.example.com", value).json
    broker.ask("GET", "/v1/challenges", client="web")
    broker.ask("GET", f"/v1/challenges/{made['id']}", client="web")
    broker.ask("GET", "/v1/challenges/0123456789abcdef", client="web")
    broker.ask("GET", "/v1/grant", client="web")
    broker.ask("POST", "/v1/check", {"name": "mail.example.com"},
               client="web")
    broker.ask("DELETE", f"/v1/challenges/{made['id']}", client="web")
    broker.ask("GET", "/v1/grant", token="nonsense")
    expected = [("publish", "granted"), ("list", "granted"),
                ("show", "granted"), ("show", "refused"),
                ("grant", "granted"), ("check", "refused"),
                ("remove", "granted"), ("retract", "granted"),
                ("identify", "refused")]

    def told():
        return sorted((a["action"], a["verdict"])
                      for a in broker.audit()) == sorted(expected)

    wait_until(told, "all lines")
    for line in broker.audit():
        assert line["time"].endswith("Z") and line["door"] == "api", line
        if line["action"] not in ("identify", "retract"):
            assert line["client"] == "web" and line["from"], line
            assert line["credential"].startswith("token "), line
            assert line["verdict"] == "granted" or line["reason"], line
        assert broker.token("web") not in str(line)
    published = broker.audit()[0]
    assert (published["owner"], published["value"]) == (NAME, value)
    assert published["lease_until"] == made["expires_at"]
    broker.stop().assert_ok()


def test_its_log_as_json(bed):
    site = bed.site(secondaries=())
    broker = Broker(bed, site, [WEB])
    command = bed.start_dns01("serve", "-c", broker.conf, "--json", "-v")
    command.wait_for(lambda c: "(update)" in c.output(), "it listens")
    broker.write(clients="nonsense")
    command.signal(signal.SIGHUP)
    command.wait_for(lambda c: "in use stays" in c.output(), "refusal")
    command.signal(signal.SIGTERM)
    done = command.wait()
    lines = [json.loads(line) for line in done.err.splitlines()]
    assert {"time", "level", "text"} <= set(lines[0]), lines
    assert "error" in {line["level"] for line in lines}, lines
    assert done.code == 0


def test_metrics_have_what_is_asked_of_them(bed):
    site = bed.site(secondaries=())
    broker = Broker(bed, site, [WEB, {"name": "net", "auth": "network",
                                      "networks": ["127.0.0.1/32"]}]).start()
    asked = [{"name": "www.example.com", "value": digest()}
             for _ in range(3)]
    broker.ask("POST", "/v1/challenges",
               {"challenges": asked, "wait": "visible"}, client="web")
    broker.publish("web", "mail.example.com", digest())
    broker.ask("POST", "/present", {"fqdn": NAME + ".", "value": digest()},
               basic=("web", broker.token("web")))
    text = broker.ask("GET", "/metrics", kind="http").body
    for line in ('requests_total{door="api",outcome="granted"} 3',
                 'requests_total{door="api",outcome="refused"} 1',
                 'requests_total{door="httpreq",outcome="granted"} 1',
                 'requests_total{door="update",outcome="granted"} 0',
                 'errors_total{cause="denied"} 1',
                 "values 4", "waiting 0", "publish_seconds_count 4",
                 "propagation_seconds_count 4",
                 'update_batch_values_bucket{le="1"} 1',
                 'update_batch_values_bucket{le="5"} 2',
                 "update_batch_values_sum 4", "update_batch_values_count 2"):
        assert f"dns01_{line}" in text, (line, text)
    helped = {line.split()[2] for line in text.splitlines()
              if line.startswith("# HELP")}
    for line in text.splitlines():
        if not line.startswith("#"):
            name = line.split("{")[0].split()[0]
            assert any(name.startswith(h) for h in helped), line
            float(line.rsplit(" ", 1)[1])
    broker.stop().assert_ok()


def test_status_shows_what_is_held_and_what_failed(bed):
    site = bed.site(secondaries=[Behind("nsd", rcode=dnswire.REFUSED)])
    broker = Broker(bed, site, [WEB], zone_settings={
        "deadline": "2s"}).start()
    failed = broker.publish("web", "www.example.com", digest())
    assert failed.status == 502, failed
    broker.write(zones=[zone("example.com", quorum="reachable")])
    broker.command.signal(signal.SIGHUP)
    broker.command.wait_for(lambda c: "read again" in c.output(), "reload")
    value = digest()
    assert broker.publish("web", "www.example.com", value,
                          wait="published").status < 300
    wait_until(lambda: f"{NAME} {value}: in DNS, held by web until 20"
               in broker.dns01("status").out, "it is written")
    told = broker.dns01("status").assert_ok().out
    assert "web www.example.com failed: " in told and "REFUSED" in told, told
    told = json.loads(broker.dns01("status", "--json").assert_ok().out)
    assert told["failures"][0]["code"] == "dns", told
    held = next(v for v in told["values"] if v["value"] == value)
    assert held["until"] and held["holder"] == "web", told
    broker.stop().assert_ok()
    # a hook's too, which has nobody else to tell
    broker.dns01("hook", "getssl", "add", "www.example.org",
                 digest()).assert_failed()
    told = broker.dns01("status").assert_ok().out
    assert "hook getssl www.example.org failed: " in told, told


def test_all_together_have_a_limit_too(bed):
    site = bed.site(secondaries=[Behind("nsd", silent=True)])
    broker = Broker(bed, site, [
        dict(WEB, wait="1m", under=["example.com"])],
        requests_max=3).start()
    basic = ("web", broker.token("web"))
    for _ in range(3):
        made = broker.publish("web", "www.example.com", digest(), wait="no")
        assert made.status == 202, made
    for answer in (
            broker.publish("web", "www.example.com", digest()),
            broker.ask("POST", "/v1/check", {"name": "www.example.com"},
                       client="web"),
            broker.ask("POST", "/present",
                       {"fqdn": NAME + ".", "value": digest()},
                       basic=basic)):
        assert answer.status == 429, answer
        assert int(answer.headers["Retry-After"]) > 0, answer
        assert "requests_max" in answer.body, answer
    broker.stop().assert_ok()


def test_values_at_one_name_are_shared_fairly(bed):
    site = bed.site(secondaries=())
    names = [f"c{i}" for i in range(4)]
    broker = Broker(bed, site, [dict(WEB, name=n) for n in names]).start()
    held = {n: [] for n in names}

    def fill(client):
        while True:
            value = digest()
            made = broker.publish(client, "www.example.com", value)
            if made.status != 200:
                assert made.status == 429 and made.headers["Retry-After"]
                return
            held[client].append(made.json["id"])

    fill("c0")
    assert len(held["c0"]) == 12
    fill("c1")
    assert len(held["c1"]) == 6  # 18 in all
    assert len(shown(broker)) == 18
    for identifier in held["c0"][:4]:
        broker.ask("DELETE", f"/v1/challenges/{identifier}", client="c0")
    wait_until(lambda: len(shown(broker)) == 14, "they leave")
    fill("c2")
    fill("c3")
    assert len(held["c2"]) == 4 and not held["c3"]
    assert len(shown(broker)) == 18
    for identifier in held["c0"][4:]:
        broker.ask("DELETE", f"/v1/challenges/{identifier}", client="c0")
    wait_until(lambda: len(shown(broker)) == 10, "they leave")
    fill("c3")
    assert len(held["c3"]) == 6  # of 18, with two others
    broker.stop().assert_ok()


def test_a_dry_run_judges_all_and_publishes_nothing(bed):
    site = bed.site(secondaries=(), records=[
        "_acme-challenge.www CNAME _acme-challenge.mail"])
    broker = Broker(bed, site, [dict(WEB, names=[
        "www.example.com", "good.example.com", "example.com"])]).start()

    def check(**body):
        return broker.ask("POST", "/v1/check", body, client="web")

    good = check(name="good.example.com").json
    assert good == {
        "granted": True, "name": "good.example.com", "view": "default",
        "owner": "_acme-challenge.good.example.com", "zone": "example.com"}
    for body, rule in (({"name": "www.example.com"}, "alias"),
                       ({"name": "example.com"}, "wildcard"),
                       ({"name": "mail.example.com"}, "ungranted"),
                       ({"owner": "mail.example.com"}, "ungranted"),
                       ({"name": "good.example.com", "value": "x"}, "value"),
                       ({"name": "good.example.com", "view": "x"}, "view")):
        told = check(**body).json
        assert not told["granted"] and told["error"]["rule"] == rule, told
    lost = broker.ask("POST", "/v1/check", {"name": "good.example.com"},
                      client="web")
    assert lost.status == 200
    assert check().status == 400
    assert check(name="a..b").status == 400
    assert not site.txt()
    broker.stop().assert_ok()


def test_views_by_api_hook_and_token(bed):
    """The same name in two views, at two primaries."""
    outside = bed.site(secondaries=())
    inside = bed.new_site("example.com", secondaries=(), keyname="inside")
    inside.start()
    broker = Broker(
        bed, outside, [dict(WEB, views=["default", "inside"])],
        providers=[rfc2136(outside), rfc2136(inside, "inner")],
        zones=[zone("example.com"),
               zone("example.com", "inner", view="inside",
                    servers=[inside.address])]).start()
    values = {"default": digest(), "inside": digest()}
    for view, value in values.items():
        made = broker.publish("web", "www.example.com", value, view=view)
        assert made.status == 200, made
    assert dnswire.txt_values(outside.address, NAME) == [values["default"]]
    assert dnswire.txt_values(inside.address, NAME) == [values["inside"]]
    refused = broker.publish("web", "www.example.com", digest(), view="x")
    assert refused.json["error"]["rule"] == "view", refused
    hooked = digest()
    env = {"DNS01_BROKER": broker.url(),
           "DNS01_TOKEN_FILE": broker.token_file("web")}
    bed.dns01("hook", "--view", "inside", "getssl", "add", "www.example.com",
              hooked, env=env).assert_ok()
    assert sorted(dnswire.txt_values(inside.address, NAME)) == sorted(
        [values["inside"], hooked])
    bed.dns01("hook", "getssl", "del", "www.example.com", hooked,
              env=env).assert_ok()
    wait_until(lambda: dnswire.txt_values(inside.address, NAME)
               == [values["inside"]], "it leaves its view")
    broker.stop().assert_ok()


def many_clients(path, count):
    """As 40,000 runs of `dns01 client add` and `token new` leave it."""
    with sqlite3.connect(path) as db:
        for i in range(count):
            name = f"h{i}.fleet.example.com"
            db.execute(
                "INSERT INTO client (id, name, grants, disabled, created_at) "
                "VALUES (?, ?, ?, 0, 1)",
                (1000 + i, f"h{i}", json.dumps({"names": [name]})))
            db.execute(
                "INSERT INTO grant_name (client_id, reversed) VALUES (?, ?)",
                (1000 + i, f"com.example.fleet.h{i}."))
            db.execute(
                "INSERT INTO token (id, client_id, kind, hash, created_at, "
                "expires_at, revoked_at, used_at) "
                "VALUES (?, ?, 'api', ?, 1, 0, 0, 0)",
                (f"{i:016x}", 1000 + i, os.urandom(32)))
    db.close()


@time_limit(240)
def test_forty_thousand_clients(bed):
    site = bed.site(secondaries=())
    broker = Broker(bed, site, [dict(
        WEB, names=["fleet.example.com", "www.example.com"])])
    broker.dns01("client", "add", "first", "--set",
                 "names=first.example.com").assert_ok()
    many_clients(f"{broker.state}/clients.db", 40000)
    broker.start()
    # making one, and a token for it, is one look each
    for command in (("client", "add", "last", "--set",
                     "names=last.fleet.example.com"),
                    ("token", "new", "h39999"),
                    ("token", "list", "h39999"),
                    ("policy", "h39999", "h39999.fleet.example.com")):
        done = broker.dns01(*command).assert_ok()
        assert done.seconds < 2, done
    listed = broker.dns01("token", "list").assert_ok()
    assert len(listed.out.splitlines()) == 40001, listed.seconds
    assert listed.seconds < 10
    listed = broker.dns01("client", "list", "--json").assert_ok()
    assert len(listed.json_lines()[0]["clients"]) == 40003  # and web
    assert listed.seconds < 10
    # so is asking: no slower for the last than where there are few
    broker.tokens.clear()

    def median(client, name):
        took = []
        for _ in range(15):
            before = time.monotonic()
            made = broker.publish(client, name, digest(), wait="published")
            took.append(time.monotonic() - before)
            assert made.status < 300, made
            broker.ask("DELETE", f"/v1/challenges/{made.json['id']}",
                       client=client)
        return sorted(took)[7]

    few = median("first", "first.example.com")
    many = median("h39998", "h39998.fleet.example.com")
    assert many < 2 * few + 0.02, (few, many)
    # they count as others below a name
    refused = broker.publish("web", "fleet.example.com", digest())
    assert refused.json["error"]["rule"] == "wildcard", refused
    with open(f"/proc/{broker.command.pid}/status", encoding="ascii") as f:
        used = next(int(line.split()[1]) for line in f if "VmRSS" in line)
    assert used < 100 * 1024, f"{used} KiB"
    broker.stop().assert_ok()


def test_the_list_of_clients_has_those_of_the_configuration(bed):
    site = bed.site(secondaries=())
    broker = Broker(bed, site, [{"name": "web", "names": ["example.com"]},
                                {"name": "mail", "names": ["example.com"]}])
    broker.dns01("client", "add", "stored", "--set",
                 "names=www.example.com").assert_ok()
    broker.token("web")
    told = broker.dns01("client", "list").assert_ok().out.splitlines()
    assert [" ".join(line.split()) for line in told] == [
        'stored 0 tokens {"names":["www.example.com"]}',
        "web 1 token of the configuration",
        "mail 0 tokens of the configuration"], told
    listed = broker.dns01("client", "list", "--json").json_lines()[0]
    assert [(c["name"], c["configured"], "grant" in c)
            for c in listed["clients"]] == [
        ("stored", False, True), ("web", True, False), ("mail", True, False)]


def test_the_policy_of_a_disabled_client_grants_nothing(bed):
    site = bed.site(secondaries=())
    broker = Broker(bed, site, [{"name": "web", "names": ["example.com"]}])
    broker.dns01("client", "add", "db", "--set",
                 "names=db.example.com").assert_ok()
    asked = ("policy", "db", "db.example.com")
    assert "granted" in broker.dns01(*asked).assert_ok().out
    broker.dns01("client", "disable", "db").assert_ok()
    broker.dns01(*asked).assert_failed("disabled", code=77)
    broker.dns01("client", "enable", "db").assert_ok()
    broker.dns01(*asked).assert_ok()


def test_an_account_for_a_wildcard_is_for_its_name(bed):
    site = bed.site(secondaries=())
    broker = Broker(bed, site, [{"name": "web",
                                 "names": ["www.example.com"]}])
    made = broker.dns01("token", "new", "web", "--as", "acmedns", "--for",
                        "*.WWW.example.com").assert_ok().out
    (name, account), = json.loads(made.splitlines()[-1]).items()
    assert name == "www.example.com", made
    assert account["fulldomain"] == "_acme-challenge.www.example.com"
    broker.start()
    value = digest()
    taken = broker.ask(
        "POST", "/update", {"subdomain": account["subdomain"], "txt": value},
        headers={"X-Api-User": account["username"],
                 "X-Api-Key": account["password"]})
    assert taken.status == 200, taken
    assert dnswire.txt_values(site.address,
                              account["fulldomain"]) == [value]
    broker.stop().assert_ok()


def test_what_is_configured_is_not_disabled_in_the_store(bed):
    site = bed.site(secondaries=())
    broker = Broker(bed, site, [WEB])
    broker.token("web")
    for what in ("disable", "enable", "set", "add"):
        more = ("--set", "names=a.example.com") if what in (
            "set", "add") else ()
        broker.dns01("client", what, "web", *more).assert_failed(
            "configuration")
    write_config(bed, "other.conf")
    broker.dns01("client", "disable", "nobody").assert_failed("no such")

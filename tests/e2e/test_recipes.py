"""contrib/deploy: real servers where they can be had, else stand-ins that
keep what they were given."""

import os
import shutil

from testbed import MissingTool, wait_until
from testbed.bed import TOP
from testbed.deployed import DEPLOY_FAILED, Host, read

RECIPES = os.path.join(TOP, "contrib/deploy")
STAND_IN = r"""#!/bin/sh
{ printf '%s\n' "${0##*/} $*"; env | sed 's/^/env /'; } >> "@LOG@"
case "${0##*/} $*" in
*apply*) cat > "@LOG@.stdin";;
esac
case "${0##*/} $*" in
@FAIL@) echo "broken"; exit 1;;
esac
"""


def _recipe(name):
    return os.path.join(RECIPES, name)


def _stand_ins(bed, *names, fail="nothing"):
    """Programs of these names, first in the path of deploy commands; gives
    a function for their argvs so far."""
    log = bed.path("stand-ins.log")
    folder = "/usr/local/sbin"
    bed.run(["mount", "-t", "tmpfs", "tmpfs", folder])
    for name in names:
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(STAND_IN.replace("@LOG@", log).replace("@FAIL@", fail))
        os.chmod(path, 0o755)

    def calls():
        lines = read(log).decode().splitlines() if os.path.exists(log) else []
        if lines:
            os.unlink(log)
        return [line for line in lines if not line.startswith("env ")]
    return calls


def _shown(bed, port):
    """The serial of the certificate that a port shows, or None."""
    openssl = bed.tool("openssl")
    script = (f"{openssl} s_client -connect 127.0.0.1:{port} -servername "
              f"example.com </dev/null 2>/dev/null | {openssl} x509 -noout "
              "-serial || true")
    return bed.run(["sh", "-c", script]).strip().removeprefix("serial=")


def _serial(bed):
    return bed.run([bed.tool("openssl"), "x509", "-noout", "-serial", "-in",
                    bed.current() + "/cert.pem"]).strip().removeprefix(
                        "serial=")


def _wait_shown(bed, port):
    wait_until(lambda: _shown(bed, port) == _serial(bed),
               "the server shows the first certificate", 20)


# Servers for real


def test_nginx_serves_the_new_certificate(bed):
    host, port = Host(bed), bed.port()
    tls = bed.path("nginx/tls")
    export = [{"layout": "files", "path": tls}]
    host.configure(export=export).issue().assert_ok()
    conf = bed.path("nginx/conf/nginx.conf")
    text = (f"pid {bed.dir}/nginx/pid;\nerror_log {bed.dir}/nginx/log;\n"
            "events { }\nhttp { access_log off;\n"
            f"server {{ listen 127.0.0.1:{port} ssl; ssl_certificate "
            f"{tls}/fullchain.pem; ssl_certificate_key {tls}/privkey.pem; "
            "} }\n")
    bed.write("nginx/conf/nginx.conf", text)
    bed.run(["mount", "--bind", os.path.dirname(conf), "/etc/nginx"])
    os.chmod(bed.dir, 0o755)
    bed.spawn("nginx", [bed.tool("nginx"), "-g", "daemon off;"],
              bed.new_folder("nginx"))
    _wait_shown(bed, port)
    serves = (_recipe("serves"), f"127.0.0.1:{port}", "{lineage}")
    host.configure((_recipe("nginx"),), serves, export=export)
    host.issue().assert_ok()
    assert _shown(bed, port) == _serial(bed)
    # one that is broken for another reason is told, and nginx goes on
    bed.write("nginx/conf/nginx.conf", text + "nonsense;\n")
    host.issue().assert_failed(_recipe("nginx"), code=DEPLOY_FAILED)
    assert _shown(bed, port) not in ("", _serial(bed))
    bed.write("nginx/conf/nginx.conf", text)
    host.deploy().assert_ok()
    assert _shown(bed, port) == _serial(bed)


def test_haproxy_takes_the_new_certificate_without_a_reload(bed):
    host, port = Host(bed), bed.port()
    pem, admin = bed.path("haproxy/certs/edge.pem"), bed.path("haproxy/sock")
    export = [{"layout": "haproxy", "path": pem}]
    host.configure(export=export).issue().assert_ok()
    conf = bed.write("haproxy/haproxy.cfg", f"""
global
    stats socket {admin} level admin
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend edge
    bind 127.0.0.1:{port} ssl crt {os.path.dirname(pem)}/
    http-request return status 200
""")
    server = bed.spawn("haproxy", [bed.tool("haproxy"), "-db", "-f", conf],
                       bed.new_folder("haproxy"))
    _wait_shown(bed, port)
    host.configure((_recipe("haproxy"), admin, pem),
                   (_recipe("serves"), f"127.0.0.1:{port}", "{lineage}"),
                   export=export)
    for _ in range(2):
        host.issue().assert_ok()
        assert _shown(bed, port) == _serial(bed)
    assert server.running()
    host.configure((_recipe("haproxy"), admin, bed.path("haproxy/other.pem")),
                   export=[*export, {"layout": "haproxy", "path":
                                     bed.path("haproxy/other.pem")}])
    result = host.deploy()
    result.assert_failed(_recipe("haproxy"), code=DEPLOY_FAILED)
    assert "does not take" in result.out, result
    assert "PRIVATE KEY" not in result.out + result.err


def _sshd(bed):
    """A server on this host that root may log in to; its port."""
    port, folder = bed.port(), bed.new_folder("sshd")
    for path in ("/run", "/root"):
        bed.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", path])
    os.makedirs("/run/sshd")
    os.makedirs("/root/.ssh", mode=0o700)
    for path in (f"{folder}/host", "/root/.ssh/id_ed25519"):
        bed.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path])
    shutil.copy("/root/.ssh/id_ed25519.pub", "/root/.ssh/authorized_keys")
    public = read(f"{folder}/host.pub").decode().split()
    with open("/root/.ssh/known_hosts", "w", encoding="ascii") as file:
        file.write(f"[127.0.0.1]:{port} {public[0]} {public[1]}\n")
    with open("/root/.ssh/config", "w", encoding="ascii") as file:
        file.write(f"Host web2\n HostName 127.0.0.1\n Port {port}\n")
    conf = bed.write("sshd.conf", f"""
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
""")
    server = bed.spawn("sshd", [bed.tool("sshd"), "-D", "-e", "-f", conf],
                       folder)
    wait_until(lambda: "Server listening" in read(server.log_path).decode(),
               "sshd listens", 10)


def test_another_host_has_the_new_certificate_by_ssh(bed):
    host = Host(bed)
    try:
        bed.tool("sshd")
    except MissingTool:
        os.environ["PATH"] += ":/usr/sbin"
    _sshd(bed)
    out, said = bed.path("remote/edge"), bed.path("remote/said")
    command = (_recipe("ssh"), "web2", out,
               f"cat {out}/cert.pem >> {said}; echo 'it is there'")
    host.configure(command)
    for number in (1, 2, 3):
        result = host.issue().assert_ok()
        assert "it is there" in result.out
        for part in ("privkey", "cert", "chain", "fullchain"):
            path = f"{out}/{part}.pem"
            assert read(path) == read(bed.current(), f"{part}.pem")
            wanted = 0o600 if part == "privkey" else 0o644
            assert os.stat(path).st_mode & 0o777 == wanted
        assert read(said).count(b"BEGIN") == number
        assert read(said).endswith(host.cert())
        versions = [v for v in os.listdir(out) if v.startswith(".v")]
        assert len(versions) == min(number, 2), versions
        left = [v for v in os.listdir(out) if v.startswith((".new", ".link"))]
        assert not left
    host.configure((_recipe("ssh"), "web2", "relative/folder"))
    result = host.deploy()
    result.assert_failed(code=DEPLOY_FAILED)
    assert "is not a whole path" in result.out


# Stand-ins


def test_programs_are_checked_then_reloaded(bed):
    host = Host(bed)
    calls = _stand_ins(bed, "apache2ctl", "postfix", "doveconf", "doveadm",
                       "systemctl", "haproxy")
    host.configure(*((_recipe(name),) for name in (
        "apache", "postfix", "dovecot", "haproxy")))
    host.issue().assert_ok()
    assert calls() == [
        "apache2ctl configtest", "apache2ctl graceful",
        "postfix check", "postfix reload",
        "doveconf ", "doveadm reload",
        "haproxy -c -q -f /etc/haproxy/haproxy.cfg",
        "systemctl reload haproxy"]


def test_nothing_is_reloaded_whose_configuration_is_broken(bed):
    host = Host(bed)
    calls = _stand_ins(
        bed, "apache2ctl", "postfix", "doveconf", "doveadm", "systemctl",
        "haproxy", fail="*configtest|*check|doveconf*|haproxy*")
    recipes = [_recipe(n) for n in ("apache", "postfix", "dovecot", "haproxy")]
    host.configure(*((recipe,) for recipe in recipes))
    result = host.issue().assert_failed(*recipes, code=DEPLOY_FAILED)
    assert "broken" in result.out
    assert calls() == ["apache2ctl configtest", "postfix check", "doveconf ",
                       "haproxy -c -q -f /etc/haproxy/haproxy.cfg"]


def test_kubernetes_secret_goes_through_standard_input(bed):
    host = Host(bed)
    calls = _stand_ins(bed, "kubectl")
    host.configure((_recipe("kubernetes"), "ingress", "edge-tls",
                    "--context=prod"))
    host.issue().assert_ok()
    said = read(bed.path("stand-ins.log")).decode()
    assert calls() == ["kubectl --context=prod apply --server-side "
                       "--force-conflicts --field-manager=dns01 -f -"]
    manifest = dict(line.strip().split(": ", 1) for line in read(
        bed.path("stand-ins.log.stdin")).decode().splitlines()
        if ": " in line)
    assert manifest["kind"] == "Secret"
    assert manifest["type"] == "kubernetes.io/tls"
    assert manifest["name"] == "edge-tls"
    assert manifest["namespace"] == "ingress"
    for key, file in (("tls.crt", "fullchain.pem"), ("tls.key", "privkey.pem")):
        decoded = bed.run(["base64", "-d"], input=manifest[key]).encode()
        assert decoded == read(bed.current(), file)
        assert manifest[key][40:80] not in said, "in argv or environment"


def test_one_place_for_several_lineages_is_refused(bed):
    """Two keys of one certificate, and no {lineage} to tell them apart."""
    host = Host(bed)
    calls = _stand_ins(bed, "kubectl", "ssh")
    host.configure((_recipe("kubernetes"), "ingress", "edge-tls"),
                   (_recipe("ssh"), "web2", "/etc/tls/edge"),
                   keys=["p256", "p384"])
    result = host.issue().assert_failed(code=DEPLOY_FAILED)
    assert result.out.count("write {lineage} into") == 2, result
    assert calls() == []
    host.configure((_recipe("kubernetes"), "ingress", "{lineage}-tls"),
                   keys=["p256", "p384"])
    host.deploy().assert_ok()
    assert len(calls()) == 2


def test_server_that_shows_the_old_certificate_is_a_failure(bed):
    host, port = Host(bed), bed.port()
    host.configure().issue().assert_ok()
    old = bed.path("old")
    shutil.copytree(bed.current(), old)
    bed.spawn("openssl", [bed.tool("openssl"), "s_server", "-accept",
                          f"127.0.0.1:{port}", "-cert_chain",
                          f"{old}/chain.pem", "-cert", f"{old}/cert.pem",
                          "-key", f"{old}/privkey.pem", "-quiet"],
              bed.new_folder("s_server"))
    _wait_shown(bed, port)
    serves = (_recipe("serves"), f"127.0.0.1:{port}", "{lineage}")
    host.configure(serves).deploy().assert_ok()
    result = host.issue().assert_failed(_recipe("serves"), code=DEPLOY_FAILED)
    assert "not the new one" in result.out


def test_server_with_a_certificate_of_each_key_is_asked_for_both(bed):
    host, port = Host(bed), bed.port()
    keys = ["p256", "rsa2048"]
    host.configure(keys=keys).issue().assert_ok()
    ec, rsa = bed.current(), bed.current("test-rsa2048")
    bed.spawn("openssl", [bed.tool("openssl"), "s_server", "-accept",
                          f"127.0.0.1:{port}", "-cert", f"{ec}/cert.pem",
                          "-key", f"{ec}/privkey.pem", "-cert_chain",
                          f"{ec}/chain.pem", "-dcert", f"{rsa}/cert.pem",
                          "-dkey", f"{rsa}/privkey.pem", "-quiet"],
              bed.new_folder("s_server"))
    _wait_shown(bed, port)
    host.configure((_recipe("serves"), f"127.0.0.1:{port}", "{lineage}"),
                   keys=keys).deploy().assert_ok()

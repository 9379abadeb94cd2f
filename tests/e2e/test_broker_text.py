"""What the broker's pages tell people to type and to configure, taken from
their text."""

import http.client
import json
import os
import re
import shlex

import yaml

from testbed import OwnCa, dnswire, wait_until
from testbed.bed import TOP
from testbed.broker import Broker, digest
from testbed.config import config_text, rfc2136, zone

NAME = "_acme-challenge.www.example.com"


def page(*path):
    with open(os.path.join(TOP, *path), encoding="utf-8") as file:
        return file.read()


def blocks(text):
    """Its indented blocks, in order."""
    found, lines = [], []
    for line in text.splitlines() + ["end"]:
        if line.startswith("    ") or (lines and not line):
            lines.append(line[4:])
        elif lines:
            found.append("\n".join(lines).strip() + "\n")
            lines = []
    return found


def test_the_api_by_curl_as_its_page_has_it(bed):
    site = bed.site()
    broker = Broker(bed, site, [{
        "name": "web", "names": ["www.example.com", "example.com"],
        "wildcard": True}]).start()
    commands = blocks(page("contrib", "api", "README.md"))
    settings = commands[0].replace(
        "https://dns01.example.com:8443", broker.url()).replace(
        "/etc/dns01/web.token", broker.token_file("web"))
    assert settings != commands[0]
    value = re.search(r"V=(\S+)", settings)[1]
    known = ""

    def run(command):
        done = bed.run(["/bin/sh", "-ec", settings + command.replace(
            "curl ", "curl -sS ").replace("/ID", f"/{known}")],
            env={"HOME": bed.dir, "PATH": os.environ["PATH"]})
        return done if "events" in command else json.loads(done)

    publish, follow, many, remove, look = (re.split(r"\n(?=curl)", b.strip())
                                           for b in commands[1:])
    made = run(publish[0])
    assert made["state"] == "visible" and made["value"] == value, made
    known = run(follow[0])["id"]
    assert run(follow[1])["state"] == "visible"
    assert "event: visible" in run(follow[2])
    assert {c["state"] for c in run(many[0])["challenges"]} == {"visible"}
    owned = run(look[0])["challenges"]
    assert {c["name"] for c in owned} == {"www.example.com", "example.com"}
    assert run(look[1])["client"] == "web"
    checked = run(look[2])
    assert checked["granted"] and checked["owner"], checked
    known = next(c["id"] for c in owned if c["name"] == "www.example.com")
    assert run(remove[0]) == {"removed": 1}
    assert run(remove[1]) == {"removed": 0}
    assert len(remove) + len(look) + len(follow) == 8
    broker.stop().assert_ok()


def test_openapi_is_what_the_api_does(bed):
    """Paths, methods, statuses and members: each answer here is one that
    the file describes."""
    api = yaml.safe_load(page("contrib", "api", "openapi.yaml"))
    source = page("cmd", "broker", "claim.c")
    states = re.findall(r'\[CLAIM_\w+\] = "(\w+)"', source)
    challenge = api["components"]["schemas"]["Challenge"]["properties"]
    assert sorted(challenge["state"]["enum"]) == sorted(states)

    def resolve(part):
        while "$ref" in part:
            found = api
            for word in part["$ref"].split("/")[1:]:
                found = found[word]
            part = found
        return part

    def fits(value, schema, where):
        schema = resolve(schema)
        for one in schema.get("oneOf", []):
            schema = resolve(one) if isinstance(value, dict) else schema
        kinds = {"object": dict, "array": list, "string": str,
                 "integer": int, "boolean": bool}
        assert isinstance(value, kinds[schema["type"]]), (where, value)
        if schema["type"] == "array":
            for item in value:
                fits(item, schema["items"], where)
        if "enum" in schema:
            assert value in schema["enum"], (where, value)
        for key, inner in (value.items() if isinstance(value, dict) else ()):
            if schema.get("properties"):
                assert key in schema["properties"], (where, key)
                fits(inner, schema["properties"][key], f"{where}.{key}")

    site = bed.site(records=[
        "_acme-challenge.alias CNAME _acme-challenge.mail"])
    broker = Broker(bed, site, [{
        "name": "web", "names": ["www.example.com", "alias.example.com"],
        "values": 2}]).start()
    seen = set()

    def ask(method, path, template, body=None, **options):
        options.setdefault("client", "web")
        answer = broker.ask(method, path, body, **options)
        described = api["paths"][template][method.lower()]["responses"]
        assert str(answer.status) in described, (method, path, answer)
        schema = resolve(described[str(answer.status)])["content"]
        if "application/json" in schema:
            kind = schema["application/json"]["schema"]
            if body and "challenges" in body:
                for one in answer.json["challenges"]:
                    fits(one, kind, template)
            else:
                fits(answer.json, kind, template)
        seen.add((template, method.lower()))
        return answer

    many, one = "/v1/challenges", "/v1/challenges/{id}"
    value = digest()
    made = ask("POST", many, many, {"name": "www.example.com",
                                    "value": value, "wait": "visible"})
    ask("POST", many, many, {"challenges": [
        {"name": "www.example.com", "value": value}]})
    for body in ({"name": "www.example.com"}, {"name": "mail.example.com",
                                               "value": digest()},
                 {"name": "alias.example.com", "value": digest(),
                  "wait": "visible"}):
        assert ask("POST", many, many, body).status in (400, 403)
    ask("POST", many, many, {"name": "www.example.com", "value": digest()})
    full = ask("POST", many, many, {"name": "www.example.com",
                                    "value": digest()})
    assert full.status == 429
    assert ask("POST", many, many, {}, client=None).status == 401
    listed = ask("GET", many, many).json["challenges"]
    path = f"/v1/challenges/{listed[0]['id']}"
    ask("GET", path + "?wait=visible", one)
    ask("GET", path + "/events", one + "/events")
    assert ask("GET", "/v1/challenges/0", one).status == 404
    for body in ({"name": "www.example.com"}, {"name": "alias.example.com"},
                 {"owner": NAME}, {}):
        ask("POST", "/v1/check", "/v1/check", body)
    ask("GET", "/v1/grant", "/v1/grant")
    ask("DELETE", path, one)
    ask("DELETE", path, one)
    ask("DELETE", f"{many}?value={value}", many)
    assert made.status == 200
    described = {(path, method) for path, item in api["paths"].items()
                 for method in item if method != "parameters"}
    assert seen == described, seen ^ described
    broker.stop().assert_ok()


def serve(bed, text):
    """The daemon with that configuration, its places in the bed's folder."""
    os.makedirs(f"{bed.dir}/run", exist_ok=True)
    text = text.replace('"/run/dns01/', f'"{bed.dir}/run/').replace(
        '"/var/lib/dns01', f'"{bed.state("lib")}')
    conf = bed.write("etc/dns01/dns01.conf", text + 'user = "root";\n')
    bed.dns01("config", "check", conf).assert_ok()
    command = bed.start_dns01("serve", "-c", conf)
    command.wait_for(lambda c: "listening" in c.output(), "it listens")
    return conf, command


def test_the_readmes_broker(bed):
    site = bed.site()
    bed.resolver()
    text = page("README.md")
    text = text[text.index("## One broker for all hosts"):]
    settings, start, token, *_ = blocks(text)
    assert shlex.split(start) == ["dns01", "serve"]
    conf, command = serve(bed, config_text(
        state="/var/lib/dns01", providers=[rfc2136(site)],
        zones=[zone("example.com")]) + settings)
    made = bed.dns01(*shlex.split(token)[1:3], "-c", conf,
                     *shlex.split(token)[3:]).assert_ok().out
    secret = made.splitlines()[-1]
    connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=30)
    value = digest()
    connection.request("POST", "/v1/challenges", json.dumps(
        {"name": "www.example.com", "value": value, "wait": "visible"}),
        {"Authorization": f"Bearer {secret}"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    assert dnswire.txt_values(site.address, NAME) == [value]
    told = bed.dns01("policy", "-c", conf, "web", "www.example.com")
    assert "granted" in told.assert_ok().out
    connection.close()
    command.signal(15)
    command.wait().assert_ok()


def test_the_example_of_a_broker_starts(bed):
    """Every listener of contrib/examples/broker.conf, on its own ports."""
    ca = OwnCa(bed, "hosts")
    for name in ("acme", "k8s"):
        bed.write(f"etc/dns01/{name}.key", bed.key(name).statement(), 0o640)
    bed.write("etc/dns01/host-ca.pem", page(ca.root), 0o644)
    cert, key = ca.issue("broker", ["DNS:dns01.example.com"])
    folder = f"{bed.state('lib')}/listener"
    os.makedirs(folder)
    for source, name in ((cert, "fullchain"), (key, "privkey")):
        bed.write(f"lib/listener/{name}.pem", page(source), 0o600)
    _, command = serve(bed, page("contrib", "examples", "broker.conf"))
    for place in (f"unix {bed.dir}/run/socket (api)",
                  "https [::]:8443 (api, httpreq, acmedns)",
                  "dns [::]:8053 (update)", "http 127.0.0.1:9353 (metrics)"):
        assert place in command.output(), command.output()
    wait_until(lambda: dnswire.ask("127.0.0.1", "example.com", "SOA",
                                   port=8053).authoritative, "it answers")
    command.signal(15)
    command.wait().assert_ok()

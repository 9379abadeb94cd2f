"""The broker: its own API, its policy, its life."""

import os
import signal

from testbed import Behind, OwnCa, dnswire, wait_until
from testbed.broker import Broker, digest
from testbed.config import rfc2136, zone

NAME = "_acme-challenge.www.example.com"
WEB = {"name": "web", "names": ["www.example.com"]}
APPS = {"name": "apps", "under": ["apps.example.com"]}


def shown(broker, owner=NAME):
    return dnswire.txt_values(broker.site.address, owner)


def test_publishes_for_a_client_until_it_is_visible(bed):
    site = bed.site(secondaries=["nsd"])
    broker = Broker(bed, site, [WEB]).start()
    value = digest()
    made = broker.publish("web", "www.example.com", value)
    assert made.status == 200, made
    assert made.json["state"] == "visible" and made.json["owner"] == NAME
    site.wait_shown(NAME, value)
    listed = broker.ask("GET", "/v1/challenges", client="web").json
    assert [c["value"] for c in listed["challenges"]] == [value]
    gone = broker.ask("DELETE", f"/v1/challenges/{made.json['id']}",
                      client="web")
    assert gone.json == {"removed": 1}, gone
    wait_until(lambda: not shown(broker), "the value leaves")
    lines = [(a["action"], a["verdict"], a["client"]) for a in broker.audit()]
    assert ("publish", "granted", "web") in lines, lines
    broker.stop().assert_ok()


def test_refuses_what_is_not_granted_with_a_sentence(bed):
    site = bed.site()
    broker = Broker(bed, site, [WEB, APPS]).start()
    for client, name, rule in (
            ("web", "mail.example.com", "ungranted"),
            ("web", "a.www.example.com", "ungranted"),
            ("web", "evilwww.example.com", "ungranted"),
            ("web", "WWW.Example.COM.", None),
            ("apps", "apps.example.com", "ungranted"),
            ("apps", "x.apps.example.com", None),
            ("apps", "_acme-challenge.x.apps.example.com", "name")):
        answer = broker.publish(client, name, digest())
        assert answer.status == (403 if rule else 200), (name, answer)
        if rule:
            assert answer.json["error"]["rule"] == rule, answer
    short = broker.publish("web", "www.example.com", "short")
    assert short.json["error"]["rule"] == "value", short
    nobody = broker.ask("GET", "/v1/challenges")
    assert nobody.status == 401 and "token" in nobody.body, nobody
    wrong = broker.ask("GET", "/v1/challenges", token="dns01_" + "0" * 60)
    assert wrong.status == 401, wrong
    broker.stop().assert_ok()


def test_an_alias_does_not_widen_a_grant(bed):
    site = bed.site(records=[
        "_acme-challenge.www CNAME _acme-challenge.mail",
        "_acme-challenge.good CNAME good.example.com.acme.example.com."])
    broker = Broker(bed, site, [
        {"name": "web", "names": ["www.example.com", "good.example.com"]}],
        zones=[zone("example.com"),
               zone("acme.example.com", target=True)]).start()
    refused = broker.publish("web", "www.example.com", digest())
    assert refused.status == 403, refused
    assert refused.json["error"]["rule"] == "alias", refused
    assert "dns01 alias" in refused.json["error"]["text"]
    assert not dnswire.txt_values(site.address,
                                  "_acme-challenge.mail.example.com")
    value = digest()
    made = broker.publish("web", "good.example.com", value)
    assert made.status == 200, made
    assert made.json["owner"] == "good.example.com.acme.example.com"
    printed = broker.dns01("alias", "good.example.com").assert_ok().out
    assert printed == ("_acme-challenge.good.example.com. IN CNAME "
                       "good.example.com.acme.example.com.\n")
    broker.stop().assert_ok()


def test_one_client_neither_sees_nor_removes_what_another_holds(bed):
    site = bed.site()
    broker = Broker(bed, site, [
        WEB, {"name": "www2", "names": ["www.example.com"]},
        {"name": "eye", "role": "read"},
        {"name": "boss", "role": "admin"}]).start()
    mine, other = digest(), digest()
    first = broker.publish("web", "www.example.com", mine).json
    assert broker.publish("www2", "www.example.com", other).status == 200
    path = f"/v1/challenges/{first['id']}"
    for method in ("GET", "DELETE"):
        assert broker.ask(method, path, client="www2").status == 404
    removed = broker.ask("DELETE", f"/v1/challenges?value={mine}",
                         client="www2")
    assert removed.json == {"removed": 0}
    assert sorted(shown(broker)) == sorted([mine, other])
    assert broker.ask("DELETE", path, client="eye").status == 404
    seen = broker.ask("GET", "/v1/challenges", client="eye").json
    assert len(seen["challenges"]) == 2
    assert broker.ask("DELETE", path, client="boss").status == 200
    wait_until(lambda: shown(broker) == [other], "the one value leaves")
    broker.stop().assert_ok()


def test_tokens_expire_rotate_and_are_revoked(bed):
    site = bed.site()
    broker = Broker(bed, site, [WEB]).start()
    old, new = broker.token("web"), broker.token("web", "--expires", "90d")
    third = broker.dns01("token", "new", "web")
    third.assert_failed("2 live tokens")
    assert broker.ask("GET", "/v1/grant", token=old).status == 200
    listed = broker.dns01("token", "list", "web", "--json").json_lines()[0]
    ids = [t["id"] for t in listed["tokens"]]
    assert len(ids) == 2 and ids[0] in old or ids[1] in old
    def used():
        listed = broker.dns01("token", "list", "web", "--json").json_lines()
        return {t["id"]: t.get("used_from") for t in listed[0]["tokens"]}

    wait_until(lambda: used()[old[6:22]] == "uid 0", "its use is noted")
    assert used()[new[6:22]] is None
    broker.dns01("token", "revoke", old[6:22]).assert_ok()
    refused = broker.ask("GET", "/v1/grant", token=old)
    assert refused.status == 401 and "revoked" in refused.body, refused
    assert broker.ask("GET", "/v1/grant", token=new).json["client"] == "web"
    broker.dns01("client", "add", "later", "--set",
                 "names=later.example.com").assert_ok()
    assert broker.publish("later", "later.example.com",
                          digest()).status == 200
    broker.dns01("client", "disable", "later").assert_ok()
    refused = broker.publish("later", "later.example.com", digest())
    assert refused.status == 401 and "disabled" in refused.body, refused
    broker.stop().assert_ok()
    for text in (broker.command.output(), str(broker.audit())):
        assert old not in text and new not in text


def test_a_client_that_leaves_takes_its_value_along(bed):
    site = bed.site(secondaries=[Behind("nsd", silent=True)])
    broker = Broker(bed, site, [WEB]).start()
    value = digest()
    connection = broker.connect()
    connection.request(
        "POST", "/v1/challenges",
        f'{{"name": "www.example.com", "value": "{value}", '
        '"wait": "visible"}',
        {"Authorization": f"Bearer {broker.token('web')}"})
    wait_until(lambda: shown(broker) == [value], "the primary has it")
    connection.close()
    wait_until(lambda: not shown(broker), "the value leaves")
    broker.stop().assert_ok()


def test_patience_ends_and_the_value_is_withdrawn(bed):
    site = bed.site(secondaries=[Behind("nsd", silent=True)])
    broker = Broker(bed, site, [dict(WEB, wait="2s")]).start()
    answer = broker.publish("web", "www.example.com", digest())
    assert answer.status == 504, answer
    wait_until(lambda: not shown(broker), "the value leaves")
    broker.stop().assert_ok()


def test_patience_ends_at_the_other_doors_too(bed):
    """lego waits for 30 s: within the client's wait it is told, without
    the value in quotes, and nothing is left behind."""
    site = bed.site(secondaries=[Behind("nsd", silent=True)])
    broker = Broker(bed, site, [dict(WEB, wait="2s")]).start()
    made = broker.dns01("token", "new", "web", "--as", "acmedns", "--for",
                        "www.example.com", "--json").assert_ok()
    account = made.json_lines()[0]
    for path, head, body in (
            ("/present", {}, {"fqdn": NAME + ".", "value": digest()}),
            ("/update", {"X-Api-User": account["id"],
                         "X-Api-Key": account["credential"]},
             {"subdomain": account["id"], "txt": digest()})):
        answer = broker.ask("POST", path, body, headers=head,
                            **({} if head else {
                                "basic": ("web", broker.token("web"))}))
        value = body.get("value") or body["txt"]
        assert answer.status == 504 and f'"{value}"' not in answer.body
        assert "`wait`" in answer.json["error"], answer
        wait_until(lambda: not shown(broker), "the value leaves")
    # By DNS the answer comes when the primary has it: its client waits.
    broker.stop().assert_ok()


def test_who_leaves_the_other_doors_takes_his_value_along(bed):
    site = bed.site(secondaries=[Behind("nsd", silent=True)])
    broker = Broker(bed, site, [dict(WEB, wait="1m")]).start()
    value = digest()
    connection = broker.connect()
    connection.request(
        "POST", "/present", f'{{"fqdn": "{NAME}.", "value": "{value}"}}',
        {"Authorization": f"Bearer {broker.token('web')}"})
    wait_until(lambda: shown(broker) == [value], "the primary has it")
    connection.close()
    wait_until(lambda: not shown(broker), "the value leaves")
    # Who asked for an answer at once has his lease, and may go.
    made = broker.publish("web", "www.example.com", value, wait="no")
    assert made.status == 202, made
    events = broker.connect()
    events.request("GET", f"/v1/challenges/{made.json['id']}/events", None,
                   {"Authorization": f"Bearer {broker.token('web')}"})
    assert events.getresponse().status == 200

    def states():
        listed = broker.ask("GET", "/v1/challenges", client="web").json
        return [c["state"] for c in listed["challenges"]]

    wait_until(lambda: states() == ["watching"], "the primary has said that it has it")
    events.close()
    assert states() == ["watching"] and shown(broker) == [value]
    broker.stop().assert_ok()


def test_waits_with_events_for_each_name_server(bed):
    site = bed.site(secondaries=[Behind("nsd", lag_s=2)])
    broker = Broker(bed, site, [WEB]).start()
    made = broker.publish("web", "www.example.com", digest(), wait="no")
    assert made.status == 202, made
    events = broker.ask("GET", f"/v1/challenges/{made.json['id']}/events",
                        client="web")
    kinds = [line[7:] for line in events.body.splitlines()
             if line.startswith("event: ")]
    assert kinds[-1] == "visible" and "watching" in kinds, kinds
    assert "seen" in events.body
    assert events.headers["Content-Type"] == "text/event-stream"
    broker.stop().assert_ok()


def test_a_list_of_challenges_goes_out_together(bed):
    site = bed.site()
    wire = bed.watch_wire()
    broker = Broker(bed, site, [APPS]).start()
    asked = [{"name": f"h{i}.apps.example.com", "value": digest()}
             for i in range(40)]
    answer = broker.ask("POST", "/v1/challenges",
                        {"challenges": asked, "wait": "visible"},
                        client="apps")
    assert answer.status == 200, answer
    assert len(answer.json["challenges"]) == 40
    assert {c["state"] for c in answer.json["challenges"]} == {"visible"}
    assert len(wire.updates(server=site.address)) <= 3
    broker.stop().assert_ok()


def test_limits_are_told_with_a_time_to_come_back(bed):
    site = bed.site()
    broker = Broker(bed, site, [dict(WEB, values=2),
                                dict(APPS, publishes_per_hour=2)]).start()
    for _ in range(2):
        assert broker.publish("web", "www.example.com",
                              digest()).status == 200
        assert broker.publish("apps", "x.apps.example.com",
                              digest()).status == 200
    # What it has already is not one more.
    held = broker.ask("GET", "/v1/challenges", client="web").json
    for challenge in held["challenges"]:
        again = broker.publish("web", "www.example.com", challenge["value"])
        assert again.status == 200, again
    for client, name in (("web", "www.example.com"),
                         ("apps", "x.apps.example.com")):
        answer = broker.publish(client, name, digest())
        assert answer.status == 429, answer
        assert int(answer.headers["Retry-After"]) > 0
    broker.stop().assert_ok()


def test_kill_9_and_start_again_keeps_what_a_lease_holds(bed):
    site = bed.site()
    broker = Broker(bed, site, [WEB]).start()
    value = digest()
    made = broker.publish("web", "www.example.com", value)
    assert made.status == 200, made
    broker.command.kill()
    broker.start()
    wait_until(lambda: broker.ask("GET", "/healthz").status == 200, "ready")
    assert shown(broker) == [value]
    listed = broker.ask("GET", "/v1/challenges", client="web").json
    assert [c["value"] for c in listed["challenges"]] == [value]
    # Asked for again, it stays when the lease of before is let go.
    assert broker.publish("web", "www.example.com", value).status == 200
    other = digest()
    assert broker.publish("web", "www.example.com", other).status == 200
    assert sorted(shown(broker)) == sorted([value, other])
    listed = broker.ask("GET", "/v1/challenges", client="web").json
    assert len(listed["challenges"]) == 2, listed
    broker.command.kill()
    broker.start()
    wait_until(lambda: broker.ask("GET", "/healthz").status == 200, "ready")
    removed = broker.ask("DELETE", f"/v1/challenges?value={value}",
                         client="web")
    assert removed.json == {"removed": 1}
    wait_until(lambda: shown(broker) == [other], "the value leaves")
    broker.stop().assert_ok()


def test_stopping_refuses_who_waits_and_leaves_nothing_half_done(bed):
    site = bed.site(secondaries=[Behind("nsd", silent=True)])
    broker = Broker(bed, site, [WEB]).start()
    made = broker.publish("web", "www.example.com", digest(), wait="no")
    assert made.status == 202, made
    wait_until(lambda: shown(broker), "the primary has it")
    broker.stop().assert_ok()
    assert not shown(broker)


def test_sighup_reads_the_configuration_again(bed):
    site = bed.site(secondaries=[Behind("nsd", lag_s=3)])
    broker = Broker(bed, site, [WEB]).start()
    assert broker.publish("web", "new.example.com", digest()).status == 403
    waiting = broker.publish("web", "www.example.com", digest(), wait="no")
    broker.write(clients=[dict(WEB, names=["www.example.com",
                                           "new.example.com"])])
    broker.command.signal(signal.SIGHUP)
    broker.command.wait_for(lambda c: "read again" in c.output(), "reload")
    assert broker.publish("web", "new.example.com", digest()).status == 200
    done = broker.ask("GET",
                      f"/v1/challenges/{waiting.json['id']}?wait=visible",
                      client="web")
    assert done.json["state"] == "visible", done
    broker.write(clients="nonsense")
    broker.command.signal(signal.SIGHUP)
    broker.command.wait_for(lambda c: "in use stays" in c.output(), "refusal")
    assert broker.publish("web", "new.example.com", digest()).status == 200
    broker.stop().assert_ok()


def test_a_certificate_or_a_user_proves_who_asks(bed):
    site = bed.site()
    ca = OwnCa(bed, "hosts")
    broker = Broker(bed, site, [
        {"name": "fleet", "auth": "mtls", "names": ["@san"]},
        {"name": "root", "auth": "unix", "user": "root",
         "names": ["www.example.com"]}], tls=ca).start()
    host = ca.issue("h1", ["DNS:h1.example.com"])
    body = {"name": "h1.example.com", "value": digest(), "wait": "visible"}
    made = broker.ask("POST", "/v1/challenges", body, kind="https", cert=host)
    assert made.status == 200 and made.json["client"] == "fleet", made
    body = {"name": "h2.example.com", "value": digest()}
    refused = broker.ask("POST", "/v1/challenges", body, kind="https",
                         cert=host)
    assert refused.status == 403, refused
    assert broker.ask("GET", "/v1/grant", kind="https").status == 401
    assert broker.ask("GET", "/v1/grant").json["client"] == "root"
    assert broker.ask("GET", "/v1/grant", kind="http").status == 401
    broker.stop().assert_ok()


def test_says_who_may_what(bed):
    site = bed.site()
    broker = Broker(bed, site, [WEB, APPS,
                                {"name": "apex", "names": ["example.com"]}])
    allowed = broker.dns01("policy", "web", "www.example.com").assert_ok()
    assert "granted" in allowed.out and NAME in allowed.out
    for client, name, word in (("web", "mail.example.com", "ungranted"),
                               ("apex", "example.com", "wildcard = true")):
        told = broker.dns01("policy", client, name)
        assert told.code > 0 and word in told.out, told
    listed = broker.dns01("policy", "apps").assert_ok()
    assert "apps.example.com" in listed.out


def test_metrics_and_health(bed):
    site = bed.site()
    broker = Broker(bed, site, [WEB]).start()
    made = broker.publish("web", "www.example.com", digest())
    assert made.status == 200, made
    text = broker.ask("GET", "/metrics", kind="http").body
    assert "\ndns01_values 1\n" in text and "\ndns01_waiting 0\n" in text
    assert 'dns01_requests_total{door="api",outcome="granted"} 1' in text
    assert "dns01_propagation_seconds_count 1" in text
    assert broker.ask("GET", "/metrics").status == 404
    assert broker.ask("GET", "/healthz", kind="http").body == "ok\n"
    # what failed, and may still be asked about, is no value that is held
    site.primary.stop()
    failed = broker.publish("web", "www.example.com", digest())
    assert failed.json["state"] == "failed", failed
    text = broker.ask("GET", "/metrics", kind="http").body
    assert "\ndns01_values 1\n" in text, text
    broker.stop()


def test_a_backup_is_taken_while_it_runs_and_restores(bed):
    site = bed.site()
    broker = Broker(bed, site, [WEB]).start()
    value = digest()
    assert broker.publish("web", "www.example.com", value).status == 200
    archive = f"{bed.dir}/backup.tar"
    broker.dns01("backup", archive).assert_ok()
    broker.command.kill()
    restored = bed.state("restored")
    bed.run(["tar", "-xf", archive, "-C", restored])
    broker.write(state=restored)
    broker.start()
    wait_until(lambda: broker.ask("GET", "/healthz").status == 200, "ready")
    listed = broker.ask("GET", "/v1/challenges", client="web").json
    assert [c["value"] for c in listed["challenges"]] == [value]
    broker.stop().assert_ok()


def test_two_thousand_wait_for_a_server_that_lags(bed):
    """All at once, killed in the middle, asked for again: each is answered,
    in few changes, and nothing is left."""
    site = bed.site(secondaries=[Behind("bind", lag_s=8)])
    broker = Broker(bed, site, [dict(APPS, values=3000, wait="2m",
                                     publishes_per_hour=100000)],
                    requests_max=5000).start()
    names = [f"h{i}.apps.example.com" for i in range(2000)]
    values = {name: digest() for name in names}

    def ask_all():
        connections = []
        for name in names:
            connection = broker.connect(timeout=120)
            connection.request(
                "POST", "/v1/challenges",
                f'{{"name": "{name}", "value": "{values[name]}", '
                '"wait": "visible"}',
                {"Authorization": f"Bearer {broker.token('apps')}"})
            connections.append(connection)
        return connections

    left = ask_all()
    wait_until(lambda: shown(broker, f"_acme-challenge.{names[500]}"),
               "some are published", 60)
    broker.command.kill()
    for connection in left:
        connection.close()
    broker.start()
    wait_until(lambda: broker.ask("GET", "/healthz").status == 200, "ready",
               60)
    before = dnswire.serial(site.address, "example.com")
    answers = [c.getresponse().status for c in ask_all()]
    assert answers == [200] * 2000, {s: answers.count(s) for s in
                                     set(answers)}
    # One more with each UPDATE.
    assert dnswire.serial(site.address, "example.com") - before < 100
    removed = broker.ask(
        "DELETE", "/v1/challenges?name=h7.apps.example.com", client="apps")
    assert removed.json["removed"] >= 1, removed
    broker.stop().assert_ok()


def test_the_daemon_and_a_command_share_one_journal(bed):
    """root's hook, and the daemon, in both orders; each removes its own."""
    site = bed.site()
    broker = Broker(bed, site, [WEB]).start()
    mine, other = digest(), digest()
    assert broker.publish("web", "www.example.com", mine).status == 200
    broker.dns01("hook", "getssl", "add", "www.example.com",
                 other).assert_ok()
    assert sorted(shown(broker)) == sorted([mine, other])
    broker.dns01("hook", "getssl", "del", "www.example.com",
                 other).assert_ok()
    assert shown(broker) == [mine]
    broker.dns01("hook", "getssl", "add", "www.example.com",
                 mine).assert_ok()
    broker.ask("DELETE", f"/v1/challenges?value={mine}", client="web")
    broker.dns01("sweep").assert_ok()
    assert shown(broker) == [mine], "the hook holds it still"
    listed = broker.dns01("status").assert_ok().out
    assert "hook getssl" in listed, listed
    broker.dns01("hook", "getssl", "del", "www.example.com",
                 mine).assert_ok()
    wait_until(lambda: not shown(broker), "the last one takes it away")
    broker.stop().assert_ok()


def test_a_full_disk_refuses_new_work_and_says_so(bed):
    site = bed.site()
    small = bed.state("small")
    bed.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs",
             small])
    broker = Broker(bed, site, [WEB], state=small).start()
    assert broker.publish("web", "www.example.com", digest()).status == 200
    ballast = os.open(f"{small}/ballast", os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(ballast, b"x" * 4096)
    except OSError:
        os.close(ballast)
    refused = None
    for _ in range(50):
        refused = broker.publish("web", "www.example.com", digest())
        if refused.status != 200:
            break
        broker.ask("DELETE", "/v1/challenges?name=www.example.com",
                   client="web")
    assert refused.status == 503, refused
    assert "full" in refused.body or "space" in refused.body, refused
    os.unlink(f"{small}/ballast")
    wait_until(lambda: broker.publish("web", "www.example.com",
                                      digest()).status == 200, "it goes on")
    broker.stop().assert_ok()

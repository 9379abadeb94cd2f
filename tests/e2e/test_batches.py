"""What goes to the primary, and how often: the broker's group commit."""

import json

from testbed import Bind, Zone, dnswire, wait_until
from testbed.broker import Broker, digest
from testbed.config import zone

APPS = {"name": "apps", "under": ["apps.example.com"], "values": 100}


def owner(number):
    return f"_acme-challenge.h{number}.apps.example.com"


def shown(site, number):
    return dnswire.txt_values(site.address, owner(number))


def questions(wire, site, number):
    return len(wire.messages(server=site.address, name=owner(number),
                             qtype="TXT"))


def unsigned(wire, server):
    return [m for m in wire.messages(server=server, qtype="TXT")
            if not any(r.type == dnswire.TSIG for r in m.message.additional)]


def publish_30(broker, first):
    asked = [{"name": f"h{i}.apps.example.com", "value": digest()}
             for i in range(first, first + 30)]
    made = broker.ask("POST", "/v1/challenges",
                      {"challenges": asked, "wait": "visible"}, client="apps")
    assert made.status == 200, made
    return asked


def test_what_is_shown_to_a_key_alone_is_read_back_with_it(bed):
    """BIND picks the view by key: what is asked as by whoever asks, which
    many are, shows nothing. Once that is known the key is used at once."""
    key = bed.key("inside")
    primary, secondary = Bind(bed, name="primary"), Bind(bed, name="secondary")
    inside = Zone("example.com")
    inside.add_nameserver(secondary.address)
    primary.view("inside", key)
    primary.view("public")
    primary.primary(inside, key=key, secondaries=[secondary.address],
                    view="inside")
    primary.primary(inside, view="public")
    secondary.secondary(inside, primary.address, key=key)
    primary.start()
    secondary.start()
    bed.hierarchy.delegate(inside)
    wire = bed.watch_wire()
    broker = Broker(bed, None, [APPS], zones=[zone("example.com")], providers=[
        {"name": "primary", "type": "rfc2136", "server": primary.address,
         "tsig_key_file": key.path}]).start()
    for first, expected in ((0, 30), (30, 30)):
        publish_30(broker, first)
        assert len(unsigned(wire, primary.address)) == expected
    assert len(wire.messages(server=primary.address, qtype="TXT")) == 90
    broker.stop().assert_ok()


def test_what_was_read_back_is_not_asked_again_at_that_server(bed):
    """The primary is a name server of the zone too: one UPDATE, one question
    for each value, and one more that whoever asks sees them."""
    site = bed.site(secondaries=["bind"])
    wire = bed.watch_wire()
    broker = Broker(bed, site, [APPS]).start()
    asked = publish_30(broker, 0)
    assert len(wire.updates(server=site.address)) == 1
    at_primary = [questions(wire, site, i) for i in range(30)]
    # Routing asks for a SOA, so these are reading back and watching.
    assert sum(at_primary) == 31 and set(at_primary) == {1, 2}, at_primary
    assert len(unsigned(wire, site.address)) == 31
    secondary = site.secondaries[0].address
    for i in range(30):
        assert wire.shown(secondary, owner(i), [asked[i]["value"]]), i
    broker.stop().assert_ok()


def test_a_value_that_is_settled_is_asked_for_at_the_primary_too(bed):
    """`settle` wants everything twice over a time: the second pass believes
    nothing that it has not seen itself."""
    site = bed.site()
    wire = bed.watch_wire()
    broker = Broker(bed, site, [APPS],
                    zone_settings={"settle": "300ms"}).start()
    asked = [{"name": f"h{i}.apps.example.com", "value": digest()}
             for i in range(5)]
    made = broker.ask("POST", "/v1/challenges",
                      {"challenges": asked, "wait": "visible"}, client="apps")
    assert made.status == 200, made
    at_primary = [questions(wire, site, i) for i in range(5)]
    assert sum(at_primary) == 5 + 1 + 5, at_primary
    broker.stop().assert_ok()


def test_a_value_that_is_let_go_leaves_with_the_next_one(bed):
    """Both requests lie in the socket before the first is answered."""
    site = bed.site()
    wire = bed.watch_wire()
    broker = Broker(bed, site, [APPS]).start()
    first = broker.publish("apps", "h1.apps.example.com", digest())
    assert first.status == 200, first
    value = digest()
    body = json.dumps({"name": "h2.apps.example.com", "value": value,
                       "wait": "visible"}).encode()
    head = f"Host: b\r\nAuthorization: Bearer {broker.token('apps')}\r\n"
    connection = broker.connect()
    connection.connect()
    connection.sock.sendall(
        f"DELETE /v1/challenges/{first.json['id']} HTTP/1.1\r\n{head}\r\n"
        f"POST /v1/challenges HTTP/1.1\r\n{head}Content-Length: {len(body)}"
        "\r\n\r\n".encode() + body)
    wait_until(lambda: list(shown(site, 2)) == [value], "the second one")
    wait_until(lambda: not shown(site, 1), "the first one left")
    updates = wire.updates(server=site.address)
    assert len(updates) == 2, [u.time - updates[0].time for u in updates]
    connection.close()
    broker.stop().assert_ok()


def test_a_value_that_is_let_go_alone_leaves_soon(bed):
    site = bed.site()
    broker = Broker(bed, site, [APPS]).start()
    made = broker.publish("apps", "h1.apps.example.com", digest())
    assert made.status == 200, made
    broker.ask("DELETE", f"/v1/challenges/{made.json['id']}", client="apps")
    wait_until(lambda: not shown(site, 1), "it leaves", 5)
    broker.stop().assert_ok()

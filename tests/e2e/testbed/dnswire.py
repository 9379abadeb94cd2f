"""A small DNS message codec and client: just what tests ask and scripted
servers answer.  No TSIG; signed updates are made with nsupdate(1)."""

import os
import socket
import struct
import time
from dataclasses import dataclass, field

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, DNAME, OPT, TSIG, AXFR, ANY = (
    1, 2, 5, 6, 12, 15, 16, 28, 39, 41, 250, 252, 255)
TYPES = {"A": A, "NS": NS, "CNAME": CNAME, "SOA": SOA, "PTR": PTR, "MX": MX,
         "TXT": TXT, "AAAA": AAAA, "DNAME": DNAME, "OPT": OPT, "TSIG": TSIG,
         "AXFR": AXFR, "ANY": ANY}
TYPE_NAMES = {number: name for name, number in TYPES.items()}
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
OPCODE_QUERY, OPCODE_NOTIFY, OPCODE_UPDATE = 0, 4, 5
QR, AA, TC, RD, RA = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080
HEADER = struct.Struct("!HHHHHH")
# Where in the RDATA of these types a name stands that may be compressed.
_NAME_AT = {NS: (0,), CNAME: (0,), PTR: (0,), DNAME: (0,), MX: (2,),
            SOA: (0, 1)}


class WireError(ValueError):
    """Octets that are no DNS message."""


@dataclass
class Record:
    name: str
    type: int
    cls: int
    ttl: int
    rdata: bytes  # with names decompressed

    def text(self):
        """The joined strings of a TXT record."""
        out, at = b"", 0
        while at < len(self.rdata):
            length = self.rdata[at]
            out += self.rdata[at + 1:at + 1 + length]
            at += 1 + length
        return out.decode("utf-8", "replace")

    def target(self):
        """The name in an NS, CNAME, DNAME or PTR record."""
        return read_name(self.rdata, 0)[0]


@dataclass
class Message:
    id: int = 0
    flags: int = 0
    question: list = field(default_factory=list)  # (name, type, class)
    answer: list = field(default_factory=list)
    authority: list = field(default_factory=list)
    additional: list = field(default_factory=list)

    @property
    def opcode(self):
        return (self.flags >> 11) & 0xF

    @property
    def rcode(self):
        return self.flags & 0xF

    @property
    def is_reply(self):
        return bool(self.flags & QR)

    @property
    def authoritative(self):
        return bool(self.flags & AA)

    @property
    def truncated(self):
        return bool(self.flags & TC)

    def txt(self, name=None):
        """The values of the TXT records in the answer section."""
        return sorted(r.text() for r in self.answer if r.type == TXT
                      and (name is None or same_name(r.name, name)))


def same_name(one, other):
    return one.rstrip(".").lower() == other.rstrip(".").lower()


def write_name(name):
    if name in ("", "."):
        return b"\0"
    out = b""
    for label in name.rstrip(".").split("."):
        raw = label.encode("ascii")
        if not 0 < len(raw) < 64:
            raise WireError(f"bad label in {name!r}")
        out += bytes([len(raw)]) + raw
    return out + b"\0"


def read_name(data, at):
    """Returns (name with a trailing dot, offset after it)."""
    labels, end, hops = [], None, 0
    while True:
        if at >= len(data):
            raise WireError("name runs past the end")
        length = data[at]
        if length & 0xC0 == 0xC0:
            if at + 2 > len(data):
                raise WireError("pointer runs past the end")
            end = at + 2 if end is None else end
            at = struct.unpack_from("!H", data, at)[0] & 0x3FFF
            hops += 1
            if hops > 64:
                raise WireError("pointer loop")
            continue
        at += 1
        if length == 0:
            break
        labels.append(data[at:at + length].decode("ascii", "replace"))
        at += length
    return ".".join(labels) + ".", at if end is None else end


def _read_rdata(data, at, length, rtype):
    end = at + length
    if rtype not in _NAME_AT:
        return data[at:end]
    first = _NAME_AT[rtype][0]
    out = data[at:at + first]
    at += first
    for _ in _NAME_AT[rtype]:
        name, at = read_name(data, at)
        out += write_name(name)
    return out + data[at:end]


def _read_record(data, at):
    name, at = read_name(data, at)
    if at + 10 > len(data):
        raise WireError("record runs past the end")
    rtype, cls, ttl, length = struct.unpack_from("!HHIH", data, at)
    at += 10
    if at + length > len(data):
        raise WireError("record data run past the end")
    rdata = _read_rdata(data, at, length, rtype)
    return Record(name, rtype, cls, ttl, rdata), at + length


def parse(data):
    """Octets to a Message, or WireError."""
    if len(data) < HEADER.size:
        raise WireError("shorter than a header")
    ident, flags, *counts = HEADER.unpack_from(data)
    message, at = Message(ident, flags), HEADER.size
    for _ in range(counts[0]):
        name, at = read_name(data, at)
        if at + 4 > len(data):
            raise WireError("question runs past the end")
        message.question.append((name, *struct.unpack_from("!HH", data, at)))
        at += 4
    sections = (message.answer, message.authority, message.additional)
    for count, section in zip(counts[1:], sections):
        for _ in range(count):
            record, at = _read_record(data, at)
            section.append(record)
    return message


def build(message):
    """A Message to octets, without compression."""
    sections = (message.answer, message.authority, message.additional)
    out = HEADER.pack(message.id, message.flags, len(message.question),
                      *(len(s) for s in sections))
    for name, rtype, cls in message.question:
        out += write_name(name) + struct.pack("!HH", rtype, cls)
    for record in (r for section in sections for r in section):
        out += write_name(record.name) + struct.pack(
            "!HHIH", record.type, record.cls, record.ttl, len(record.rdata))
        out += record.rdata
    return out


def query_octets(name, rtype, *, recurse=False, edns=True):
    """One question as octets, with a random ID."""
    ident = int.from_bytes(os.urandom(2), "big")
    message = Message(ident, RD if recurse else 0, [(name, rtype, 1)])
    if edns:
        message.additional.append(Record(".", OPT, 1232, 0, b""))
    return build(message)


def _family(server):
    return socket.AF_INET6 if ":" in server else socket.AF_INET


def exchange_udp(server, octets, timeout_s, port=53):
    """Sends octets, returns the first reply with the same ID, or raises."""
    end = time.monotonic() + timeout_s
    with socket.socket(_family(server), socket.SOCK_DGRAM) as sock:
        sock.connect((server, port))
        sock.send(octets)
        while True:
            sock.settimeout(max(0.001, end - time.monotonic()))
            reply = sock.recv(65535)
            if reply[:2] == octets[:2]:
                return reply


def read_exactly(sock, length):
    out = b""
    while len(out) < length:
        more = sock.recv(length - len(out))
        if not more:
            raise ConnectionError("connection closed in a message")
        out += more
    return out


def exchange_tcp(server, octets, timeout_s, port=53):
    with socket.create_connection((server, port), timeout_s) as sock:
        sock.sendall(struct.pack("!H", len(octets)) + octets)
        length = struct.unpack("!H", read_exactly(sock, 2))[0]
        return read_exactly(sock, length)


def ask(server, name, rtype="TXT", *, tcp=False, recurse=False,
        timeout_s=2.0, port=53):
    """Asks one server one question; TCP follows a truncated answer.

    Raises OSError (TimeoutError among them) when there is no answer.
    """
    number = TYPES[rtype] if isinstance(rtype, str) else rtype
    octets = query_octets(name, number, recurse=recurse)
    if not tcp:
        message = parse(exchange_udp(server, octets, timeout_s, port))
        if not message.truncated:
            return message
    return parse(exchange_tcp(server, octets, timeout_s, port))


def transfer(server, zone, *, timeout_s=5.0, port=53):
    """All records of a zone, by an unsigned AXFR; raises if refused."""
    octets = query_octets(zone, AXFR, edns=False)
    records, ends = [], 0
    with socket.create_connection((server, port), timeout_s) as sock:
        sock.sendall(struct.pack("!H", len(octets)) + octets)
        while ends < 2:
            length = struct.unpack("!H", read_exactly(sock, 2))[0]
            message = parse(read_exactly(sock, length))
            if message.rcode or not message.answer:
                raise ConnectionError(
                    f"{server} refuses to transfer {zone}: "
                    f"rcode {message.rcode}")
            records += message.answer
            ends = sum(r.type == SOA for r in records)
    return records[:-1]


def txt_values(server, name, **options):
    """The TXT values of a name at a server; [] when there are none."""
    return ask(server, name, "TXT", **options).txt(name)


def serial(server, zone, **options):
    """The serial that a server has of a zone, or None when it has none."""
    for record in ask(server, zone, "SOA", **options).answer:
        if record.type == SOA:
            at = read_name(record.rdata, 0)[1]
            at = read_name(record.rdata, at)[1]
            return struct.unpack_from("!I", record.rdata, at)[0]
    return None

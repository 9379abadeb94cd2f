"""Signed UPDATEs and queries by hand (RFC 8945), good ones and bad ones."""

import base64
import hmac
import os
import struct
import time

from . import dnswire

IN, NONE, ANY_CLASS = 1, 254, 255
BADSIG, BADKEY, BADTIME = 16, 17, 18
NOTAUTH = 9


def txt(value):
    """TXT RDATA of one string."""
    raw = value.encode()
    return bytes([len(raw)]) + raw


def add(owner, value, ttl=60):
    return dnswire.Record(owner, dnswire.TXT, IN, ttl, txt(value))


def delete(owner, value):
    return dnswire.Record(owner, dnswire.TXT, NONE, 0, txt(value))


def delete_rrset(owner):
    return dnswire.Record(owner, dnswire.TXT, ANY_CLASS, 0, b"")


def delete_name(owner):
    return dnswire.Record(owner, dnswire.ANY, ANY_CLASS, 0, b"")


def update(zone, *records, prerequisites=()):
    """An UPDATE (RFC 2136) as octets, not signed."""
    return dnswire.build(dnswire.Message(
        int.from_bytes(os.urandom(2), "big"), dnswire.OPCODE_UPDATE << 11,
        [(zone, dnswire.SOA, IN)], list(prerequisites), list(records)))


def _variables(name, algorithm, signed_at, fudge, error, other):
    when = struct.pack("!HIH", signed_at >> 32, signed_at & 0xFFFFFFFF, fudge)
    return (dnswire.write_name(name.lower())
            + struct.pack("!HI", ANY_CLASS, 0)
            + dnswire.write_name(algorithm) + when
            + struct.pack("!HH", error, len(other)) + other)


def sign(octets, key, *, at=None, fudge=300, secret=None, mac_len=None):
    """Octets with a TSIG record of key at their end; as if signed at that
    Unix time."""
    at = int(time.time()) if at is None else at
    secret = base64.b64decode(secret or key.secret)
    mac = hmac.new(secret, octets + _variables(
        key.name, key.algorithm, at, fudge, 0, b""), "sha256").digest()
    mac = mac[:mac_len]
    rdata = (dnswire.write_name(key.algorithm)
             + struct.pack("!HIH", at >> 32, at & 0xFFFFFFFF, fudge)
             + struct.pack("!H", len(mac)) + mac
             + octets[:2] + struct.pack("!HH", 0, 0))
    count = struct.unpack_from("!H", octets, 10)[0] + 1
    return (octets[:10] + struct.pack("!H", count) + octets[12:]
            + dnswire.write_name(key.name)
            + struct.pack("!HHIH", dnswire.TSIG, ANY_CLASS, 0, len(rdata))
            + rdata)


class SignedReply:
    """What a reply's TSIG record says, and whether it is right."""

    def __init__(self, octets, key, request_mac):
        self.message = dnswire.parse(octets)
        self.rcode = self.message.rcode
        record = self.message.additional[-1] if self.message.additional \
            else None
        self.signed = record is not None and record.type == dnswire.TSIG
        self.error, self.mac, self.other, self.verified = 0, b"", b"", False
        if self.signed:
            self._read(octets, record, key, request_mac)

    def _read(self, octets, record, key, request_mac):
        rdata = record.rdata
        at = dnswire.read_name(rdata, 0)[1]
        high, low, fudge, size = struct.unpack_from("!HIHH", rdata, at)
        at += 10
        self.time = (high << 32) | low
        self.mac = rdata[at:at + size]
        at += size
        _, self.error, length = struct.unpack_from("!HHH", rdata, at)
        self.other = rdata[at + 6:at + 6 + length]
        if not self.mac:
            return
        tail = (len(dnswire.write_name(record.name)) + 10 + len(rdata))
        count = struct.unpack_from("!H", octets, 10)[0] - 1
        bare = octets[:10] + struct.pack("!H", count) + octets[12:-tail]
        data = (struct.pack("!H", len(request_mac)) + request_mac + bare
                + _variables(key.name, key.algorithm, self.time, fudge,
                             self.error, self.other))
        self.verified = hmac.digest(base64.b64decode(key.secret), data,
                                    "sha256") == self.mac


def mac_of(signed):
    """The MAC in a message that sign() made."""
    record = dnswire.parse(signed).additional[-1]
    at = dnswire.read_name(record.rdata, 0)[1] + 8
    size = struct.unpack_from("!H", record.rdata, at)[0]
    return record.rdata[at + 2:at + 2 + size]


def exchange(signed, key, port, *, tcp=False, server="127.0.0.1",
             timeout_s=30):
    """Sends a message of sign(), and gives the SignedReply."""
    send = dnswire.exchange_tcp if tcp else dnswire.exchange_udp
    return SignedReply(send(server, signed, timeout_s, port), key,
                       mac_of(signed))

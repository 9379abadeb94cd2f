"""Watches every packet on the bed's loopback: each DNS message with its time,
source and server, and each TCP connection, whatever the programs are."""

import collections
import os
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass

from . import dnswire
from .process import wait_until

ETH_P_IP, ETH_P_IPV6 = 0x0800, 0x86DD
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_RCVBUFFORCE = 33
BUFFER = 128 << 20
TCP, UDP = 6, 17
SYN, ACK = 0x02, 0x10
MARKER_PORT = 9  # of our own packets, by which we know what was seen


@dataclass
class Seen:
    """One DNS message."""
    time: float  # time.monotonic()
    source: str  # of the client, for replies too
    source_port: int
    server: str
    transport: str  # "udp" or "tcp"
    message: dnswire.Message
    octets: int

    @property
    def name(self):
        question = self.message.question
        return question[0][0].rstrip(".").lower() if question else ""

    @property
    def type(self):
        question = self.message.question
        number = question[0][1] if question else 0
        return dnswire.TYPE_NAMES.get(number, f"TYPE{number}")


@dataclass
class Connection:
    """One TCP connection that a client asked for."""
    time: float
    source: str
    server: str
    port: int


class Wire:
    """Start it before what is to be seen.  Every look first waits until
    all packets sent so far were seen, and fails if any was lost.  Nothing is
    read in a packet before that, so that a busy machine loses none."""

    def __init__(self, bed):
        self._messages, self._connections = [], []
        self._streams = {}
        self._markers = set()
        self._packets, self._reading = collections.deque(), threading.Lock()
        self._sockets = [self._socket(p) for p in (ETH_P_IP, ETH_P_IPV6)]
        self._end, woken = socket.socketpair()
        threading.Thread(target=self._watch, args=(woken,),
                         daemon=True).start()
        bed.on_close(self._end.close)

    @staticmethod
    def _socket(protocol):
        # A socket for one protocol sees a packet of the loopback once; one
        # for all protocols would see it leave, too.
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        except PermissionError:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        sock.bind(("lo", protocol))
        return sock

    # Looks

    def messages(self, *, replies=False, opcode=dnswire.OPCODE_QUERY,
                 server=None, name=None, qtype=None, excluding=()):
        """Questions (or replies) of a kind, without those from some
        clients (a resolver's address), in order."""
        self._drain()
        return [m for m in list(self._messages)
                if m.message.is_reply == replies
                and m.message.opcode == opcode
                and (server is None or m.server == server)
                and (name is None or m.name == name.rstrip(".").lower())
                and (qtype is None or m.type == qtype)
                and m.source not in excluding]

    def updates(self, **which):
        """UPDATE messages; `name` is the zone's."""
        return self.messages(opcode=dnswire.OPCODE_UPDATE, **which)

    def connections(self, port, server=None):
        self._drain()
        return [c for c in list(self._connections) if c.port == port
                and (server is None or c.server == server)]

    def shown(self, server, name, values, **which):
        """When the server had shown all the values of a name, or None."""
        missing = set(values)
        for reply in self.messages(replies=True, server=server, name=name,
                                   qtype="TXT", **which):
            missing -= set(reply.message.txt(name))
            if not missing:
                return reply.time
        return None

    def asked_after_shown(self, server, name, values, **which):
        """Questions for the name after the server had shown the values."""
        shown = self.shown(server, name, values, **which)
        return [m for m in self.messages(server=server, name=name,
                                         qtype="TXT", **which)
                if shown is not None and m.time > shown]

    def highest_rate(self, server, *, window_s=1.0, **which):
        """The most UDP questions to a server within window_s seconds."""
        times = [m.time for m in self.messages(server=server, **which)
                 if m.transport == "udp"]
        return max((sum(t <= other < t + window_s for other in times)
                    for t in times), default=0)

    # The watcher

    def _drain(self):
        token = os.urandom(8)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(token, ("127.0.0.1", MARKER_PORT))

        def seen():
            self._read()
            return token in self._markers

        wait_until(seen, "all packets were seen", 30, poll_s=0.001)
        for sock in self._sockets:
            lost = struct.unpack("II", sock.getsockopt(
                SOL_PACKET, PACKET_STATISTICS, 8))[1]
            assert not lost, f"{lost} packets were not seen"

    def _watch(self, woken):
        watched = self._sockets + [woken]
        while True:
            for sock in select.select(watched, [], [])[0]:
                if sock is woken:
                    return
                packet, address = sock.recvfrom(1 << 17)
                self._packets.append(
                    (time.monotonic(), address[1] == ETH_P_IP, packet))

    def _read(self):
        with self._reading:
            while self._packets:
                now, is_ipv4, packet = self._packets.popleft()
                (self._ipv4 if is_ipv4 else self._ipv6)(now, packet)

    def _ipv4(self, now, packet):
        size = (packet[0] & 0xF) * 4
        length = struct.unpack_from("!H", packet, 2)[0] or len(packet)
        self._transport(now, packet[9], socket.inet_ntop(
            socket.AF_INET, packet[12:16]), socket.inet_ntop(
            socket.AF_INET, packet[16:20]), packet[size:length])

    def _ipv6(self, now, packet):
        self._transport(now, packet[6], socket.inet_ntop(
            socket.AF_INET6, packet[8:24]), socket.inet_ntop(
            socket.AF_INET6, packet[24:40]), packet[40:])

    def _transport(self, now, protocol, source, target, data):
        if protocol not in (TCP, UDP):
            return
        source_port, target_port = struct.unpack_from("!HH", data)
        ends = (source, source_port, target, target_port)
        if protocol == UDP:
            if target_port == MARKER_PORT:
                self._markers.add(data[8:])
            self._message(now, ends, "udp", data[8:])
            return
        if data[13] & (SYN | ACK) == SYN:
            self._connections.append(
                Connection(now, source, target, target_port))
            self._streams.pop(ends, None)
            self._streams.pop(ends[2:] + ends[:2], None)
        if 53 in (source_port, target_port):
            self._stream(now, ends, data[(data[12] >> 4) * 4:])

    def _stream(self, now, ends, data):
        held = self._streams.get(ends, b"") + data
        while len(held) >= 2:
            length = struct.unpack_from("!H", held)[0]
            if len(held) < 2 + length:
                break
            self._message(now, ends, "tcp", held[2:2 + length])
            held = held[2 + length:]
        self._streams[ends] = held

    def _message(self, now, ends, transport, data):
        source, source_port, target, target_port = ends
        if 53 not in (source_port, target_port):
            return
        try:
            message = dnswire.parse(data)
        except (dnswire.WireError, UnicodeError):
            return
        if message.is_reply:
            source, source_port, target = target, target_port, source
        self._messages.append(Seen(now, source, source_port, target,
                                   transport, message, len(data)))

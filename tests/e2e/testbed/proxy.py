"""A name server that misbehaves as a test wants, in front of a real one.

It counts every question.  Only unsigned questions make sense through it.
"""

import random
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass

from . import dnswire

UPSTREAM_TIMEOUT_S = 5.0


@dataclass
class Question:
    """One question that the proxy got."""
    time: float  # time.monotonic()
    source: str
    transport: str  # "udp" or "tcp"
    name: str  # without the last dot, lower case
    type: str
    shown: frozenset = frozenset()  # TXT values in our answer


class Proxy:
    """Answers on `address` with what the server `upstream` says, except:

    lag_s      a TXT value that upstream got is shown lag_s seconds after it
               was first asked for here, the old RRset until then
    silent     nothing is answered
    rcode      everything is answered with this code, e.g. dnswire.REFUSED
    lame       answers without the AA bit
    truncate   every UDP answer is empty with the TC bit
    loss       this share of the UDP questions is not answered (0.0 - 1.0)
    delay_s    answers come so much later

    All may be changed at any time.
    """

    def __init__(self, bed, upstream, *, address=None, seed=1, **behaviour):
        self.upstream = upstream
        self.address = address or bed.address()
        self.lag_s = 0.0
        self.silent = False
        self.rcode = None
        self.lame = False
        self.truncate = False
        self.loss = 0.0
        self.delay_s = 0.0
        for name, value in behaviour.items():
            if not hasattr(self, name):
                raise TypeError(f"a proxy has no behaviour {name!r}")
            setattr(self, name, value)
        self.log = []
        self._random = random.Random(seed)
        self._seen = {}  # (name, value) -> when upstream first had it
        self._lock = threading.Lock()
        self._wake = None
        self._thread = None
        bed.on_close(self.stop)

    def start(self):
        """Listens; a lag counts for what upstream had before, too."""
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        udp = socket.socket(family, socket.SOCK_DGRAM)
        tcp = socket.socket(family, socket.SOCK_STREAM)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for sock in (udp, tcp):
            sock.bind((self.address, 53))
        tcp.listen(64)
        self._wake, woken = socket.socketpair()
        self._thread = threading.Thread(target=self._serve,
                                        args=(udp, tcp, woken), daemon=True)
        self._thread.start()
        return self

    def stop(self):
        """Closes its ports: connections are refused, as by a host that is
        up without a name server (`silent` is one that is off)."""
        if self._thread:
            self._wake.close()
            self._thread.join()
            self._thread = None

    # What it was asked

    def questions(self, name=None, qtype=None, *, excluding=()):
        """Questions of a name and type, without those from some sources
        (a resolver's address)."""
        with self._lock:
            log = list(self.log)
        return [q for q in log
                if (name is None or q.name == name.rstrip(".").lower())
                and (qtype is None or q.type == qtype)
                and q.source not in excluding]

    def first_shown(self, name, value=None):
        """When a TXT value (or any) of a name was first answered."""
        for question in self.questions(name, "TXT"):
            if value in question.shown or (value is None and question.shown):
                return question.time
        return None

    def highest_rate(self, *, window_s=1.0, transport="udp", excluding=()):
        """The most questions that came in any window_s seconds."""
        times = [q.time for q in self.questions(excluding=excluding)
                 if q.transport == transport]
        return max((sum(t <= other < t + window_s for other in times)
                    for t in times), default=0)

    # How it answers

    def _serve(self, udp, tcp, woken):
        with udp, tcp, woken:
            while True:
                ready = select.select([udp, tcp, woken], [], [])[0]
                if woken in ready:
                    return
                if udp in ready:
                    self._thread_of(self._answer_udp, udp,
                                    *udp.recvfrom(65535))
                if tcp in ready:
                    self._thread_of(self._answer_tcp, *tcp.accept())

    @staticmethod
    def _thread_of(target, *arguments):
        threading.Thread(target=target, args=arguments, daemon=True).start()

    def _answer_udp(self, sock, octets, peer):
        reply = self._reply(octets, peer[0], "udp")
        if reply is None or self._random.random() < self.loss:
            return
        try:
            sock.sendto(reply, peer)
        except OSError:
            pass

    def _answer_tcp(self, connection, peer):
        with connection:
            try:
                while True:
                    length = struct.unpack(
                        "!H", dnswire.read_exactly(connection, 2))[0]
                    octets = dnswire.read_exactly(connection, length)
                    reply = self._reply(octets, peer[0], "tcp")
                    if reply is not None:
                        connection.sendall(
                            struct.pack("!H", len(reply)) + reply)
            except OSError:
                return

    def _reply(self, octets, source, transport):
        try:
            request = dnswire.parse(octets)
            name, number, _ = request.question[0]
        except (dnswire.WireError, IndexError):
            return None
        question = Question(
            time.monotonic(), source, transport, name.rstrip(".").lower(),
            dnswire.TYPE_NAMES.get(number, f"TYPE{number}"))
        with self._lock:
            self.log.append(question)
        if self.delay_s:
            time.sleep(self.delay_s)
        if self.silent:
            return None
        if self.rcode is not None:
            return self._bare(request, self.rcode)
        if self.truncate and transport == "udp":
            return self._bare(request, dnswire.NOERROR, dnswire.TC)
        return self._relay(request, octets, transport, question)

    @staticmethod
    def _bare(request, rcode, flags=0):
        kept = request.flags & (dnswire.RD | 0x7800)
        return dnswire.build(dnswire.Message(
            request.id, dnswire.QR | kept | flags | rcode, request.question))

    def _relay(self, request, octets, transport, question):
        exchange = (dnswire.exchange_udp if transport == "udp"
                    else dnswire.exchange_tcp)
        try:
            reply = exchange(self.upstream, octets, UPSTREAM_TIMEOUT_S)
            message = dnswire.parse(reply)
        except (OSError, dnswire.WireError):
            return None
        if question.type == "TXT" and message.answer:
            hidden = [r for r in message.answer if self._hides(r)]
            question.shown = frozenset(
                r.text() for r in message.answer
                if r.type == dnswire.TXT and r not in hidden)
            if hidden:
                return self._without(request, message, hidden)
        if self.lame:
            flags = message.flags & ~dnswire.AA
            reply = reply[:2] + struct.pack("!H", flags) + reply[4:]
        return reply

    def _hides(self, record):
        """Whether a record is too new to be shown."""
        if record.type != dnswire.TXT or not self.lag_s:
            return False
        key = (record.name.lower(), record.text())
        with self._lock:
            first = self._seen.setdefault(key, time.monotonic())
        return time.monotonic() < first + self.lag_s

    def _without(self, request, message, hidden):
        """The answer as it was before the hidden records came."""
        message.answer = [r for r in message.answer if r not in hidden]
        if not message.answer:
            message.authority = self._soa(request.question[0][0])
        if self.lame:
            message.flags &= ~dnswire.AA
        return dnswire.build(message)

    def _soa(self, name):
        """The SOA that belongs into a negative answer."""
        reply = dnswire.ask(self.upstream, name, "SOA",
                            timeout_s=UPSTREAM_TIMEOUT_S)
        return [r for r in reply.answer + reply.authority
                if r.type == dnswire.SOA]


class NotifyRelay:
    """Takes a primary's NOTIFY at `address`, answers it at once, and passes
    it on to the secondary `target` after delay_s: so a real secondary lags,
    its whole zone with it.  The secondary must allow `address`."""

    def __init__(self, bed, target, delay_s, *, address=None):
        self.target = target
        self.delay_s = delay_s
        self.address = address or bed.address()
        self._sock = None
        bed.on_close(self.stop)

    def start(self):
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind((self.address, 53))
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def stop(self):
        if self._sock:
            self._sock.close()
            self._sock = None

    def _serve(self):
        while True:
            try:
                octets, peer = self._sock.recvfrom(65535)
                flags = struct.unpack_from("!H", octets, 2)[0] | dnswire.QR
                self._sock.sendto(octets[:2] + struct.pack("!H", flags)
                                  + octets[4:], peer)
            except (OSError, AttributeError, struct.error):
                return
            timer = threading.Timer(self.delay_s, self._pass_on, [octets])
            timer.daemon = True
            timer.start()

    def _pass_on(self, octets):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((self.address, 0))
            sock.settimeout(2)
            try:
                sock.sendto(octets, (self.target, 53))
                sock.recv(65535)
            except OSError:
                pass

"""Running the clients one after the other on one test bed, and what each took:
first for time, then once more with every packet counted."""

import statistics
import time
from dataclasses import dataclass, field

from testbed import dnswire, wait_until
from testbed.bed import CA_RESOLVER_ADDRESS

# BIND sends NOTIFY for a zone at most every 5 s by default (notify-delay). An
# order that starts sooner after the last one waits for that, not for its client.
NOTIFY_DELAY_S = 5.5


@dataclass
class Row:
    """One client at one task."""
    task: str
    client: str
    seconds: list = field(default_factory=list)
    cpu_s: list = field(default_factory=list)
    max_rss_kib: int = 0
    max_anon_kib: int = 0
    https: int = 0
    tls: int = 0
    queries: int = 0
    updates: int = 0
    asked_after_shown: int = 0
    highest_rate: int = 0
    failure: str = ""

    @property
    def wall_s(self):
        return statistics.median(self.seconds) if self.seconds else None

    @property
    def cpu(self):
        return statistics.median(self.cpu_s) if self.cpu_s else None


@dataclass
class Task:
    """Orders of so many names in one zone."""
    title: str
    count: int
    default_notify: bool


class Bench:
    """One bed with a CA and a site for each way of NOTIFY."""

    def __init__(self, bed, say):
        self.bed, self.say = bed, say
        key, two = bed.key(), ("bind", "bind")
        self.sites = {
            True: bed.new_site("example.com", key=key, secondaries=two,
                               default_notify=True),
            False: bed.new_site("example.net", key=key, secondaries=two)}
        for site in self.sites.values():
            bed.start_site(site)
        self.pebbles = {stable: bed.pebble(stable=stable)
                        for stable in (False, True)}
        self._clients = {}
        self._orders = 0
        self._began = 0.0
        self._pebble = None

    def client(self, kind, task):
        """The client, set up and with an account from an order before."""
        key = (kind, task.default_notify)
        if key not in self._clients:
            site = self.sites[task.default_notify]
            self._clients[key] = kind(
                self.bed, self.pebbles[kind.stable_ca], site)
        return self._clients[key]

    def names(self, task):
        """Names that no order had before: an apex with its wildcard, or so
        many hosts of the zone."""
        self._orders += 1
        zone = self.sites[task.default_notify].zones[0].name
        if task.count == 2:
            host = f"o{self._orders}.{zone}"
            return [f"*.{host}", host]
        return [f"h{n}.o{self._orders}.{zone}" for n in range(task.count)]

    def quiet(self, task):
        """Waits until BIND may send NOTIFY at once again."""
        site = self.sites[task.default_notify]
        site.wait_in_sync()
        if task.default_notify:
            end = time.monotonic() + NOTIFY_DELAY_S
            wait_until(lambda: time.monotonic() >= end,
                       "BIND's notify-delay is over", NOTIFY_DELAY_S + 5)

    def order(self, kind, task, row, *, sampled=False):
        """One order; what it took goes into the row."""
        client = self.client(kind, task)
        self.quiet(task)
        self._began = time.monotonic()
        command = client.start(self.names(task))
        if sampled:
            row.max_anon_kib = peak_anonymous_kib(command)
        result = command.wait(1800)
        if result.code != 0:
            row.seconds, row.cpu_s = [], []
            row.failure = (result.err or result.out).strip()[-600:]
            self.say(f"FAILED: {row.client}: {row.failure}")
            return False
        row.max_rss_kib = max(row.max_rss_kib, client.peak_kib())
        if not sampled:
            row.seconds.append(client.seconds(result))
            row.cpu_s.append(result.cpu_s)
        return True

    def warm(self, kind, task):
        """Gives the client its account, unmeasured, by an order."""
        return self.order(kind, Task("", 2, task.default_notify),
                          Row(task.title, kind.title))

    def warm_once(self, kind, task):
        """The same for a client that registers only on its way."""
        if kind.registers_first or (kind, task.default_notify) in self._clients:
            return bool(self.client(kind, task))
        return self.warm(kind, task)

    def timed(self, kinds, task, repeat):
        """The clients in turn, `repeat` times; rows by client."""
        rows = {kind: Row(task.title, kind.title) for kind in kinds}
        for number in range(repeat):
            for kind in kinds:
                if self.order(kind, task, rows[kind]):
                    self.say(f"{task.title}: {kind.title}: "
                             f"{rows[kind].seconds[-1]:.2f} s "
                             f"({number + 1}/{repeat})")
        return rows

    def counted(self, kind, task, row, wire, *, timed=False):
        """One more order with every packet counted; its time counts only
        for those that were not timed before."""
        self._pebble = self.pebbles[kind.stable_ca]
        since = self._pebble.mark()
        spare = row if timed else Row(task.title, row.client)
        if not self.order(kind, task, spare):
            row.failure = spare.failure
            return
        self._count(row, wire, since, self._began, task)
        self.say(f"{task.title}: {kind.title}: counted, "
                 f"{spare.seconds[-1]:.2f} s")

    def _count(self, row, wire, since, began, task):
        asked = self._pebble.requests(since)
        row.https = len(asked)
        row.tls = sum(c.time >= began
                      for c in wire.connections(self._pebble.port))
        site = self.sites[task.default_notify]
        mine = client_messages(wire.messages(), began)
        row.queries = len(mine)
        row.updates = len(client_messages(wire.updates(), began))
        replies = client_messages(wire.messages(replies=True), began)
        row.asked_after_shown = asked_after_shown(mine, replies)
        row.highest_rate = max(
            highest_rate([m for m in mine if m.server == address])
            for address in site.nameservers)


def client_messages(messages, since):
    """Those of the measured client: servers and resolvers ask from their own
    addresses, all else comes from the address it goes to, or 127.0.0.1; and
    only the CA asks the CA's resolver."""
    return [m for m in messages if m.time >= since
            and m.source in ("127.0.0.1", m.server)
            and m.server != CA_RESOLVER_ADDRESS]


def asked_after_shown(questions, replies):
    """TXT questions to a server for a name of which it had shown all values
    that it came to show. What is signed reads an UPDATE back in the view of
    its key, which need not be what the world is shown."""
    questions, replies = ([m for m in messages if not is_signed(m)]
                          for messages in (questions, replies))
    values, shown_at = {}, {}
    for reply in replies:
        key = (reply.server, reply.name)
        if reply.type == "TXT" and reply.message.txt():
            seen = values.setdefault(key, set())
            if not seen.issuperset(reply.message.txt()):
                seen.update(reply.message.txt())
                shown_at[key] = reply.time
    return sum(q.type == "TXT" and q.time > shown_at.get(
        (q.server, q.name), float("inf")) for q in questions)


def is_signed(seen):
    return any(r.type == dnswire.TSIG for r in seen.message.additional)


def highest_rate(messages, window_s=1.0):
    """The most UDP questions within a second."""
    times = sorted(m.time for m in messages if m.transport == "udp")
    return max((sum(t <= other < t + window_s for other in times)
                for t in times), default=0)


def peak_anonymous_kib(command):
    """The most anonymous memory that a command, run by time(1), was seen
    with while it ran."""
    peak = 0
    children = f"/proc/{command.pid}/task/{command.pid}/children"
    while command.running():
        try:
            with open(children, encoding="ascii") as file:
                child = file.read().split()[0]
            with open(f"/proc/{child}/status", encoding="ascii") as file:
                for line in file:
                    if line.startswith("RssAnon:"):
                        peak = max(peak, int(line.split()[1]))
        except (OSError, IndexError):
            pass  # not started yet, or ended
        time.sleep(0.001)
    return peak

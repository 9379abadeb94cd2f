"""What the benchmark measured, as a table, as JSON, and held against the
targets."""

from dataclasses import asdict

COLUMNS = (
    ("wall s", lambda r: f"{r.wall_s:.2f}"),
    ("x floor", lambda r: ""),
    ("CPU s", lambda r: f"{r.cpu:.3f}"),
    ("peak MB", lambda r: f"{r.max_rss_kib / 1024:.1f}"),
    ("HTTPS", lambda r: str(r.https)),
    ("TLS", lambda r: str(r.tls)),
    ("DNS", lambda r: str(r.queries)),
    ("UPDATE", lambda r: str(r.updates)),
)


def ratio(row, floor):
    if not floor or not floor.seconds or not row.seconds:
        return None
    return row.wall_s / floor.wall_s


def table(rows):
    """A Markdown table for each task."""
    out = []
    for task in dict.fromkeys(r.task for r in rows):
        own = [r for r in rows if r.task == task]
        floor = next((r for r in own if r.client == "floor"), None)
        out += [f"**{task}**", "",
                "| client | " + " | ".join(t for t, _ in COLUMNS) + " |",
                "| --- |" + " ---: |" * len(COLUMNS)]
        out += [_line(row, floor) for row in own] + [""]
    return "\n".join(out)


def _line(row, floor):
    if row.failure or not row.seconds:
        return (f"| {row.client} | failed |"
                + " |" * (len(COLUMNS) - 1))
    times = ratio(row, floor)
    cells = [f"{times:.2f}" if title == "x floor" and times else show(row)
             for title, show in COLUMNS]
    return f"| {row.client} | " + " | ".join(cells) + " |"


class Verdicts:
    """The targets, each met or missed."""

    def __init__(self):
        self.lines = []
        self.missed = 0

    def hold(self, what, value, limit, unit=""):
        met = value is not None and value <= limit
        self.missed += not met
        shown = "not measured" if value is None else f"{value:.3g}{unit}"
        self.lines.append(f"{'met   ' if met else 'MISSED'} {what}: {shown}"
                          f" (target {limit:.3g}{unit})")


def verdicts(rows, tasks):
    """Holds every row of dns01 against the targets."""
    held = Verdicts()
    for task in tasks:
        own = [r for r in rows if r.task == task.title]
        row = next((r for r in own if r.client == "dns01"), None)
        floor = next((r for r in own if r.client == "floor"), None)
        if row and row.seconds and floor and floor.seconds:
            _hold(held, task, row, floor)
        elif row:
            held.hold(f"{task.title}: finished", None, 0)
    return held


def _hold(held, task, row, floor):
    title = task.title
    limit = 1.25 * floor.wall_s
    if not task.default_notify:
        limit = max(limit, floor.wall_s + 0.05)
    held.hold(f"{title}: wall", row.wall_s, limit, " s")
    held.hold(f"{title}: TLS connections", row.tls, 1)
    held.hold(f"{title}: UPDATE messages", row.updates, 2)
    held.hold(f"{title}: questions after all was shown",
              row.asked_after_shown, 0)
    held.hold(f"{title}: UDP questions in a second to one address",
              row.highest_rate, 50)
    if task.count == 2:
        held.hold(f"{title}: HTTPS requests", row.https, 14)
        held.hold(f"{title}: CPU", row.cpu, 0.05, " s")
        held.hold(f"{title}: peak memory", row.max_rss_kib / 1024, 20, " MB")
        held.hold(f"{title}: of it anonymous", row.max_anon_kib / 1024, 5,
                  " MB")
    else:
        held.hold(f"{title}: HTTPS requests", row.https, 2 * task.count + 20)
        held.hold(f"{title}: CPU", row.cpu, 0.3 * task.count / 100, " s")


def as_json(rows, tasks, held):
    floors = {r.task: r for r in rows if r.client == "floor"}
    return {"tasks": [asdict(t) for t in tasks],
            "rows": [{**asdict(r), "wall_s": r.wall_s, "cpu": r.cpu,
                      "times_floor": ratio(r, floors.get(r.task))}
                     for r in rows],
            "verdicts": held.lines}

"""dns01 renew: what is due, missing or changed is issued; what fails waits; nothing else happens."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import time

from testbed import Behind, time_limit
from testbed.config import account, certificate, rfc2136, write_config, zone

HOUR = 3600
DAY = 86400


def configure(bed, site, *certificates, accounts, **settings):
    return write_config(bed, accounts=accounts, providers=[rfc2136(site)],
                        zones=[zone(z.name) for z in site.zones],
                        certificates=list(certificates), **settings)


def simple(bed, *certificates, **settings):
    """A site, a Pebble, and the configuration of these certificates."""
    site = bed.site(secondaries=())
    pebble = bed.pebble()
    certificates = certificates or (certificate("example.com", "*.example.com"),)
    return site, pebble, configure(bed, site, *certificates, accounts=[account(pebble)], **settings)


def renew(bed, path, *arguments, **options):
    return bed.dns01("renew", "-c", path, *arguments, **options)


def changed(bed, path, *arguments):
    """{lineage: (outcome, why)} of one run, as --json says it."""
    result = renew(bed, path, "--json", *arguments)
    found = json.loads(result.out)
    return {c["lineage"]: (c["outcome"], c.get("why", "")) for c in found["certificates"]}


def assert_nothing_to_do(bed, path):
    result = renew(bed, path).assert_ok()
    assert result.out == "" and result.err == "", str(result)


def plan(bed, path, *arguments):
    result = renew(bed, path, "--plan", "--json", *arguments).assert_ok()
    return {row["lineage"]: row for row in json.loads(result.out)["plan"]}


def database(bed, sql, *values):
    """Changes what is remembered; without a change, the rows."""
    with contextlib.closing(sqlite3.connect(f"{bed.state()}/renewals.db")) as connection:
        rows = connection.execute(sql, values).fetchall()
        connection.commit()
    return rows


def grow_older(bed, seconds):
    """As if all that is remembered had happened so long ago; and the CAs are not asked."""
    for column in ("not_before", "not_after", "issued_at", "failed_at", "retry_at",
                   "window_start", "window_end", "draw_at"):
        database(bed, f"UPDATE renewal SET {column} = {column} - ? WHERE {column} > 0", seconds)
    database(bed, "UPDATE account_order SET at = at - ?", seconds)
    database(bed, "UPDATE deployment SET retry_at = retry_at - ?", seconds)


def serial(bed, lineage="test"):
    return bed.certificate(os.path.join(bed.current(lineage), "cert.pem")).serial


# What is due


def test_what_is_missing_is_issued_and_then_nothing_happens(bed):
    site, pebble, path = simple(bed, certificate("example.com", lineage="a"),
                                certificate("*.example.com", lineage="b", keys=["p256", "p384"]))
    result = renew(bed, path).assert_ok()
    assert sorted(line.split(":")[0] for line in result.out.splitlines()) == ["a", "b", "b-p384"]
    assert "there is no certificate yet" in result.out
    bed.assert_issued(pebble, ["example.com"], lineage="a")
    bed.assert_issued(pebble, ["*.example.com"], lineage="b-p384", key_type="p384")
    mark = pebble.mark()
    assert_nothing_to_do(bed, path)
    assert pebble.count("/draft-ietf-acme-ari-03/renewalInfo/", "GET", mark) == 3
    mark = pebble.mark()
    assert_nothing_to_do(bed, path)  # the CA said when it wants to be asked again
    assert pebble.requests(mark) == []
    site.assert_clean()


def test_what_the_configuration_changed_is_issued(bed):
    site, pebble, path = simple(bed)
    renew(bed, path).assert_ok()
    configure(bed, site, certificate("example.com", "www.example.com"), accounts=[account(pebble)])
    assert changed(bed, path) == {
        "test": ("issued", "its names changed: +www.example.com -*.example.com")}
    bed.assert_issued(pebble, ["example.com", "www.example.com"])
    configure(bed, site, certificate("WWW.example.com", "example.com.", keys=["p384"]),
              accounts=[account(pebble)])
    assert changed(bed, path) == {"test": ("issued", "its key type changed: p256, now p384")}
    configure(bed, site, certificate("www.example.com", "example.com", keys=["p384"]),
              accounts=[account(pebble, name="other")])
    assert changed(bed, path) == {"test": ("issued", "its account changed: pebble, now other")}
    assert_nothing_to_do(bed, path)


def test_window_of_the_ca_decides(bed):
    _, pebble, path = simple(bed)
    renew(bed, path).assert_ok()
    first = serial(bed)
    cert = os.path.join(bed.current(), "cert.pem")
    pebble.set_window(cert, 10 * DAY, 11 * DAY)
    assert_nothing_to_do(bed, path)
    row = plan(bed, path)["test"]
    assert (row["state"], row["reason"]) == ("waits", "window"), row
    pebble.set_window(cert, -2 * HOUR, -HOUR, "https://ca.example/incident")
    assert_nothing_to_do(bed, path)  # not asked yet
    database(bed, "UPDATE renewal SET ask_at = 0, issued_at = issued_at - ?", DAY)
    (outcome, why), = changed(bed, path).values()
    assert outcome == "issued" and "(why: https://ca.example/incident)" in why, why
    assert serial(bed) != first
    assert_nothing_to_do(bed, path)  # the window was of the one before


def test_one_draw_is_kept_for_a_window(bed):
    _, pebble, path = simple(bed)
    renew(bed, path).assert_ok()
    cert = os.path.join(bed.current(), "cert.pem")
    pebble.set_window(cert, 10 * DAY, 40 * DAY)
    draws = set()
    for _ in range(5):
        database(bed, "UPDATE renewal SET ask_at = 0")
        assert_nothing_to_do(bed, path)
        draws.add(database(bed, "SELECT draw_at FROM renewal")[0])
    assert len(draws) == 1, draws


def test_lifetime_decides_where_the_ca_does_not_answer(bed):
    """Pebble's windows are those of its default profile: a row that may not be asked for."""
    _, _, path = simple(bed)
    renew(bed, path).assert_ok()
    (before, after), = database(bed, "SELECT not_before, not_after FROM renewal")
    database(bed, "UPDATE renewal SET cert_id = NULL")
    life = after - before
    grow_older(bed, life * 6 // 10)
    assert plan(bed, path)["test"]["state"] == "waits"
    grow_older(bed, life * 7 // 100)
    (outcome, why), = changed(bed, path).values()
    assert (outcome, why) == ("issued", "a third of its life is left then")


def test_day_long_certificates_are_renewed_at_half(bed):
    site = bed.site(secondaries=())
    pebble = bed.pebble(profiles={"day": DAY})
    path = configure(bed, site, certificate("example.com", profile="day"),
                     accounts=[account(pebble)])
    renew(bed, path).assert_ok()
    database(bed, "UPDATE renewal SET cert_id = NULL")
    grow_older(bed, 10 * HOUR)
    assert_nothing_to_do(bed, path)
    grow_older(bed, 2 * HOUR)
    assert changed(bed, path)["test"] == ("issued", "half of its life is left then")


def test_renew_before_stands_above_the_window(bed):
    site, pebble, path = simple(bed)
    renew(bed, path).assert_ok()
    configure(bed, site, certificate("example.com", "*.example.com", renew_before="365d"),
              accounts=[account(pebble)])
    assert_nothing_to_do(bed, path)
    assert plan(bed, path)["test"]["reason"] == "renew-before"


def test_force_renews_what_is_named(bed):
    _, _, path = simple(bed, certificate("example.com", lineage="a"),
                        certificate("*.example.com", lineage="b"))
    renew(bed, path).assert_ok()
    assert changed(bed, path, "--force", "b") == {"b": ("issued", "it is forced")}
    assert changed(bed, path, "b") == {}
    renew(bed, path, "nothing").assert_failed("nothing", "no certificate of this name")


# What is shown


def test_plan_shows_all_and_does_nothing(bed):
    site, pebble, path = simple(bed, certificate("example.com", lineage="a"))
    renew(bed, path).assert_ok()
    configure(bed, site, certificate("example.com", lineage="a"),
              certificate("*.example.com", lineage="b"), accounts=[account(pebble)])
    mark = pebble.mark()
    result = renew(bed, path, "--plan").assert_ok()
    lines = [line.split() for line in result.out.splitlines()]
    assert lines[0] == ["LINEAGE", "STATE", "WHEN", "WHY"]
    assert [line[:2] for line in lines[1:]] == [["a", "waits"], ["b", "due"]]
    assert "there is no certificate yet" in result.out
    assert plan(bed, path, "b").keys() == {"b"}
    assert pebble.requests(mark) == []
    assert not os.path.exists(os.path.join(bed.state(), "certs/b"))


def test_dry_run_orders_at_staging_and_keeps_nothing(bed):
    site = bed.site(secondaries=())
    pebble, staging = bed.pebble(), bed.pebble()
    # one file with both roots, as the system's roots would be
    with open(pebble.ca_root, encoding="ascii") as one, \
            open(staging.ca_root, encoding="ascii") as other:
        roots = bed.write("roots.pem", one.read() + other.read())
    path = configure(bed, site, certificate("example.com", "*.example.com",
                                            deploy=[["/bin/touch", bed.path("deployed")]]),
                     accounts=[{**account(pebble), "ca_file": roots}])
    renew(bed, path, "--dry-run").assert_failed("no staging CA is known for", "--staging")
    result = renew(bed, path, "--dry-run", "--staging", staging.directory).assert_ok()
    assert "test: rehearsed at staging" in result.out
    assert staging.issued() == 1 and pebble.issued() == 0
    assert not os.path.exists(os.path.join(bed.state(), "certs/test"))
    assert not os.path.exists(bed.path("deployed"))
    assert os.listdir(os.path.join(bed.state(), "accounts")) == ["pebble-staging"]
    site.assert_clean()
    renew(bed, path).assert_ok()  # due as before
    assert pebble.issued() == 1
    before = serial(bed)
    configure(bed, site, certificate("example.com", "*.example.com"), accounts=[
        {**account(pebble), "ca_file": roots, "staging": staging.directory}])
    renew(bed, path, "--dry-run").assert_ok()
    assert staging.issued() == 2
    assert serial(bed) == before
    assert_nothing_to_do(bed, path)


# What fails


def test_failure_of_one_keeps_no_other_from_being_renewed(bed):
    site, pebble, path = simple(bed, certificate("example.com", lineage="a"),
                                certificate("www.example.org", lineage="b"),
                                certificate("*.example.com", lineage="c"))
    result = renew(bed, path).assert_failed("b: ", "www.example.org")
    assert sorted(line.split(":")[0] for line in result.out.splitlines()) == ["a", "c"]
    mark = pebble.mark()
    assert_nothing_to_do(bed, path)  # it is too early for another try
    assert pebble.count("/order-plz", since=mark) == 0
    row = plan(bed, path)["b"]
    assert row["state"] == "backs-off" and "it failed 1 time" in row["why"], row
    grow_older(bed, 61)
    renew(bed, path).assert_failed("b: ")
    assert "it failed 2 times" in plan(bed, path)["b"]["why"]
    assert changed(bed, path, "--force", "b")["b"][0] == "failed"
    site.assert_clean()


def test_one_good_hour_is_enough(bed):
    """The CA is down for days; every hourly run tries again, and the first that can renews."""
    _, pebble, path = simple(bed)
    pebble.stop()
    for hour in range(4):
        renew(bed, path).assert_failed("test: ")
        failures, refusals = database(bed, "SELECT failures, refusals FROM renewal")[0]
        assert (failures, refusals) == (hour + 1, 0)
        grow_older(bed, HOUR // 2 + 1)
    database(bed, "UPDATE renewal SET failures = 1000")
    renew(bed, path).assert_failed("test: ")
    grow_older(bed, HOUR // 2 + 1)
    pebble.start()
    renew(bed, path).assert_ok()
    assert database(bed, "SELECT failures, failure FROM renewal") == [(0, None)]


def test_ca_that_is_down_is_not_asked_for_each_lineage(bed):
    site = bed.site(secondaries=())
    first, second = bed.pebble(), bed.pebble()
    accounts = [account(first, name="first"), account(second, name="second")]
    alone = [certificate(f"h{n}.example.com", lineage=f"alone-{n}", account="first")
             for n in range(8)]
    both = [certificate(f"h{n}.example.com", lineage=f"both-{n}", account="first",
                        fallback=["second"]) for n in range(3)]
    path = configure(bed, site, *alone, *both, accounts=accounts, parallel=2)
    first.stop()
    result = renew(bed, path).assert_failed("more certificates were not tried")
    assert 2 <= result.err.count("alone-") <= 4, result.err
    assert result.seconds < 30
    rows = dict(database(bed, "SELECT lineage, account FROM renewal WHERE serial IS NOT NULL"))
    assert rows == {f"both-{n}": "second" for n in range(3)}, rows
    assert database(bed, "SELECT count(*) FROM renewal WHERE failures = 1") == [(8,)]
    first.start()
    # what another CA issued is no reason to order again
    grow_older(bed, HOUR)
    assert sorted(changed(bed, path)) == [f"alone-{n}" for n in range(8)]


def test_limit_of_an_account_is_kept_and_the_rest_comes_later(bed):
    site = bed.site(secondaries=())
    pebble = bed.pebble()
    path = configure(bed, site, *[certificate(f"h{n}.example.com", lineage=f"h{n}")
                                  for n in range(5)],
                     accounts=[account(pebble, orders_per_3h=3)])
    result = json.loads(renew(bed, path, "--json").assert_ok().out)
    assert (result["issued"], result["failed"], result["postponed"]) == (3, 0, 2), result
    assert_nothing_to_do(bed, path)
    grow_older(bed, 3 * HOUR + 5)  # the CA counts an order when it arrives
    assert len(changed(bed, path)) == 2
    assert pebble.issued() == 5


def test_most_urgent_are_renewed_first(bed):
    """Of six that are due the account may order two, and a third one where the end is near."""
    site = bed.site(secondaries=())
    pebble = bed.pebble()
    lineages = [f"h{n}" for n in range(6)]
    path = configure(bed, site, *[certificate(f"{name}.example.com", lineage=name)
                                  for name in lineages],
                     accounts=[account(pebble, orders_per_3h=100)], parallel=1)
    renew(bed, path).assert_ok()
    (before, after), = database(bed, "SELECT not_before, not_after FROM renewal LIMIT 1")
    database(bed, "UPDATE renewal SET cert_id = NULL")
    grow_older(bed, (after - before) * 7 // 10)
    for name, share in zip(lineages, (20, 5, 25, 15, 28, 12)):  # percent of the life left
        database(bed, "UPDATE renewal SET not_after = ?, not_before = ? WHERE lineage = ?",
                 int(time.time()) + 86400 * share, int(time.time()) - 86400 * (100 - share), name)
    configure(bed, site, *[certificate(f"{name}.example.com", lineage=name) for name in lineages],
              accounts=[account(pebble, orders_per_3h=3)], parallel=1)
    result = renew(bed, path).assert_ok()
    assert [line.split(":")[0] for line in result.out.splitlines()] == ["h1", "h5"], result.out
    assert pebble.issued() == 8


# How it runs


def test_deployment_is_done_once_for_all_that_are_new(bed):
    log = bed.path("deploy.log")
    script = bed.write("deploy", f"#!/bin/sh\necho \"$DNS01_LINEAGES\" >>{log}\n", 0o755)
    failing = bed.path("fail")
    retried = bed.write("retried", f"#!/bin/sh\ntest ! -e {failing}\n", 0o755)
    _, _, path = simple(
        bed, *[certificate(f"h{n}.example.com", lineage=f"h{n}", deploy=[[script], [retried]])
               for n in range(3)])
    bed.write("fail", "")
    renew(bed, path).assert_failed("retried", "exit status 1")
    with open(log, encoding="ascii") as file:
        assert [sorted(line.split()) for line in file] == [["h0", "h1", "h2"]]
    os.unlink(failing)
    grow_older(bed, 61)
    result = renew(bed, path).assert_ok()  # nothing is due, but that
    assert result.out == ""
    with open(log, encoding="ascii") as file:
        assert len(file.readlines()) == 1
    assert_nothing_to_do(bed, path)


def test_two_runs_do_not_meet(bed):
    site = bed.site(secondaries=[Behind("nsd", silent=True)])
    pebble = bed.pebble()
    path = configure(bed, site, certificate("example.com"), accounts=[account(pebble)])
    first = bed.start_dns01("renew", "-c", path)
    first.wait_for(lambda _: site.txt(), "a value is in DNS")
    renew(bed, path).assert_failed("another run of `dns01 renew` is at work")
    site.proxies[0].silent = False
    first.wait().assert_ok()
    assert_nothing_to_do(bed, path)


def test_stopped_run_leaves_nothing_and_the_next_one_goes_on(bed):
    site = bed.site(secondaries=[Behind("nsd", silent=True)])
    pebble = bed.pebble()
    path = configure(bed, site, *[certificate(f"h{n}.example.com", lineage=f"h{n}")
                                  for n in range(6)],
                     accounts=[account(pebble)], parallel=3)
    run = bed.start_dns01("renew", "-c", path)
    run.wait_for(lambda _: len(site.txt()) == 3, "three values are in DNS")
    run.signal(signal.SIGTERM)
    run.wait().assert_failed("stopped by the operator")
    site.assert_clean()
    site.proxies[0].silent = False
    assert sorted(changed(bed, path)) == [f"h{n}" for n in range(6)]
    site.assert_clean()


@time_limit(240)
def test_many_are_renewed_side_by_side(bed):
    _, pebble, path = simple(
        bed, *[certificate(f"h{n}.example.com", lineage=f"h{n}") for n in range(60)], parallel=10)
    assert len(changed(bed, path)) == 60
    assert pebble.issued() == 60
    assert_nothing_to_do(bed, path)


def test_loop_renews_when_something_is_due(bed):
    site, pebble, path = simple(bed, certificate("example.com", lineage="a"))
    loop = bed.start_dns01("renew", "-c", path, "--loop", "-v")
    loop.wait_for(lambda c: "the next run is in" in c.output(), "it sleeps")
    configure(bed, site, certificate("example.com", lineage="a"),
              certificate("*.example.com", lineage="b"), accounts=[account(pebble)])
    loop.signal(signal.SIGHUP)
    loop.wait_for(lambda c: "b: renewed" in c.output(), "it reads the configuration again")
    bed.write("dns01.conf", "nonsense")
    loop.signal(signal.SIGHUP)
    loop.wait_for(lambda c: "the configuration in use stays" in c.output(), "it keeps the old one")
    loop.wait_for(lambda c: c.output().count("the next run is in") == 3, "it sleeps again")
    loop.signal(signal.SIGTERM)
    assert loop.wait().code == 0
    assert pebble.issued() == 2


def test_loop_asks_the_ca_again_when_that_said(bed):
    _, pebble, path = simple(bed)
    renew(bed, path).assert_ok()
    cert = os.path.join(bed.current(), "cert.pem")
    assert_nothing_to_do(bed, path)
    pebble.set_window(cert, -2 * HOUR, -HOUR)
    database(bed, "UPDATE renewal SET ask_at = ?, issued_at = issued_at - ?", int(time.time()) + 3,
             DAY)
    loop = bed.start_dns01("renew", "-c", path, "--loop")
    loop.wait_for(lambda c: "test: renewed" in c.output(), "it renews", 40)
    loop.signal(signal.SIGTERM)
    assert loop.wait().code == 0


# What is remembered


def test_state_of_an_earlier_version_is_taken_up(bed):
    _, pebble, path = simple(bed)
    renew(bed, path).assert_ok()
    for name in ("renewals.db", "renewals.db-wal", "renewals.db-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(bed.state(), name))
    assert_nothing_to_do(bed, path)
    assert pebble.issued() == 1
    assert database(bed, "SELECT names, key_type FROM renewal") == [
        ("*.example.com example.com", "p256")]


def test_plan_without_what_is_remembered_is_the_same_and_kept(bed):
    site, _, path = simple(bed, certificate("example.com", lineage="a"),
                           certificate("*.example.com", lineage="b", keys=["rsa2048"]))
    renew(bed, path).assert_ok()
    rows = "SELECT lineage, serial, names, key_type, cert_id, issuer, not_after FROM renewal"
    known, remembered = plan(bed, path), database(bed, rows)
    for name in ("renewals.db", "renewals.db-wal", "renewals.db-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(bed.state(), name))
    os.unlink(os.path.join(bed.current("a"), "privkey.pem"))  # it is not looked at
    anew = plan(bed, path)
    assert [(name, row["state"]) for name, row in anew.items()] == [
        (name, row["state"]) for name, row in known.items()]
    assert database(bed, rows) == remembered
    assert plan(bed, path) == anew  # the same times too: they are drawn once
    assert bed.dns01("status", "-c", path).assert_ok().out.count("CN=") >= 2
    site.assert_clean()


def test_state_of_a_newer_version_is_refused(bed):
    _, _, path = simple(bed)
    renew(bed, path).assert_ok()
    database(bed, "PRAGMA user_version = 99")
    renew(bed, path).assert_failed("newer dns01")


def test_state_that_is_damaged_is_refused_with_what_to_do(bed):
    _, pebble, path = simple(bed)
    renew(bed, path).assert_ok()
    for name in os.listdir(bed.state()):
        if name.startswith("renewals.db"):
            os.unlink(os.path.join(bed.state(), name))
    with open(os.path.join(bed.state(), "renewals.db"), "w", encoding="ascii") as file:
        file.write("this is no database, and never was one\n" * 100)
    renew(bed, path).assert_failed("renewals.db", "damaged", "move it away", "read anew")
    for name in os.listdir(bed.state()):
        if name.startswith("renewals.db"):
            os.unlink(os.path.join(bed.state(), name))
    assert_nothing_to_do(bed, path)
    assert pebble.issued() == 1


def test_version_that_somebody_removed_is_issued_anew(bed):
    _, _, path = simple(bed)
    renew(bed, path).assert_ok()
    first = serial(bed)
    shutil.rmtree(os.path.realpath(bed.current()))
    assert changed(bed, path)["test"] == ("issued", "there is no certificate yet")
    assert serial(bed) != first
    assert_nothing_to_do(bed, path)


def test_backup_keeps_renewing(bed):
    _, pebble, path = simple(bed)
    renew(bed, path).assert_ok()
    assert_nothing_to_do(bed, path)
    archive = bed.path("backup.tar")
    bed.dns01("backup", "-c", path, archive).assert_ok()
    before = plan(bed, path)
    shutil.rmtree(bed.state())
    bed.run(["tar", "-xf", archive, "-C", bed.state()])
    mark = pebble.mark()
    assert_nothing_to_do(bed, path)
    assert pebble.requests(mark) == []  # it knows when to ask again
    assert plan(bed, path) == before
    assert changed(bed, path, "--force")["test"][0] == "issued"


def test_backup_is_restored_over_what_came_later(bed):
    """What SQLite keeps beside a database must not be written into the older one."""
    _, pebble, path = simple(bed)
    renew(bed, path).assert_ok()
    assert_nothing_to_do(bed, path)
    before, first = plan(bed, path), serial(bed)
    archive = os.path.join(bed.state(), "backup.tar")  # it does not hold itself
    bed.dns01("backup", "-c", path, archive).assert_ok()
    for _ in range(2):
        renew(bed, path, "--force").assert_ok()
    bed.run(["tar", "-xf", archive, "-C", bed.state()])
    assert os.path.getsize(archive) < 1_000_000
    assert database(bed, "PRAGMA integrity_check") == [("ok",)]
    assert plan(bed, path) == before and serial(bed) == first
    assert_nothing_to_do(bed, path)
    assert changed(bed, path, "--force")["test"][0] == "issued"


def test_backup_holds_long_names(bed):
    lineage = "x" * 150
    _, _, path = simple(bed, certificate("example.com", lineage=lineage))
    renew(bed, path).assert_ok()
    archive = bed.path("backup.tar")
    result = bed.dns01("backup", "-c", path, archive, "--json").assert_ok()
    assert json.loads(result.out) == {"backup": archive}
    first = serial(bed, lineage)
    shutil.rmtree(bed.state())
    bed.run(["tar", "-xf", archive, "-C", bed.state()])
    assert serial(bed, lineage) == first
    assert_nothing_to_do(bed, path)


def test_backup_is_whole_while_renewals_go_on(bed):
    _, _, path = simple(bed, *[certificate(f"h{n}.example.com", lineage=f"h{n}")
                               for n in range(4)])
    renew(bed, path).assert_ok()
    for number in range(6):  # past the versions that are kept
        run = bed.start_dns01("renew", "-c", path, "--force")
        taken = 0
        while run.running():
            taken += 1
            archive = bed.path(f"backup-{number}-{taken}.tar")
            bed.dns01("backup", "-c", path, archive).assert_ok()
            folder = bed.new_folder("restored")
            bed.run(["tar", "-xf", archive, "-C", folder])
            for n in range(4):
                bed.certificate(f"{folder}/certs/h{n}/current/cert.pem")
            shutil.rmtree(folder)
        run.wait().assert_ok()
        assert taken > 0


def test_what_a_person_issued_meanwhile_is_not_renewed_again(bed):
    _, pebble, path = simple(bed)
    bed.dns01("issue", "-c", path).assert_ok()
    assert_nothing_to_do(bed, path)
    assert database(bed, "SELECT account FROM renewal") == [("pebble",)]
    assert pebble.issued() == 1


def test_fallback_that_was_used_is_said(bed):
    site, first, second = bed.site(secondaries=()), bed.pebble(), bed.pebble()
    path = configure(bed, site, certificate("example.com", account="first", fallback=["second"]),
                     accounts=[account(first, name="first"), account(second, name="second")])
    first.stop()
    assert "by the fallback second, until" in renew(bed, path).assert_ok().out


def test_damaged_certificate_is_said_and_issued_anew(bed):
    site, pebble, path = simple(bed, certificate("example.com", lineage="a"),
                                certificate("*.example.com", lineage="b"))
    renew(bed, path).assert_ok()
    for damaged, keep in (("fullchain.pem", 200), ("privkey.pem", 0), ("privkey.pem", 60)):
        file = os.path.join(bed.current("a"), damaged)
        with open(file, "r+", encoding="ascii") as opened:
            opened.truncate(keep)
        shown = bed.dns01("status", "-c", path)
        assert shown.code == 1 and "a: its files are damaged" in shown.out.splitlines()[0], str(shown)
        result = renew(bed, path).assert_ok()
        assert file in result.err, str(result)
        assert result.out.startswith("a: renewed") and "b: " not in result.out
        bed.assert_issued(pebble, ["example.com"], lineage="a")
        assert_nothing_to_do(bed, path)


def test_what_a_person_added_to_a_chain_is_no_damage(bed):
    _, _, path = simple(bed)
    renew(bed, path).assert_ok()
    os.unlink(os.path.join(bed.current("test"), "privkey.pem"))  # kept elsewhere
    with open(os.path.join(bed.current("test"), "chain.pem"), encoding="ascii") as file:
        more = file.read()
    with open(os.path.join(bed.current("test"), "fullchain.pem"), "a", encoding="ascii") as file:
        file.write("Our root:\n" + more)
    assert_nothing_to_do(bed, path)
    assert database(bed, "SELECT account FROM renewal") == [("pebble",)]

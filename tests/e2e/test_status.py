"""dns01 status: what there is, what will become of it, and how bad it is."""

import json
import os
import re
import shutil
import time

from test_renew import DAY, HOUR, configure, database, grow_older, renew, simple
from testbed.config import account, certificate

OK, WARNING, CRITICAL, UNKNOWN = range(4)


def status(bed, path, code, *arguments):
    """The lines of it."""
    result = bed.dns01("status", "-c", path, *arguments)
    assert result.code == code, f"{result.code} {result}"
    return result.out.splitlines()


def data(bed, path, code):
    return json.loads("\n".join(status(bed, path, code, "--json")))


def test_all_is_well(bed):
    site = bed.site(secondaries=())
    pebble = bed.pebble(profiles={"short": 6 * DAY})
    path = configure(bed, site, certificate("example.com", "*.example.com", lineage="edge"),
                     certificate("www.example.com", lineage="web"),
                     accounts=[account(pebble, profiles=["short"])])
    renew(bed, path).assert_ok()
    lines = status(bed, path, OK)
    assert re.fullmatch(r"DNS01 OK: 2 certificates, the next renewal is \w+ at \S+Z", lines[0])
    assert lines[1] == "edge" and "  names *.example.com example.com" in lines
    assert re.search(r"issuer CN=Pebble \S+ CA \w+, account pebble, profile short", lines[4])
    assert lines[5].startswith("  renewal: at ") and "half of its life" in lines[5], lines
    found = data(bed, path, OK)
    assert found["status"] == "OK" and found["text"] == lines[0] and found["values"] == []
    edge = found["lineages"][0]
    assert edge["configured"] and edge["days_left"] == 5 and edge["renewal"]["state"] == "waits"
    assert edge["names"] == ["*.example.com", "example.com"]
    assert edge["profile"] == "short" and edge["to_deploy"] == []


def test_what_is_missing_is_a_warning(bed):
    _, _, path = simple(bed)
    lines = status(bed, path, WARNING)
    assert lines[:2] == ["DNS01 WARNING: test: there is no certificate yet", "test"]
    assert not os.path.exists(os.path.join(bed.state(), "certs/test"))


def test_failure_is_a_warning_with_its_sentence_and_time(bed):
    _, pebble, path = simple(bed)
    renew(bed, path).assert_ok()
    pebble.stop()
    renew(bed, path, "--force").assert_failed()
    lines = status(bed, path, WARNING)
    assert lines[0].startswith("DNS01 WARNING: test: its last renewal failed: "), lines[0]
    assert sum("Connection refused" in line for line in lines) == 2, lines
    assert re.match(r"  until \S+Z, \d+ days left", lines[2]), lines
    assert any(re.match(r"  failed at \S+Z: .*Connection refused", line) for line in lines), lines
    test = data(bed, path, WARNING)["lineages"][0]
    assert test["renewal"]["failures"] == 1 and test["failure"]["code"] == "network"
    now = int(time.time())
    database(bed, "UPDATE renewal SET window_start = 0, not_before = ?, not_after = ?,"
                  " issued_at = ?", now - 70 * DAY, now + 20 * DAY, now - 70 * DAY)
    renew(bed, path, "--force").assert_failed()
    lines = status(bed, path, WARNING)
    assert any(re.match(r"  renewal: tried again at \S+Z, after 2 failures: a third of its life",
                        line) for line in lines), lines


def test_life_that_runs_out_is_critical(bed):
    _, _, path = simple(bed, certificate("example.com", lineage="a"),
                        certificate("*.example.com", lineage="b"))
    renew(bed, path).assert_ok()
    (before, after), = database(bed, "SELECT not_before, not_after FROM renewal WHERE lineage='a'")
    grow_older(bed, (after - before) * 7 // 10)
    assert status(bed, path, WARNING)[0].endswith("(and 1 more)")
    database(bed, "UPDATE renewal SET not_after = not_after - ? WHERE lineage = 'b'",
             (after - before) * 3 // 10 - HOUR)
    line = status(bed, path, CRITICAL)[0]
    assert re.fullmatch(r"DNS01 CRITICAL: b: it ends at \S+ and was not renewed \(and 1 more\)",
                        line), line
    assert any(re.fullmatch(r"  until \S+Z, [01] hours left", line)
               for line in status(bed, path, CRITICAL))
    grow_older(bed, 2 * HOUR)
    lines = status(bed, path, CRITICAL)
    assert "b: it expired at" in lines[0]
    assert any(re.fullmatch(r"  until \S+Z, expired", line) for line in lines)


def test_timer_that_does_not_run_is_a_warning(bed):
    _, _, path = simple(bed)
    renew(bed, path).assert_ok()
    database(bed, "UPDATE renewal SET window_start = 0")
    grow_older(bed, 62 * DAY)
    assert "does a timer run `dns01 renew`?" in status(bed, path, WARNING)[0]


def test_paused_certificate_names_the_page(bed):
    _, _, path = simple(bed)
    renew(bed, path).assert_ok()
    grow_older(bed, 61 * DAY)
    database(bed, "UPDATE renewal SET paused = 1, failures = 3, failure = ?",
             "visit https://ca.example/unpause?jwt=x|y")
    lines = status(bed, path, WARNING)
    assert "visit https://ca.example/unpause?jwt=x/y" in lines[0]  # a bar would end the line
    assert any("unpause?jwt=x|y" in line and "renew --force test" in line for line in lines[1:])


def test_deployment_that_failed_or_is_left_is_shown(bed):
    flag = bed.path("works")
    script = bed.write("reload", f"#!/bin/sh\ntest -e {flag}\n", 0o755)
    site, pebble, path = simple(bed, certificate("example.com", lineage="a", deploy=[[script]]))
    renew(bed, path).assert_failed("exit status 1")
    lines = status(bed, path, WARNING)
    assert lines[0] == (f"DNS01 WARNING: a: its deployment failed: {script}: "
                        "ended with exit status 1"), lines[0]
    assert len([line for line in lines if "exit status" in line]) == 2, lines  # said once each
    configure(bed, site, certificate("example.com", lineage="a",
                                     deploy=[[script], ["/bin/true"]]), accounts=[account(pebble)])
    assert "  deploy: /bin/true: still to be done" in status(bed, path, WARNING)
    bed.write("works", "")
    grow_older(bed, 61)
    renew(bed, path).assert_ok()
    assert data(bed, path, OK)["lineages"][0]["to_deploy"] == []


def test_export_that_failed_names_its_path_once(bed):
    where = os.path.join(bed.dir, "nowhere", "a.pem")
    _, _, path = simple(bed, certificate("example.com", lineage="a",
                                         export=[{"layout": "haproxy", "path": where}]))
    renew(bed, path).assert_failed(code=12)
    assert status(bed, path, WARNING)[0].count(where) == 1


def test_lineage_without_a_configuration_is_shown_and_alarms_nobody(bed):
    site, pebble, path = simple(bed, certificate("example.com", lineage="a"),
                                certificate("*.example.com", lineage="b"))
    renew(bed, path).assert_ok()
    configure(bed, site, certificate("example.com", lineage="a"), accounts=[account(pebble)])
    lines = status(bed, path, OK)
    assert "  renewal: never, the configuration does not name it" in lines
    bed.dns01("status", "--state", bed.state()).assert_ok()
    assert [x["configured"] for x in data(bed, path, OK)["lineages"]] == [True, False]


def test_prometheus_reads_the_figures(bed):
    _, pebble, path = simple(bed)
    renew(bed, path).assert_ok()
    pebble.stop()
    renew(bed, path, "--force").assert_failed()
    lines = status(bed, path, OK, "--prometheus")  # the level is among the figures
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert values["dns01_status"] == "1"
    assert values['dns01_certificate_renewal_failures{lineage="test"}'] == "1"
    end = database(bed, "SELECT not_after FROM renewal")[0][0]
    assert values['dns01_certificate_not_after_timestamp_seconds{lineage="test"}'] == str(end)
    names = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert {re.split("[{ ]", name)[0] for name in values} == names
    promtool = shutil.which("promtool")
    if promtool:
        bed.run([promtool, "check", "metrics"], input="\n".join(lines) + "\n")


def test_what_cannot_be_found_out_is_unknown(bed):
    _, _, path = simple(bed)
    renew(bed, path).assert_ok()
    database(bed, "PRAGMA user_version = 99")
    result = bed.dns01("status", "-c", path)
    assert result.code == UNKNOWN and "newer dns01" in result.err
    assert result.out.startswith("DNS01 UNKNOWN: "), result.out
    result = bed.dns01("status", "-c", bed.write("bad.conf", "nonsense"))
    assert result.code == UNKNOWN and result.out.startswith("DNS01 UNKNOWN: "), result

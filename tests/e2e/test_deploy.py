"""Deploy commands: what they get, and what becomes of those that fail."""

import json
import os
import signal
import time

from testbed import Behind, wait_until
from testbed.config import site_config
from testbed.recorder import Recorder

NAMES = ("*.example.com", "example.com")
DEPLOY_FAILED = 12


def _world(bed, *commands, **options):
    """A site, a CA, a recorder, and a configuration that deploys so."""
    site, pebble = bed.site(secondaries=()), bed.pebble()
    recorder = Recorder(bed)
    conf = site_config(
        bed, pebble, site, *NAMES,
        deploy=[recorder.command(*words) for words in commands], **options)
    return site, pebble, recorder, conf


def _gone(pid):
    """Whether a process has ended, waited for by its parent or not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def _assert_kept(bed, site, pebble):
    """The certificate is there, whatever its deployment did."""
    bed.assert_issued(pebble, NAMES)
    site.assert_clean()


# What a command gets


def test_command_gets_its_words_as_they_are_and_a_small_environment(bed):
    words = ("ok", "two words", "$HOME", "`id`", "a;b", "'\"\\", "", "*")
    site, pebble, recorder, conf = _world(bed, words)
    bed.dns01("issue", "-c", conf, env={"SECRET_TOKEN": "x"}).assert_ok()
    run, = recorder.runs()
    assert run["argv"] == list(words)
    env = dict(line.split("=", 1) for line in run["env"])
    assert env.pop("PATH").endswith("/bin")
    lineage = os.path.dirname(bed.current())
    assert env == {"RENEWED_LINEAGE": lineage,
                   "RENEWED_DOMAINS": " ".join(sorted(NAMES)),
                   "FAILED_DOMAINS": "",
                   "DNS01_LINEAGE": "test", "DNS01_LINEAGES": "test",
                   "DNS01_FOLDER": bed.current(),
                   "DNS01_CERTS": os.path.dirname(lineage)}
    _assert_kept(bed, site, pebble)


def test_command_inherits_no_descriptor_and_reads_nothing(bed):
    """An inherited lock or journal would outlive dns01 in a daemon that the
    command starts."""
    site, pebble, recorder, conf = _world(bed, ("read",))
    bed.dns01("issue", "-c", conf).assert_ok()
    run, = recorder.runs()
    fds = dict(line.split(" ", 1) for line in run["fd"])
    assert fds.pop("0") == "/dev/null"
    assert not [f for f in fds.values() if bed.state() in f or "socket" in f
                or "anon_inode" in f], fds
    _assert_kept(bed, site, pebble)


def test_commands_run_once_each_in_order_when_the_records_are_gone(bed):
    site, pebble, recorder, conf = _world(bed, ("one",), ("two",), ("three",))
    wire = bed.watch_wire()
    result = bed.dns01("issue", "-c", conf).assert_ok()
    assert [r["argv"] for r in recorder.runs()] == [
        ["one"], ["two"], ["three"]]
    removed = max(u.time for u in wire.updates())
    began = int(recorder.runs()[0]["run"][0]) / 1e9
    assert time.time() - time.monotonic() + removed < began + 0.05
    assert "deploying" in result.err
    _assert_kept(bed, site, pebble)


def test_equal_commands_run_once_for_all_lineages_of_a_run(bed):
    """Each key type is a lineage of its own; {lineage} makes them differ."""
    site, pebble, recorder, conf = _world(
        bed, ("go",), ("for", "{lineage}"), keys=["p256", "p384"])
    bed.dns01("issue", "-c", conf).assert_ok()
    lineages = [(*r["argv"], e) for r in recorder.runs() for e in r["env"]
                if e.startswith("DNS01_LINEAGES")]
    assert lineages == [("go", "DNS01_LINEAGES=test test-p384"),
                        ("for", "test", "DNS01_LINEAGES=test"),
                        ("for", "test-p384", "DNS01_LINEAGES=test-p384")]
    bed.assert_issued(pebble, NAMES, lineage="test-p384", key_type="p384")
    _assert_kept(bed, site, pebble)


def test_two_runs_for_one_lineage_deploy_once(bed):
    """Who waited for the other's certificate finds it deployed."""
    site = bed.site(secondaries=(Behind("nsd", lag_s=3600.0),))
    pebble, recorder = bed.pebble(), Recorder(bed)
    conf = site_config(bed, pebble, site, *NAMES,
                       deploy=[recorder.command("go")])
    first = bed.start_dns01("issue", "-c", conf)
    first.wait_for(lambda r: "watching" in r.output(), "it watches")
    second = bed.start_dns01("issue", "-c", conf, "-v")
    second.wait_for(lambda r: "waiting for its result" in r.output(),
                    "it waits")
    site.proxies[0].lag_s = 0.0
    for run in (first, second):
        run.wait().assert_ok()
    assert [r["argv"] for r in recorder.runs()] == [["go"]]
    assert pebble.issued() == 1
    _assert_kept(bed, site, pebble)


def test_lineage_conf_deploys_again(bed):
    site, pebble, recorder, conf = _world(bed, ("go",))
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.dns01("issue", "-c", f"{bed.current()}/lineage.conf").assert_ok()
    assert [r["argv"] for r in recorder.runs()] == [["go"], ["go"]]
    _assert_kept(bed, site, pebble)


def test_nothing_is_deployed_when_the_certificate_fails(bed):
    site, pebble, recorder, conf = _world(bed, ("go",))
    pebble.process.kill()
    bed.dns01("issue", "-c", conf).assert_failed(code=69)
    assert not recorder.runs()
    site.assert_clean()


# Failures


def test_failing_command_is_told_with_its_output_and_the_rest_runs(bed):
    site, pebble, recorder, conf = _world(bed, ("fail",), ("after",))
    result = bed.dns01("issue", "-c", conf)
    result.assert_failed("dns01: test: the certificate is there, but its deployment failed",
                         recorder.program, "exit status 3",
                         code=DEPLOY_FAILED)
    for said in ("to standard output", "to standard error"):
        assert said in result.out, result
    assert [r["argv"] for r in recorder.runs()] == [["fail"], ["after"]]
    status = bed.dns01("status", "-c", conf).assert_failed(code=1).out
    assert "exit status 3" in status and "days left" in status
    _assert_kept(bed, site, pebble)


def test_failure_to_deploy_is_in_the_json_result(bed):
    site, pebble, recorder, conf = _world(bed, ("fail",))
    result = bed.dns01("issue", "-c", conf, "--json")
    assert result.code == DEPLOY_FAILED
    one, = json.loads(result.out)["certificates"]
    assert one["issued"] and "error" not in one
    assert one["deploy_error"]["code"] == "deploy"
    assert one["deploy_error"]["subject"] == recorder.program
    assert "to standard error" in one["deploy_output"]
    _assert_kept(bed, site, pebble)


def test_command_that_hangs_is_killed_with_its_children(bed):
    site, pebble, recorder, conf = _world(
        bed, ("hang",), ("after",), deploy_timeout="1s")
    result = bed.dns01("issue", "-c", conf, timeout_s=20)
    result.assert_failed(recorder.program, "did not end within 1s",
                         "killed", code=DEPLOY_FAILED)
    hung, after = recorder.runs()
    assert after["argv"] == ["after"] and len(hung["pid"]) == 2
    for pid in hung["pid"]:
        wait_until(lambda p=pid: _gone(p), f"process {pid} is gone", 5)
    _assert_kept(bed, site, pebble)


def test_command_that_leaves_a_daemon_behind_has_ended(bed):
    """Its daemon keeps standard output open; that is nothing to wait for."""
    site, pebble, recorder, conf = _world(bed, ("daemon",),
                                          deploy_timeout="30s")
    result = bed.dns01("issue", "-c", conf, timeout_s=25).assert_ok()
    assert result.seconds < 20
    daemon = recorder.runs()[0]["pid"][1]
    assert not _gone(daemon), "the daemon was killed"
    os.kill(int(daemon), signal.SIGKILL)
    _assert_kept(bed, site, pebble)


def test_command_that_a_signal_ends_has_failed(bed):
    site, pebble, recorder, conf = _world(bed, ("kill",))
    bed.dns01("issue", "-c", conf).assert_failed(
        recorder.program, "signal 9", code=DEPLOY_FAILED)
    _assert_kept(bed, site, pebble)


def test_program_that_is_not_there_or_may_not_run_is_told(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    recorder, plain = Recorder(bed), bed.write("bin/plain", "text\n")
    for program, reason in ((bed.path("bin/absent"), "No such file"),
                            (plain, "ermission denied")):
        conf = site_config(bed, pebble, site, *NAMES,
                           deploy=[[program], recorder.command("after")])
        bed.dns01("issue", "-c", conf).assert_failed(
            "the certificate is there", program, reason, code=DEPLOY_FAILED)
    assert [r["argv"] for r in recorder.runs()] == [["after"], ["after"]]
    _assert_kept(bed, site, pebble)


def test_output_is_bounded_and_fit_for_a_terminal(bed):
    site, pebble, recorder, conf = _world(bed, ("loud",), ("rude",))
    result = bed.dns01("issue", "-c", conf).assert_ok()
    assert len(result.out) < 200000
    assert "xxxx" in result.out
    assert "\033" not in result.out and "\007" not in result.out
    assert "[31mred" in result.out
    assert len(recorder.runs()) == 2
    _assert_kept(bed, site, pebble)


# Signals


def test_signal_while_deploying_ends_the_command_and_says_so(bed):
    site, pebble, recorder, conf = _world(bed, ("hang",), ("after",),
                                          keys=["p256", "p384"])
    run = bed.start_dns01("issue", "-c", conf)
    run.wait_for(lambda _: recorder.runs() and len(
        recorder.runs()[0]["pid"]) == 2, "the command runs")
    run.signal(signal.SIGTERM)
    result = run.wait(15)
    result.assert_failed("the certificate is there", "stopped by the operator",
                         code=130)
    hung, = recorder.runs()
    for pid in hung["pid"]:
        wait_until(lambda p=pid: _gone(p), f"process {pid} is gone", 5)
    assert pebble.issued() == 2
    _assert_kept(bed, site, pebble)

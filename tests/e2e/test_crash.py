"""Crashes and signals at every moment: nothing of ours stays in the zone, and
no certificate is wasted."""

import json
import os
import signal
import subprocess
import threading

from testbed import Behind, Proxy, dnswire, namespace, wait_until
from testbed.config import (account, certificate, rfc2136, site_config,
                            write_config, zone)

NAME = "_acme-challenge.example.com"
NAMES = ("*.example.com", "example.com")
SIBLING = (NAME, "a value of somebody else")
WATCHING = "watching the name servers"


class Withholding(Proxy):
    """In front of a primary: an UPDATE is applied there; while `withhold`
    is set, its reply never comes."""

    def __init__(self, bed, upstream, *, withhold=False):
        super().__init__(bed, upstream)
        self.withhold = withhold
        self.applied = threading.Event()

    def _relay(self, request, octets, transport, question):
        reply = super()._relay(request, octets, transport, question)
        if request.opcode != dnswire.OPCODE_UPDATE or not self.withhold:
            return reply
        self.applied.set()
        return None


def _site(bed, **options):
    """A site with a value of somebody else at the challenge's name."""
    options.setdefault("secondaries", ())
    site = bed.site(**options)
    site.update(f'add {NAME} 60 TXT "{SIBLING[1]}"')
    return site


def _lagging(bed, **options):
    """A site whose one secondary does not show new values before
    release(site)."""
    return _site(bed, secondaries=(Behind("nsd", lag_s=3600.0),), **options)


def _release(site):
    site.proxies[0].lag_s = 0.0


def _ours(site):
    return [row for row in site.txt() if row != SIBLING]


def _assert_clean(bed, site, conf):
    """Neither the zone nor the journal has a value of ours."""
    site.assert_clean(expecting=[SIBLING])
    status = bed.dns01("status", "-c", conf, "--json")
    assert status.code in (0, 1), status
    assert json.loads(status.out)["values"] == [], status.out


def _sweep(bed, conf, removed):
    result = bed.dns01("sweep", "-c", conf).assert_ok()
    records = "record" if removed == 1 else "records"
    assert result.out == f"{removed} {records} removed\n", result.out


def _start_watching(bed, conf, *more):
    """A run that has published and watches a server that lags."""
    run = bed.start_dns01("issue", "-c", conf, *more)
    run.wait_for(lambda r: WATCHING in r.output(), "it watches")
    return run


# kill -9


def _killed_before_the_reply(bed):
    """The UPDATE was applied, its reply never came, and dns01 is gone."""
    site, pebble = _site(bed), bed.pebble()
    proxy = Withholding(bed, site.address, withhold=True).start()
    conf = site_config(bed, pebble, site, *NAMES,
                       provider_settings={"server": proxy.address,
                                          "timeout": "1s"})
    run = bed.start_dns01("issue", "-c", conf)
    run.wait_for(lambda _: proxy.applied.is_set(), "the update is applied")
    run.kill()
    assert len(_ours(site)) == 2
    proxy.withhold = False
    return site, pebble, conf


def test_killed_after_the_update_sweep_removes_the_records(bed):
    site, _, conf = _killed_before_the_reply(bed)
    _sweep(bed, conf, 2)
    _sweep(bed, conf, 0)
    _assert_clean(bed, site, conf)


def test_killed_after_the_update_the_next_run_succeeds_and_cleans(bed):
    site, pebble, conf = _killed_before_the_reply(bed)
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.assert_issued(pebble, NAMES)
    _assert_clean(bed, site, conf)


def test_sweep_needs_no_configuration_but_the_state_folder(bed):
    """The journal knows which credential and server a value went by."""
    site, _, conf = _killed_before_the_reply(bed)
    os.rename(conf, conf + ".gone")
    result = bed.dns01("sweep", "--state", bed.state()).assert_ok()
    assert "2 records removed" in result.out
    site.assert_clean(expecting=[SIBLING])


def test_retract_needs_no_configuration_but_the_state_folder(bed):
    site, _, conf = _killed_before_the_reply(bed)
    os.rename(conf, conf + ".gone")
    result = bed.dns01("retract", "--state", bed.state(), NAME).assert_ok()
    assert "2 records removed" in result.out
    site.assert_clean(expecting=[SIBLING])


def test_zone_that_cannot_be_swept_does_not_keep_the_others(bed):
    sites = [_site(bed), bed.site("example.org", secondaries=(
        Behind("nsd", lag_s=3600.0),), keyname="other")]
    conf = write_config(
        bed, accounts=[account(bed.pebble())],
        providers=[rfc2136(s, s.zones[0].name) for s in sites],
        zones=[zone(s.zones[0].name, s.zones[0].name) for s in sites],
        certificates=[certificate("example.com", "example.org")])
    _start_watching(bed, conf).kill()
    assert len(_ours(sites[0])) == 1 and len(sites[1].txt()) == 1
    key = sites[0].key.path
    os.rename(key, key + ".gone")
    bed.dns01("sweep", "-c", conf).assert_failed(key)
    assert len(_ours(sites[0])) == 1 and not sites[1].txt()
    os.rename(key + ".gone", key)
    _sweep(bed, conf, 1)
    _assert_clean(bed, sites[0], conf)
    sites[1].assert_clean()


def test_run_for_another_name_cleans_what_a_killed_run_left(bed):
    site, pebble, conf = _killed_before_the_reply(bed)
    bed.dns01("issue", "-c", conf, "--name", "www",
              "www.example.com").assert_ok()
    bed.assert_issued(pebble, ["www.example.com"], lineage="www")
    _assert_clean(bed, site, conf)


def test_killed_while_watching_the_next_run_takes_up_the_order(bed):
    site, pebble = _lagging(bed), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    run = _start_watching(bed, conf)
    wait_until(lambda: os.path.exists(
        f"{bed.state()}/certs/test/pending/order.json"), "the order is kept")
    run.kill()
    published = _ours(site)
    assert len(published) == 2
    _release(site)
    result = bed.dns01("issue", "-c", conf, "--json").assert_ok()
    assert '"resumed": true' in result.out
    assert pebble.count("/order-plz") == 1
    bed.assert_issued(pebble, NAMES)
    _assert_clean(bed, site, conf)


def test_killed_after_finalize_the_next_run_fetches_that_certificate(bed):
    """What was asked for is taken up: order and key were on disk before."""
    site, pebble = _site(bed), bed.pebble(retry_after=(1, 3))
    conf = site_config(bed, pebble, site, *NAMES)
    run = bed.start_dns01("issue", "-c", conf)
    run.wait_for(lambda _: pebble.count("/finalize-order/"), "it finalizes")
    assert run.kill().code == -signal.SIGKILL
    bed.dns01("issue", "-c", conf).assert_ok()
    leaf = bed.assert_issued(pebble, NAMES)
    assert pebble.count("/order-plz") == 1
    assert pebble.count("/finalize-order/") == 1
    wait_until(lambda: pebble.issued() == 1, "one certificate was issued")
    assert leaf.names == sorted(NAMES)
    assert not os.path.exists(f"{bed.state()}/certs/test/pending")
    _assert_clean(bed, site, conf)


def _killed_before_finalize(bed):
    """The CA looks at the names, whose records are in the zone."""
    site, pebble = _site(bed), bed.pebble(retry_after=(1, 3))
    conf = site_config(bed, pebble, site, *NAMES)
    run = bed.start_dns01("issue", "-c", conf)
    run.wait_for(lambda _: len(pebble.challenges_answered()) == 2,
                 "it answers")
    assert run.kill().code == -signal.SIGKILL
    assert len(_ours(site)) == 2
    return site, pebble, conf


def test_killed_while_the_ca_looks_the_next_run_ends_it_and_cleans(bed):
    """Nothing is published again, so nothing is watched: the sweep is all
    that removes the records."""
    site, pebble, conf = _killed_before_finalize(bed)
    wait_until(lambda: sum("set VALID by" in line for _, line
                           in pebble.process.lines) == 2, "it is validated")
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.assert_issued(pebble, NAMES)
    assert pebble.count("/order-plz") == 1
    _assert_clean(bed, site, conf)


def test_failing_run_cleans_what_a_killed_one_left(bed):
    site, pebble, conf = _killed_before_the_reply(bed)
    pebble.process.kill()
    bed.dns01("issue", "-c", conf).assert_failed(code=69)
    _assert_clean(bed, site, conf)


def test_killed_between_removal_and_journal_is_only_removed_once_more(bed):
    """The records are gone, the journal still has them."""
    site, pebble = _lagging(bed), bed.pebble()
    proxy = Withholding(bed, site.address).start()
    conf = site_config(bed, pebble, site, *NAMES,
                       provider_settings={"server": proxy.address})
    run = _start_watching(bed, conf)
    proxy.withhold = True
    run.signal(signal.SIGINT)
    run.wait_for(lambda _: proxy.applied.is_set(), "the records are removed")
    run.kill()
    proxy.withhold = False
    assert not _ours(site)
    assert NAME in bed.dns01("status", "-c", conf).out
    _sweep(bed, conf, 2)
    _assert_clean(bed, site, conf)


def test_killed_at_each_of_its_steps_nothing_stays(bed):
    site, pebble = _site(bed), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    lines = bed.dns01("issue", "-c", conf).assert_ok().err.count("\n")
    for step in range(1, lines):
        run = bed.start_dns01("issue", "-c", conf)
        wait_until(lambda r=run, s=step: r.output().count("\n") >= s
                   or not r.running(), f"line {step}")
        run.kill()
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.assert_issued(pebble, NAMES)
    _assert_clean(bed, site, conf)


def test_killed_probe_is_swept(bed):
    site, pebble = _lagging(bed), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    run = bed.start_dns01("probe", "-c", conf, "example.com")
    run.wait_for(lambda r: WATCHING in r.output(), "it watches")
    run.kill()
    assert len(_ours(site)) == 1
    _sweep(bed, conf, 1)
    _assert_clean(bed, site, conf)


# Signals


def _signal_retracts(bed, number):
    site, pebble = _lagging(bed), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    run = _start_watching(bed, conf)
    assert len(_ours(site)) == 2
    run.signal(number)
    result = run.wait(10)
    result.assert_failed("stopping", "stopped by", code=130)
    assert not pebble.challenges_answered()
    _assert_clean(bed, site, conf)
    return site, pebble, conf


def test_sigint_removes_the_records(bed):
    site, pebble, conf = _signal_retracts(bed, signal.SIGINT)
    _release(site)
    bed.dns01("issue", "-c", conf).assert_ok()
    assert pebble.count("/order-plz") == 1


def test_sigterm_removes_the_records(bed):
    _signal_retracts(bed, signal.SIGTERM)


def test_sighup_removes_the_records(bed):
    _signal_retracts(bed, signal.SIGHUP)


def test_signal_stops_a_probe_and_removes_its_record(bed):
    site, pebble = _lagging(bed), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    run = bed.start_dns01("probe", "-c", conf, "example.com")
    run.wait_for(lambda r: WATCHING in r.output(), "it watches")
    run.signal(signal.SIGTERM)
    run.wait(10).assert_failed("stopped by", code=130)
    _assert_clean(bed, site, conf)


def test_signal_stops_the_certificates_that_would_come_next(bed):
    site, pebble = _lagging(bed), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES, keys=["p256", "p384"])
    run = _start_watching(bed, conf)
    run.signal(signal.SIGINT)
    run.wait(10).assert_failed("stopped by", code=130)
    assert pebble.count("/order-plz") == 1
    _assert_clean(bed, site, conf)


def _silent_primary(bed):
    """A run that watches, whose primary then takes no more updates."""
    site, pebble = _lagging(bed), bed.pebble()
    proxy = Withholding(bed, site.address).start()
    conf = site_config(bed, pebble, site, *NAMES, provider_settings={
        "server": proxy.address, "timeout": "1s"})
    run = _start_watching(bed, conf)
    proxy.silent = True
    return site, proxy, conf, run


def test_second_signal_ends_it_at_once(bed):
    site, proxy, conf, run = _silent_primary(bed)
    run.signal(signal.SIGINT)
    run.wait_for(lambda r: "stopping" in r.output(), "it stops")
    run.signal(signal.SIGINT)
    result = run.wait(5)
    assert result.code == 130, result
    assert result.seconds < 10
    proxy.silent = False
    _sweep(bed, conf, 2)
    _assert_clean(bed, site, conf)


def test_signal_with_a_dead_primary_says_what_stays_and_ends(bed):
    site, proxy, conf, run = _silent_primary(bed)
    run.signal(signal.SIGTERM)
    run.wait(15).assert_failed("records are still in DNS", "dns01 sweep",
                               proxy.address, code=130)
    status = bed.dns01("status", "-c", conf)
    assert status.code in (0, 1), status
    for _, value in _ours(site):
        assert f"{NAME} {value}: " in status.out
    proxy.silent = False
    _sweep(bed, conf, 2)
    _assert_clean(bed, site, conf)


def test_signal_ends_a_sweep_at_once_and_keeps_the_rows(bed):
    site, proxy, conf, run = _silent_primary(bed)
    run.kill()
    sweep = bed.start_dns01("sweep", "-c", conf)
    asked = len(proxy.questions())
    wait_until(lambda: len(proxy.questions()) > asked, "it sweeps")
    sweep.signal(signal.SIGTERM)
    assert sweep.wait(5).code == 128 + signal.SIGTERM
    proxy.silent = False
    _sweep(bed, conf, 2)
    _assert_clean(bed, site, conf)


def test_signal_ends_a_run_whose_ca_does_not_answer(bed):
    site, pebble = _site(bed), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    pebble.process.signal(signal.SIGSTOP)
    run = bed.start_dns01("issue", "-c", conf)
    run.wait_for(lambda r: "asking the CA" in r.output(), "it asks")
    run.signal(signal.SIGINT)
    run.wait(10).assert_failed("stopped by", code=130)
    _assert_clean(bed, site, conf)


# Streams


def test_closed_streams_are_not_taken_by_files_of_ours(bed):
    """Progress must not be written into what happened to be opened next."""
    site, pebble = _lagging(bed), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    run = bed.start(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh",
                     bed.tool("dns01"), "issue", "-c", conf])
    wait_until(lambda: len(_ours(site)) == 2, "it published")
    streams = [os.readlink(f"/proc/{run.pid}/fd/{n}") for n in range(3)]
    assert streams == ["/dev/null"] * 3, streams
    _release(site)
    run.wait().assert_ok()
    bed.assert_issued(pebble, NAMES)
    _assert_clean(bed, site, conf)


def test_reader_of_the_progress_may_go_away(bed):
    """dns01 issue 2>&1 | head -1"""
    site, pebble = _lagging(bed), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    reading, writing = os.pipe()
    run = subprocess.Popen([bed.tool("dns01"), "issue", "-c", conf],
                           stdout=subprocess.DEVNULL, stderr=writing)
    os.close(writing)
    wait_until(lambda: len(_ours(site)) == 2, "it published")
    os.close(reading)
    _release(site)
    assert run.wait(30) == 0
    bed.assert_issued(pebble, NAMES)
    _assert_clean(bed, site, conf)


# Several at once


def test_two_runs_for_one_lineage_share_one_certificate(bed):
    site, pebble = _lagging(bed), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    first = _start_watching(bed, conf)
    second = bed.start_dns01("issue", "-c", conf, "-v")
    second.wait_for(lambda r: "waiting for its result" in r.output(),
                    "it waits")
    _release(site)
    for run in (first, second):
        run.wait().assert_ok()
    assert "another process has just issued it" in second.output()
    assert pebble.issued() == 1
    bed.assert_issued(pebble, NAMES)
    _assert_clean(bed, site, conf)


def test_run_that_waited_goes_on_when_the_other_is_killed(bed):
    site, pebble = _lagging(bed), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    first = _start_watching(bed, conf)
    second = bed.start_dns01("issue", "-c", conf, "-v")
    second.wait_for(lambda r: "waiting for its result" in r.output(),
                    "it waits")
    first.kill()
    _release(site)
    second.wait().assert_ok()
    assert pebble.issued() == 1
    bed.assert_issued(pebble, NAMES)
    _assert_clean(bed, site, conf)


def test_signal_ends_a_run_that_waits_for_another(bed):
    site, pebble = _lagging(bed), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    first = _start_watching(bed, conf)
    second = bed.start_dns01("issue", "-c", conf, "-v")
    second.wait_for(lambda r: "waiting for its result" in r.output(),
                    "it waits")
    second.signal(signal.SIGINT)
    second.wait(5).assert_failed("stopped by", code=130)
    assert len(_ours(site)) == 2
    _release(site)
    first.wait().assert_ok()
    bed.assert_issued(pebble, NAMES)
    _assert_clean(bed, site, conf)


def test_two_runs_for_two_lineages_of_the_same_names_both_pass(bed):
    """Two values stand side by side at one name, each its own run's."""
    site, pebble = _lagging(bed), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    runs = [_start_watching(bed, conf, "--name", name, *NAMES)
            for name in ("one", "two")]
    assert len(_ours(site)) == 4
    _release(site)
    for run in runs:
        run.wait().assert_ok()
    for name in ("one", "two"):
        bed.assert_issued(pebble, NAMES, lineage=name)
    _assert_clean(bed, site, conf)


def test_runs_for_different_names_of_one_zone_pass_together(bed):
    site, pebble = _site(bed), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    hosts = [f"host{n}.example.com" for n in range(6)]
    runs = [bed.start_dns01("issue", "-c", conf, "--name", host,
                            f"*.{host}", host) for host in hosts]
    for run in runs:
        run.wait().assert_ok()
    for host in hosts:
        bed.assert_issued(pebble, [f"*.{host}", host], lineage=host)
    assert pebble.issued() == len(hosts)
    _assert_clean(bed, site, conf)


def test_killed_run_does_not_take_the_records_of_a_living_one(bed):
    site, pebble = _lagging(bed), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    dead, living = [_start_watching(bed, conf, "--name", name, *NAMES)
                    for name in ("dead", "living")]
    dead.kill()
    _sweep(bed, conf, 2)
    assert len(_ours(site)) == 2
    _release(site)
    living.wait().assert_ok()
    bed.assert_issued(pebble, NAMES, lineage="living")
    _assert_clean(bed, site, conf)


def test_two_hosts_with_journals_of_their_own_do_not_disturb_each_other(bed):
    site, pebble = _lagging(bed), bed.pebble()
    confs = {host: write_config(
        bed, f"{host}.conf", state=bed.state(host),
        accounts=[account(pebble)], providers=[rfc2136(site)],
        zones=[zone("example.com")], certificates=[certificate(*NAMES)])
        for host in ("one", "two")}
    runs = [_start_watching(bed, conf) for conf in confs.values()]
    assert len(_ours(site)) == 4
    runs[0].signal(signal.SIGTERM)
    assert runs[0].wait(10).code == 130
    assert len(_ours(site)) == 2
    _release(site)
    runs[1].wait().assert_ok()
    bed.assert_issued(pebble, NAMES, state=bed.state("two"))
    for conf in confs.values():
        _assert_clean(bed, site, conf)


def test_first_runs_at_the_same_time_make_one_account(bed):
    pebble = bed.pebble()
    for turn in range(5):
        conf = write_config(bed, state=bed.state(f"state{turn}"),
                            accounts=[account(pebble)])
        runs = [bed.start_dns01("account", "register", "-c", conf)
                for _ in range(8)]
        shown = {r.wait().assert_ok().out for r in runs}
        assert len(shown) == 1, shown
        made = os.listdir(bed.state(f"state{turn}") + "/accounts/pebble")
        assert sorted(made) == ["account.json", "account.key"], made


def test_sweeps_at_the_same_time_agree(bed):
    """One may find what another has just removed; that is no error."""
    site, _, conf = _killed_before_the_reply(bed)
    sweeps = [bed.start_dns01("sweep", "-c", conf, "--json")
              for _ in range(5)]
    removed = [json.loads(s.wait().assert_ok().out)["removed"]
               for s in sweeps]
    assert 2 in removed and set(removed) <= {0, 2}, removed
    _assert_clean(bed, site, conf)


# Peers that die


def test_ca_that_dies_during_the_order_leaves_nothing_in_the_zone(bed):
    site, pebble = _lagging(bed), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    run = _start_watching(bed, conf)
    pebble.process.kill()
    _release(site)
    result = run.wait(60)
    result.assert_failed(f"127.0.0.1:{pebble.port}", code=69)
    _assert_clean(bed, site, conf)
    status = bed.dns01("status", "-c", conf)
    assert status.code in (0, 1), status
    assert "failed at" in status.out and str(pebble.port) in status.out


def test_ca_that_forgot_the_account_gets_its_key_once_more(bed):
    """Staging CAs, and one's own that was set up anew, do."""
    site, pebble = _site(bed), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    bed.dns01("issue", "-c", conf).assert_ok()
    shown = bed.dns01("account", "-c", conf).assert_ok().out
    pebble.stop()
    pebble.start()
    result = bed.dns01("issue", "-c", conf).assert_ok()
    assert "does not know the account any more" in result.err
    bed.assert_issued(pebble, NAMES)
    again = bed.dns01("account", "-c", conf).assert_ok().out
    assert again != shown
    assert again.splitlines()[-1] == shown.splitlines()[-1], "another key"
    bed.dns01("issue", "-c", conf).assert_ok()
    assert "any more" not in bed.dns01("issue", "-c", conf).assert_ok().err
    _assert_clean(bed, site, conf)


def test_ca_that_forgot_account_and_order_is_asked_for_new_ones(bed):
    site, pebble = _lagging(bed), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    run = _start_watching(bed, conf)
    wait_until(lambda: os.path.exists(
        f"{bed.state()}/certs/test/pending/order.json"), "the order is kept")
    run.kill()
    pebble.stop()
    pebble.start()
    _release(site)
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.assert_issued(pebble, NAMES)
    _assert_clean(bed, site, conf)


def test_primary_that_dies_during_the_watch_keeps_what_must_be_swept(bed):
    site, pebble = _lagging(bed), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES,
                       provider_settings={"timeout": "1s"},
                       zone_settings={"deadline": "2s"})
    run = _start_watching(bed, conf)
    site.primary.process.kill()
    result = run.wait(60)
    result.assert_failed("records are still in DNS", site.address,
                         "dns01 sweep")
    site.primary.start()
    assert len(_ours(site)) == 2
    _sweep(bed, conf, 2)
    _assert_clean(bed, site, conf)


def test_sweep_that_cannot_reach_the_primary_says_so_and_keeps_the_rows(bed):
    site, _, conf = _killed_before_the_reply(bed)
    site.primary.process.kill()
    result = bed.dns01("sweep", "-c", conf)
    assert result.code in (69, 75), result
    assert NAME in bed.dns01("status", "-c", conf).out
    site.primary.start()
    _sweep(bed, conf, 2)
    _assert_clean(bed, site, conf)


# A full disk


def _fill(folder):
    """Takes every octet that is left; gives the file that has them."""
    path = os.path.join(folder, "filler")
    with open(path, "wb", buffering=0) as file:
        size = 65536
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2
    return path


def _small_state(bed):
    folder = bed.state("small")
    namespace.mount(["-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs",
                     folder])
    return folder


def test_nothing_is_published_while_the_journal_cannot_be_written(bed):
    site, pebble = _site(bed), bed.pebble()
    state = _small_state(bed)
    conf = site_config(bed, pebble, site, *NAMES, state=state)
    bed.dns01("probe", "-c", conf, "example.com").assert_ok()
    filler, wire = _fill(state), bed.watch_wire()
    for command in (("probe", "-c", conf, "example.com"),
                    ("issue", "-c", conf)):
        bed.dns01(*command).assert_failed(state, code=74)
    assert not wire.updates()
    os.unlink(filler)
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.assert_issued(pebble, NAMES, state=state)
    _assert_clean(bed, site, conf)


def test_full_disk_before_the_first_run_is_said(bed):
    site, pebble = _site(bed), bed.pebble()
    state = _small_state(bed)
    conf = site_config(bed, pebble, site, *NAMES, state=state)
    filler, wire = _fill(state), bed.watch_wire()
    bed.dns01("probe", "-c", conf, "example.com").assert_failed(
        state, code=74)
    assert not wire.updates()
    os.unlink(filler)
    bed.dns01("probe", "-c", conf, "example.com").assert_ok()
    _assert_clean(bed, site, conf)


def test_disk_that_fills_while_watching_is_said_and_nothing_is_lost(bed):
    """Without the journal nothing changes in DNS; with room again, the
    certificate is fetched and the records go."""
    site, pebble = _lagging(bed), bed.pebble()
    state = _small_state(bed)
    conf = site_config(bed, pebble, site, *NAMES, state=state)
    run = _start_watching(bed, conf)
    wait_until(lambda: os.path.exists(
        f"{state}/certs/test/pending/order.json"), "the order is kept")
    filler = _fill(state)
    _release(site)
    run.wait().assert_failed(state, "disk is full", "records are still in DNS",
                             "dns01 sweep", code=74)
    os.unlink(filler)
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.assert_issued(pebble, NAMES, state=state)
    assert pebble.issued() == 1
    bed.dns01("sweep", "-c", conf).assert_ok()
    _assert_clean(bed, site, conf)

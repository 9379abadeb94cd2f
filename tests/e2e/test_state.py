"""The state folder: who may use it, its modes, and what is wrong with it."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import stat

from testbed import Behind, namespace
from testbed.config import account, rfc2136, site_config, write_config, zone

NAME = "_acme-challenge.example.com"
NAMES = ("*.example.com", "example.com")
USER = 4242  # has no entry in /etc/passwd, and needs none
SHARED = ("journal.db", "journal.db-shm", "journal.db-wal", "holders",
          "zones.lock")


class User:
    """A plain user beside root, with a home and a program to run."""

    def __init__(self, bed):
        self.bed = bed
        os.chmod(bed.dir, 0o711)
        self.home = bed.path("user/.")[:-2]
        os.chown(self.home, USER, USER)
        self.program = bed.path("bin/dns01")
        shutil.copy(bed.tool("dns01"), self.program)
        os.chmod(os.path.dirname(self.program), 0o755)

    def start(self, *arguments, env=None):
        return self.bed.start(
            ["setpriv", f"--reuid={USER}", f"--regid={USER}",
             "--clear-groups", self.program, *arguments], name="user",
            env={"HOME": self.home, **(env or {})}, cwd=self.home)

    def dns01(self, *arguments, **options):
        return self.start(*arguments, **options).wait()

    def owns(self, path):
        os.chown(path, USER, USER)
        return path


def _mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def _shared_config(bed, site, pebble):
    """As tmpfiles.d and the README make it: the state folder is the
    daemon's, configuration and key are root's and readable to its group."""
    state = bed.state()
    os.chown(state, USER, USER)
    os.chmod(state, 0o2770)
    conf = site_config(bed, pebble, site, *NAMES)
    for path in (conf, site.key.path):
        os.chown(path, 0, USER)
        os.chmod(path, 0o640)
    os.chmod(os.path.dirname(site.key.path), 0o711)
    return conf


def _assert_shared(state):
    """Files that both must write are the folder owner's."""
    for name in SHARED:
        path = os.path.join(state, name)
        owner = os.stat(path)
        assert (owner.st_uid, owner.st_gid) == (USER, USER), name
        assert _mode(path) == 0o660, (name, oct(_mode(path)))


def _world(bed, **options):
    options.setdefault("secondaries", ())
    site = bed.site(**options)
    pebble = bed.pebble()
    return site, pebble, _shared_config(bed, site, pebble)


# Root and the daemon's user


def test_root_first_and_then_the_user(bed):
    if namespace.only_root():
        return
    site, _, conf = _world(bed)
    user = User(bed)
    bed.dns01("probe", "-c", conf, "example.com").assert_ok()
    _assert_shared(bed.state())
    for command in (("probe", "-c", conf, "example.com"),
                    ("sweep", "-c", conf),
                    ("retract", "-c", conf, "example.com", "none")):
        user.dns01(*command).assert_ok()
    user.dns01("status", "-c", conf).assert_failed(code=1)  # nothing is issued
    _assert_shared(bed.state())
    bed.dns01("sweep", "-c", conf).assert_ok()
    site.assert_clean()


def test_user_first_and_then_root(bed):
    if namespace.only_root():
        return
    site, pebble, conf = _world(bed)
    user = User(bed)
    user.dns01("issue", "-c", conf).assert_ok()
    _assert_shared(bed.state())
    assert os.stat(os.path.join(bed.current(), "privkey.pem")).st_uid == USER
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.assert_issued(pebble, NAMES)
    _assert_shared(bed.state())
    user.dns01("sweep", "-c", conf).assert_ok()
    user.dns01("status", "-c", conf).assert_ok()
    site.assert_clean()


def test_users_sweep_removes_what_a_killed_root_left(bed):
    """dns01-sweep.timer runs as the daemon's user."""
    if namespace.only_root():
        return
    site, _, conf = _world(bed, secondaries=(Behind("nsd", lag_s=3600.0),))
    user = User(bed)
    run = bed.start_dns01("issue", "-c", conf)
    run.wait_for(lambda r: "watching" in r.output(), "it watches")
    assert user.dns01("sweep", "-c", conf).assert_ok().out == (
        "0 records removed\n")
    assert run.kill().code == -signal.SIGKILL
    assert len(site.txt()) == 2
    result = user.dns01("sweep", "-c", conf).assert_ok()
    assert result.out == "2 records removed\n", result
    site.assert_clean()


def test_root_and_the_user_work_at_the_same_time(bed):
    if namespace.only_root():
        return
    site, pebble, conf = _world(bed)
    user = User(bed)
    runs = [user.start("probe", "-c", conf, f"u{n}.example.com")
            for n in range(3)]
    runs += [bed.start_dns01("probe", "-c", conf, f"r{n}.example.com")
             for n in range(3)]
    bed.dns01("issue", "-c", conf).assert_ok()
    for run in runs:
        run.wait().assert_ok()
    bed.assert_issued(pebble, NAMES)
    _assert_shared(bed.state())
    site.assert_clean()


def test_users_status_says_which_certificate_it_may_not_read(bed):
    if namespace.only_root():
        return
    site, _, conf = _world(bed)
    bed.dns01("issue", "-c", conf).assert_ok()
    result = User(bed).dns01("status", "-c", conf)
    assert "test\n" in result.out and "ermission denied" in (
        result.out + result.err), result
    site.assert_clean()


def test_state_that_the_user_may_not_use_is_said(bed):
    if namespace.only_root():
        return
    user = User(bed)
    state = bed.state("roots")
    result = user.dns01("status", "--state", state)
    result.assert_failed(state, "--state", "ermission denied", code=3)


def test_lineage_is_issued_by_the_user_after_root_issued_it_once(bed):
    """Whatever root left in it, old versions included, is no obstacle."""
    if namespace.only_root():
        return
    site, _, conf = _world(bed)
    user = User(bed)
    user.dns01("issue", "-c", conf).assert_ok()
    bed.dns01("issue", "-c", conf).assert_ok()
    for _ in range(6):
        user.dns01("issue", "-c", conf).assert_ok()
    assert os.readlink(bed.current()) == "v0008"
    site.assert_clean()


# Places of a plain user


def test_plain_user_has_places_of_its_own(bed):
    if namespace.only_root():
        return
    user = User(bed)
    result = user.dns01("status")
    result.assert_failed(f"{user.home}/.config/dns01/dns01.conf",
                         "there is no configuration", code=3)
    folder = f"{user.home}/.config/dns01"
    os.makedirs(folder)
    for path in (f"{user.home}/.config", folder):
        user.owns(path)
    with open(f"{folder}/dns01.conf", "w", encoding="ascii"):
        pass
    user.dns01("status").assert_ok()
    state = f"{user.home}/.local/state/dns01"
    assert _mode(state) == 0o700
    assert os.stat(f"{state}/journal.db").st_uid == USER


def test_xdg_variables_move_the_places(bed):
    if namespace.only_root():
        return
    user = User(bed)
    conf = f"{user.home}/settings/dns01/dns01.conf"
    os.makedirs(os.path.dirname(conf))
    with open(conf, "w", encoding="ascii"):
        pass
    env = {"XDG_CONFIG_HOME": f"{user.home}/settings",
           "XDG_STATE_HOME": f"{user.home}/kept"}
    user.dns01("status", env=env).assert_ok()
    assert os.path.exists(f"{user.home}/kept/dns01/journal.db")
    assert not os.path.exists(f"{user.home}/.local")


# Modes


def _modes(folder):
    """Path below the folder -> mode, of all files and folders."""
    found = {}
    for top, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(top, name)
            if not os.path.islink(path):
                found[os.path.relpath(path, folder)] = _mode(path)
    return found


def _assert_private(state, mode):
    assert _mode(state) == mode, oct(_mode(state))
    modes = _modes(state)
    for path, bits in modes.items():
        name = os.path.basename(path)
        if name.endswith(".key") or name == "privkey.pem":
            assert bits == 0o600, (path, oct(bits))
        assert not bits & 0o002, (path, oct(bits))
        if path in SHARED:
            assert bits == 0o660, (path, oct(bits))
    assert modes["certs/test"] == 0o700
    assert "accounts/pebble/account.key" in modes
    assert sum(p.endswith("privkey.pem") for p in modes) == 1


def test_keys_and_folders_are_private_whatever_the_umask(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    for umask in (0o000, 0o077):
        state = bed.path(f"new-{umask:o}/state")
        conf = site_config(bed, pebble, site, *NAMES, state=state)
        bed.start(["sh", "-c", f'umask {umask:04o}; exec "$@"', "sh",
                   bed.tool("dns01"), "issue", "-c", conf]).wait().assert_ok()
        _assert_private(state, 0o750)
    site.assert_clean()


def test_no_secret_is_in_output_journal_or_lineage(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    result = bed.dns01("issue", "-c", conf, "-v", "-v").assert_ok()
    assert site.key.secret not in result.out + result.err
    assert "PRIVATE KEY" not in result.out + result.err
    for path in _modes(bed.state()):
        full = os.path.join(bed.state(), path)
        if not os.path.isfile(full):
            continue
        with open(full, "rb") as file:
            octets = file.read()
        assert site.key.secret.encode() not in octets, path
        key = path.endswith(("account.key", "privkey.pem"))
        assert (b"PRIVATE KEY" in octets) == key, path
    site.assert_clean()


def test_account_key_that_others_may_read_is_refused(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    bed.dns01("account", "register", "-c", conf).assert_ok()
    key = f"{bed.state()}/accounts/pebble/account.key"
    os.chmod(key, 0o644)
    bed.dns01("issue", "-c", conf).assert_failed(
        key, "0644", "lets others at it", code=77)
    site.assert_clean()


# What is wrong with it


@contextlib.contextmanager
def _locked(path):
    """Holds SQLite's lock for writing, as a program that backs up does."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        database.execute("ROLLBACK")
        database.close()


def _probe_config(bed, state):
    site = bed.site(secondaries=())
    bed.resolver()
    conf = write_config(bed, state=state, providers=[rfc2136(site)],
                        zones=[zone("example.com")])
    return site, conf


def _refused_unpublished(bed, state, *words, code=74):
    """Every command that needs the journal refuses; nothing is sent."""
    site, conf = _probe_config(bed, state)
    wire = bed.watch_wire()
    for command in (("probe", "example.com"), ("sweep",), ("status",)):
        bed.dns01(*command, "-c", conf).assert_failed(
            *words, code=3 if command == ("status",) else code)
    assert not wire.updates()
    site.assert_clean()


def test_journal_of_a_newer_version_is_refused_and_left_alone(bed):
    path = os.path.join(bed.state(), "journal.db")
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE future (x)")
        database.execute("PRAGMA user_version = 99")
    database.close()
    with open(path, "rb") as file:
        before = file.read()
    _refused_unpublished(bed, bed.state(), path, "newer dns01", "99")
    with open(path, "rb") as file:
        assert file.read() == before


def test_damaged_journal_is_refused_with_what_to_do(bed):
    path = os.path.join(bed.state(), "journal.db")
    with open(path, "w", encoding="ascii") as file:
        file.write("this is no database, and never was one\n" * 100)
    _refused_unpublished(bed, bed.state(), path, "damaged", "move it away")


def test_journal_that_is_a_link_is_refused(bed):
    path = os.path.join(bed.state(), "journal.db")
    os.symlink(bed.path("elsewhere.db"), path)
    _refused_unpublished(bed, bed.state(), path, "regular file")
    assert not os.path.exists(bed.path("elsewhere.db"))


def test_state_folder_that_is_a_file_is_refused(bed):
    path = bed.write("state-file", "")
    _refused_unpublished(bed, path, path, "folder", code=73)


def test_state_folder_on_a_read_only_disk_is_refused(bed):
    folder = bed.state("readonly")
    namespace.mount(["-t", "tmpfs", "-o", "ro", "tmpfs", folder])
    _refused_unpublished(bed, folder, folder, "read-only file system: mount it writable")


def test_state_by_flag_may_be_relative(bed):
    site, conf = _probe_config(bed, bed.path("unused"))
    folder = bed.new_folder("work")
    bed.start([bed.tool("dns01"), "probe", "-c", conf, "--state", "kept",
               "example.com"], cwd=folder).wait().assert_ok()
    assert os.path.exists(f"{folder}/kept/journal.db")
    assert not os.path.exists(bed.path("unused"))
    site.assert_clean()


def test_relative_paths_hold_from_any_folder(bed):
    """What the journal and lineage.conf keep is absolute."""
    site = bed.site(secondaries=(Behind("nsd", lag_s=3600.0),))
    pebble, folder = bed.pebble(), bed.new_folder("work")
    shutil.copy(site.key.path, f"{folder}/acme.key")
    shutil.copy(pebble.ca_root, f"{folder}/root.pem")
    command = [bed.tool("dns01"), "issue", "--ca", pebble.directory,
               "--ca-root", "root.pem", "--agree-tos", "--state", "kept",
               "--provider", "rfc2136", "--set", f"server={site.address}",
               "--set", "tsig_key_file=acme.key", "--name", "test", *NAMES]
    run = bed.start(command, cwd=folder)
    run.wait_for(lambda r: "watching" in r.output(), "it watches")
    run.kill()
    result = bed.dns01("sweep", "--state", f"{folder}/kept").assert_ok()
    assert result.out == "2 records removed\n"
    site.proxies[0].lag_s = 0.0
    bed.start(command, cwd=folder).wait().assert_ok()
    lineage = f"{folder}/kept/certs/test/lineage.conf"
    bed.dns01("issue", "-c", lineage).assert_ok()
    bed.assert_issued(pebble, NAMES, state=f"{folder}/kept")
    site.assert_clean()


def test_journal_that_another_process_writes_is_waited_for(bed):
    site, conf = _probe_config(bed, bed.state())
    bed.dns01("sweep", "-c", conf).assert_ok()
    wire = bed.watch_wire()
    with _locked(f"{bed.state()}/journal.db"):
        run = bed.start_dns01("probe", "-c", conf, "example.com")
        run.wait_for(lambda r: "publishing" in r.output(), "it publishes")
        assert not wire.updates()
    run.wait().assert_ok()
    assert wire.updates()
    site.assert_clean()


def test_last_versions_of_a_certificate_stay(bed):
    site, pebble = bed.site(secondaries=()), bed.pebble(reuse_authz=100)
    conf = site_config(bed, pebble, site, *NAMES)
    for _ in range(7):
        bed.dns01("issue", "-c", conf, "-q").assert_ok()
    folder = os.path.dirname(bed.current())
    versions = sorted(n for n in os.listdir(folder) if n.startswith("v"))
    assert versions == [f"v{n:04}" for n in range(3, 8)]
    assert os.readlink(bed.current()) == "v0007"
    status = json.loads(bed.dns01("status", "-c", conf, "--json").out)
    assert [x["lineage"] for x in status["lineages"]] == ["test"]
    site.assert_clean()


def test_account_name_of_another_ca_is_refused(bed):
    """One key must not be shown to two CAs by accident."""
    site, pebble = bed.site(secondaries=()), bed.pebble()
    conf = site_config(bed, pebble, site, *NAMES)
    bed.dns01("account", "register", "-c", conf).assert_ok()
    other = write_config(
        bed, accounts=[account(pebble, directory="https://ca.invalid/dir")],
        providers=[rfc2136(site)], zones=[zone("example.com")])
    bed.dns01("issue", "-c", other, "--name", "x", "example.com"
              ).assert_failed("ca.invalid", pebble.directory, code=78)
    site.assert_clean()

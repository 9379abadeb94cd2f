"""`make install`: what it puts where, and that it works from there."""

import os
import re
import shutil
import stat

from testbed import MissingTool, namespace
from testbed.bed import TOP

UNITS = ("dns01-renew.service", "dns01-renew.timer", "dns01-sweep.service", "dns01-sweep.timer",
         "dns01.service", "dns01.socket")


def _install(bed, prefix, destdir=""):
    """Installs the program under test, from a build folder of its own so
    that nothing is compiled; gives path below the prefix -> mode, of every
    file."""
    out = bed.path("build/.")[:-2]
    program = shutil.copy(bed.tool("dns01"), f"{out}/dns01")
    bed.run(["make", "-s", "-C", TOP, "install", f"OUT={out}", "-o", program,
             f"DESTDIR={destdir}", f"PREFIX={prefix}"],
            env={"PATH": os.environ["PATH"], "HOME": bed.dir,
                 "LANG": "C.UTF-8"})
    found, top = {}, destdir + prefix
    for folder, _, files in os.walk(destdir or prefix):
        for name in files:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, top)] = stat.S_IMODE(
                os.stat(path).st_mode)
    return found


def _read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def _systemd(bed, name):
    """A tool of systemd's; None, and why, where the system has none."""
    try:
        return bed.tool(name)
    except MissingTool:
        print(f"not checked: this system has no {name}")
        return None


def test_files_are_put_below_destdir_with_their_modes(bed):
    files = _install(bed, "/usr", bed.path("package/.")[:-2])
    expected = {"bin/dns01", "share/man/man1/dns01.1",
                "share/man/man5/dns01.conf.5", "share/man/man7/dns01-providers.7",
                "include/dns01/provider.h", "include/dns01/rest.h",
                "share/doc/dns01/providers.md", "share/doc/dns01/exec.md",
                "share/dns01/exec/nsupdate-gss", "lib/sysusers.d/dns01.conf",
                "lib/tmpfiles.d/dns01.conf"}
    expected |= {f"lib/systemd/system/{unit}" for unit in UNITS}
    expected |= {f"share/doc/dns01/examples/{name}" for name in os.listdir(
        os.path.join(TOP, "contrib/examples"))}
    expected |= {f"share/{'doc/' if name.endswith('.md') else ''}dns01/hooks/"
                 f"{name}" for name in os.listdir(
                     os.path.join(TOP, "contrib/hooks"))}
    expected |= {f"share/dns01/deploy/{name}" for name in os.listdir(
        os.path.join(TOP, "contrib/deploy"))}
    assert expected <= set(files), expected - set(files)
    for path, mode in files.items():
        assert not path.startswith(".."), f"{path} is not below the prefix"
        runs = path == "bin/dns01" or re.fullmatch(
            r"share/dns01/(hooks|exec|deploy)/[^.]+", path)
        assert mode == (0o755 if runs else 0o644), path
    assert _install(bed, "/usr", bed.path("package/.")[:-2]) == files


def test_umask_does_not_make_the_files_private(bed):
    before = os.umask(0o077)
    try:
        files = _install(bed, "/usr", bed.path("package/.")[:-2])
    finally:
        os.umask(before)
    assert files["bin/dns01"] == 0o755
    for folder in ("usr", "usr/bin", "usr/share/man/man1"):
        mode = stat.S_IMODE(os.stat(bed.path(f"package/{folder}")).st_mode)
        assert mode == 0o755, (folder, oct(mode))


def test_installed_program_runs_and_its_manual_is_its_own(bed):
    prefix = bed.path("prefix/.")[:-2]
    _install(bed, prefix)
    program = f"{prefix}/bin/dns01"
    version = bed.run([program, "--version"])
    assert re.fullmatch(r"dns01 \S+\n", version)
    assert bed.run([program, "config", "manual"]) == _read(
        f"{prefix}/share/man/man5/dns01.conf.5")
    assert bed.run([program, "providers", "--format", "mdoc"]) == _read(
        f"{prefix}/share/man/man7/dns01-providers.7")


def test_manuals_render_without_a_warning(bed):
    mandoc = bed.tool("mandoc")
    prefix = bed.path("prefix/.")[:-2]
    _install(bed, prefix)
    for path, words in (
            ("man1/dns01.1", ("EXIT STATUS", "ENVIRONMENT", "EXAMPLES")),
            ("man7/dns01-providers.7", ("RFC2136", "CLOUDFLARE", "PLUG-INS")),
            ("man5/dns01.conf.5", ("SETTINGS OF THE MAIN FILE", "ZONES",
                                   "CERTIFICATES", "FILES"))):
        page = f"{prefix}/share/man/{path}"
        bed.run([mandoc, "-T", "lint", "-W", "warning", page])
        text = re.sub(".\b", "", bed.run([mandoc, "-T", "utf8", page]))
        for word in ("NAME", "SEE ALSO", *words):
            assert re.search(f"^{word}$", text, re.M), word


def test_manual_has_every_command_and_exit_status(bed):
    manual = _read(os.path.join(TOP, "cmd/dns01/dns01.1"))
    listed = re.findall(r"^  (\S+) +\S", bed.dns01("--help").out, re.M)
    assert len(listed) >= 8
    for command in listed:
        assert re.search(rf"^\.It Cm {command}\b", manual, re.M), command
    kinds = _read(os.path.join(TOP, "cmd/base/err.c"))
    statuses = set(re.findall(r'\{ "[a-z-]+", (\d+) \}', kinds))
    assert len(statuses) > 10
    for status in statuses:
        assert f"\n.It {status}\n" in manual, status


def test_units_name_the_installed_program_and_are_valid(bed):
    prefix = bed.path("prefix/.")[:-2]
    _install(bed, prefix)
    folder = f"{prefix}/lib/systemd/system"
    service = _read(f"{folder}/dns01-sweep.service")
    assert f"\nExecStart={prefix}/bin/dns01 sweep" in service
    assert "/usr/local" not in service
    # StateDirectory= would change owner and mode of the shared folder.
    assert "\nReadWritePaths=/var/lib/dns01\n" in service
    assert "\nStateDirectory=" not in service
    analyze = _systemd(bed, "systemd-analyze")
    if analyze:
        bed.run([analyze, "verify", "--man=no",
                 *[f"{folder}/{unit}" for unit in UNITS]],
                env={"PATH": os.environ["PATH"],
                     "SYSTEMD_LOG_TARGET": "console"})


def test_user_and_folders_are_made_as_the_manual_says(bed):
    tools = [_systemd(bed, n) for n in ("systemd-sysusers",
                                        "systemd-tmpfiles")]
    if not all(tools) or namespace.only_root():
        return
    root = bed.path("root/.")[:-2]
    _install(bed, "/usr", root)
    os.makedirs(f"{root}/etc")
    bed.run([tools[0], f"--root={root}"])
    line = next(entry for entry in _read(f"{root}/etc/passwd").splitlines()
                if entry.startswith("dns01:"))
    uid, gid = map(int, line.split(":")[2:4])
    bed.run([tools[1], f"--root={root}", "--create", "dns01.conf"])
    for path, mode, owner in (("etc/dns01", 0o750, (0, gid)),
                              ("var/lib/dns01", 0o2770, (uid, gid))):
        found = os.stat(f"{root}/{path}")
        assert stat.S_IMODE(found.st_mode) == mode, path
        assert (found.st_uid, found.st_gid) == owner, path

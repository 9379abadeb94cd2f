"""Providers that are not built in: the one of providers/README.md, compiled out of tree."""

import os
import re
import subprocess

from peer.tiny import Tiny
from test_install import _install
from test_providers import SCENARIOS, Row
from testbed.bed import TOP
from testbed.config import account, certificate, write_config, zone

NAMES = ("example.com", "*.example.com")


def example():
    """The program text of the README."""
    with open(os.path.join(TOP, "providers", "README.md"), encoding="utf-8") as file:
        return re.search(r"```c\n(.*?)```", file.read(), re.S).group(1)


def compiled(bed, text, name="tiny"):
    """A shared object, from nothing but what `make install` puts there."""
    prefix = bed.path("prefix/.")[:-2]
    if not os.path.exists(f"{prefix}/include"):
        _install(bed, prefix)
    source = bed.write(f"plugin/{name}.c", text)
    out = bed.path(f"plugins/{name}.so")
    os.chmod(os.path.dirname(out), 0o755)
    bed.run([bed.tool("gcc"), "-shared", "-fPIC", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
             f"-I{prefix}/include", "-o", out, source], env={"PATH": os.environ["PATH"]})
    os.chmod(out, 0o644)
    return os.path.dirname(out)


def test_the_example_of_the_readme_issues_a_certificate(bed):
    folder = compiled(bed, example())
    peer = Tiny(bed).delegate()
    pebble = bed.pebble()
    conf = write_config(
        bed, plugins=folder, accounts=[account(pebble)], providers=[peer.provider()],
        zones=[zone("example.com", "vendor")], certificates=[certificate(*NAMES)])
    bed.dns01("config", "check", "-c", conf).assert_ok()
    bed.dns01("issue", "-c", conf).assert_ok()
    bed.assert_issued(pebble, list(NAMES))
    assert peer.records.list == []
    shown = bed.dns01("providers", "tiny", "-c", conf).assert_ok().out
    assert "Tiny DNS" in shown and "TINY_TOKEN" in shown


def test_the_example_by_flags(bed):
    folder = compiled(bed, example())
    peer = Tiny(bed).delegate()
    bed.resolver()
    bed.dns01("probe", "example.com", "--state", bed.state(), "--plugins", folder, "--provider",
              "tiny", "--set", f"endpoint={peer.url}", "--set", f"ca_file={peer.ca_root}",
              env={"TINY_TOKEN": peer.token}).assert_ok()
    assert peer.count("POST") == 1 and peer.records.list == []
    assert "tiny " in bed.dns01("providers", "--plugins", folder).assert_ok().out


def test_the_example_passes_the_suite_of_providers(bed):
    folder = compiled(bed, example())
    row = Row(Tiny, settings={"plugins": folder}, values=10)
    for scenario in ("stands_bad_weather", "keeps_to_its_own_values", "says_what_is_wrong"):
        SCENARIOS[scenario](bed, row)


def test_without_the_setting_no_plug_in_is_loaded(bed):
    compiled(bed, example())
    peer = Tiny(bed)
    conf = write_config(bed, providers=[peer.provider()], zones=[zone("example.com", "vendor")])
    bed.dns01("config", "check", "-c", conf).assert_failed(
        "there is no provider type", "tiny")
    assert "tiny" not in bed.dns01("providers", "-c", conf).assert_ok().out


def refused(bed, folder, *words):
    conf = write_config(bed, plugins=folder)
    bed.dns01("config", "check", "-c", conf).assert_failed(*words)
    bed.dns01("providers", "-c", conf).assert_failed(*words)


def test_what_others_may_write_is_not_loaded(bed):
    folder = compiled(bed, example())
    path = f"{folder}/tiny.so"
    os.chmod(path, 0o664)
    refused(bed, folder, path, "0664", "chmod go-w")
    os.chmod(path, 0o644)
    os.chmod(folder, 0o777)
    refused(bed, folder, folder, "0777", "chmod go-w")
    os.chmod(folder, 0o755)
    if os.getuid() == 0:
        try:
            os.chown(path, 12345, 12345)
        except OSError:  # a namespace of one user
            return
        refused(bed, folder, path, "root's", "12345")


def test_what_is_no_provider_of_this_version_is_refused_by_name(bed):
    text = example()
    cases = (
        (text.replace(".abi = PROVIDER_ABI", ".abi = PROVIDER_ABI + 1"), ("version 2", "headers")),
        (text.replace("dns01_provider", "other_provider"), ("no provider", "dns01_provider")),
        (text.replace('.name = "tiny"', '.name = "rfc2136"'), ("rfc2136", "already")),
        (text.replace('.name = "tiny"', '.name = "Ti ny"'), ("lacks", "name")),
        (text.replace("	.close = rest_close,\n", ""), ("lacks", "close")),
        (text.replace("rest_ask(walk", "no_such_function(walk")
         .replace("static const char *const", "int no_such_function(void *, ...);\n"
                  "static const char *const", 1)
         .replace("return no_such_function", "return (enum rest_next)no_such_function"),
         ("cannot be loaded", "no_such_function")),
    )
    for number, (changed, words) in enumerate(cases):
        assert changed != text
        folder = compiled(bed, changed, f"case{number}")
        path = f"{folder}/case{number}.so"
        refused(bed, folder, path, *words)
        os.remove(path)
    bed.write("plugins/text.so", "no shared object")
    refused(bed, folder, "text.so", "cannot be loaded")
    os.remove(f"{folder}/text.so")
    refused(bed, f"{folder}/nowhere", "nowhere", "cannot be opened")
    conf = bed.write("relative.conf", 'plugins = "plugins";\n')
    bed.dns01("config", "check", "-c", conf).assert_failed("whole path")


def test_no_library_is_disturbed_by_what_is_exported(bed):
    """A name that the program exports and a library defines, too, would be the program's for both."""
    program = bed.tool("dns01")

    def functions(path):
        out = subprocess.run([bed.tool("nm"), "-D", "--defined-only", path],
                             capture_output=True, text=True, check=True).stdout
        return {words[-1].split("@")[0] for words in map(str.split, out.splitlines())
                if words[-2] in "TWi"}

    exported = functions(program)
    assert {"rest_open", "json_get", "xml_get", "err_set"} <= exported
    libraries = re.findall(r"=> (/\S+)", bed.run([bed.tool("ldd"), program]))
    assert len(libraries) > 10
    for path in libraries:
        both = {s for s in exported & functions(path) if not s.startswith("_")}
        assert not both, f"{path} and dns01 both define {sorted(both)}"

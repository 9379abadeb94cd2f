"""The demonstration: a wildcard certificate from a real CA, through real DNS,
in a network of its own on this machine."""

import os
import shutil
import subprocess
import sys
import time

from . import namespace
from .bed import TOP, MissingTool, find_tool
from .pki import Certificate
from .process import DeadlineError
from .testbed import TestBed

ZONE = "example.com"
NAMES = ("*.example.com", "example.com")
LINEAGE = "example"
FOLDER = os.path.join(TOP, "build", "demo")


class Style:
    """Bold headings on a terminal."""
    on = sys.stdout.isatty()

    @classmethod
    def heading(cls, text):
        bold, plain = ("\033[1m", "\033[0m") if cls.on else ("", "")
        print(f"\n{bold}{text}{plain}", flush=True)


def start_world(bed):
    """Name servers and CA; says what there is."""
    Style.heading("Starting, in a network of its own")
    policy = f"name _acme-challenge.{ZONE}. TXT"
    site = bed.site(ZONE, secondaries=("bind", "nsd"), policy=[policy])
    pebble = bed.pebble(reject_nonces=5)
    for role, server in (("primary (BIND)", site.primary),
                         ("secondary (BIND)", site.secondaries[0]),
                         ("secondary (NSD)", site.secondaries[1])):
        print(f"  {ZONE} {role:<18} {server.address}")
    print(f'  update-policy {{ grant "{site.key.name}" {policy}; }};')
    print(f"  CA (Pebble)                    {pebble.directory}")
    return site, pebble


def quoted(argument):
    return f"'{argument}'" if "*" in argument else argument


def run_dns01(bed, site, pebble, state):
    """Runs the command as a person would, on this terminal."""
    command = [os.path.relpath(find_tool("dns01"))] + bed.issue_arguments(
        pebble, site, *NAMES, lineage=LINEAGE, state=state)
    Style.heading("The command")
    print("  " + " \\\n    ".join(_grouped(command)), flush=True)
    Style.heading("Its output")
    environment = {k: v for k, v in os.environ.items()
                   if not k.lower().endswith("_proxy")
                   and not k.startswith("DNS01")}
    began = time.monotonic()
    child = subprocess.Popen(command, env=environment)
    code = wait_through_interrupts(child)
    print(f"\n  exit code {code} after {time.monotonic() - began:.2f} s")
    return code


def _grouped(command):
    """The command's words as lines: an option with its value."""
    lines, words = [], [quoted(w) for w in command]
    while words:
        take = 2 if len(words) > 1 and not words[1].startswith("-") else 1
        if words[0] == "--name" or not words[0].startswith("-"):
            take = len(words) if lines else 2
        lines.append(" ".join(words[:take]))
        words = words[take:]
    return lines


def wait_through_interrupts(child):
    """The terminal sends Ctrl-C to the child as well, which then retracts
    what it published: wait for that."""
    interrupted = False
    while True:
        try:
            code = child.wait()
            break
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        raise KeyboardInterrupt
    return code


def show_chain(bed, folder):
    Style.heading("The chain")
    with open(os.path.join(folder, "fullchain.pem"), encoding="ascii") as file:
        blocks = file.read().split("-----END CERTIFICATE-----\n")[:-1]
    for number, block in enumerate(blocks):
        path = bed.write(f"chain/{number}.pem",
                         block + "-----END CERTIFICATE-----\n")
        certificate = Certificate(bed, path)
        print(f"  {number}: subject  {certificate.subject or '(empty)'}\n"
              f"     issuer   {certificate.issuer}\n"
              f"     key      {certificate.key_type}")
        if certificate.names:
            print(f"     names    {', '.join(certificate.names)}")
        print(f"     valid    {certificate.not_before} to "
              f"{certificate.not_after}")


def show_files(folder):
    Style.heading("The files")
    print(f"  {os.path.relpath(folder)} -> "
          f"{os.path.relpath(os.path.realpath(folder))}")
    for name in sorted(os.listdir(folder)):
        status = os.stat(os.path.join(folder, name))
        print(f"  {status.st_mode & 0o777:04o} {status.st_size:>6}  {name}")


def show_zone(site):
    """Whether a TXT record is left at any of the servers."""
    Style.heading(f"TXT records left in {ZONE}")
    site.wait_in_sync()
    clean = True
    for address in site.nameservers:
        left = site.txt(address)
        clean = clean and not left
        print(f"  {address}: "
              + (", ".join(f"{n} {v}" for n, v in left) or "none"))
    return clean


def demonstrate(bed):
    shutil.rmtree(FOLDER, ignore_errors=True)
    state = os.path.join(FOLDER, "state")
    os.makedirs(state, mode=0o700)
    site, pebble = start_world(bed)
    code = run_dns01(bed, site, pebble, os.path.relpath(state))
    if code == 0:
        folder = bed.current(LINEAGE, state)
        show_chain(bed, folder)
        show_files(folder)
        bed.assert_issued(pebble, NAMES, lineage=LINEAGE, state=state)
    clean = show_zone(site)
    if code == 0 and clean:
        Style.heading("Done: the certificate verifies against the CA's root, "
                      "and nothing is left in the zone.")
        return 0
    Style.heading("The demonstration failed: "
                  + (f"dns01 ended with exit code {code}." if code
                     else "records are left in the zone."))
    return 1


def main(arguments):
    """Runs itself inside the namespaces; returns the exit code."""
    try:
        if not arguments:
            find_tool("dns01")
            return namespace.run_inside(
                [sys.executable, "-B", os.path.abspath(sys.argv[0])])
        os.chdir(TOP)
        return inside(arguments[0])
    except KeyboardInterrupt:
        print("\ninterrupted; everything that was started is stopped")
        return 130
    except (MissingTool, namespace.NamespaceError, DeadlineError,
            AssertionError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


def inside(folder):
    bed = TestBed(folder)
    try:
        return demonstrate(bed)
    finally:
        bed.close()

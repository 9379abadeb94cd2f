"""The test bed: real name servers, a real CA, misbehaving proxies, each test
in namespaces of its own.  tests/e2e/README.md tells how to write a test."""

from . import dnswire, namespace, tsig
from .bed import MissingTool, find_tool
from .bind import Bind
from .command import Command, Result
from .knot import Knot
from .nsd import Nsd
from .pebble import Pebble
from .pki import Certificate, OwnCa
from .powerdns import PowerDns
from .process import DeadlineError, Process, tail, wait_until
from .proxy import NotifyRelay, Proxy
from .resolver import Hierarchy, Resolver
from .site import Behind, Site
from .testbed import TestBed
from .wire import Wire
from .zone import NameServer, TsigKey, Zone


def time_limit(seconds):
    """Decorates a test that may take longer than the runner's limit."""
    def mark(function):
        function.time_limit_s = seconds
        return function
    return mark

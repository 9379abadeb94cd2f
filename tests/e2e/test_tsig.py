"""Keys that are wrong, clocks that are off, policies that say no: what people
are told, that nothing is left, and that the secret is told to nobody."""

import os

from testbed import dnswire

NAME = "_acme-challenge.example.com"
NAMES = ("*.example.com", "example.com")
DENIED, UNREACHED = 77, 69


def arguments(bed, site, key=None, **more):
    """A probe by flags: what an issuance does in DNS, without a CA."""
    bed.resolver()
    out = ["probe", "example.com", "--state", bed.state(), "--provider",
           "rfc2136", "--set", f"server={site.address}", "--set",
           f"tsig_key_file={(key or site.key).path}"]
    for setting, value in more.items():
        out += ["--set", f"{setting}={value}"]
    return out


def secret_is_nowhere(bed, result, *keys):
    """Neither in what was said, nor in argv, nor below the state folder."""
    for key in keys:
        for text in (result.out, result.err, " ".join(result.argv)):
            assert key.secret not in text
        for folder, _, files in os.walk(bed.state()):
            for file in files:
                with open(os.path.join(folder, file), "rb") as opened:
                    assert key.secret.encode() not in opened.read(), file


def refused(bed, site, *words, key=None, code=DENIED, env=None, **more):
    """A probe that is refused: server, zone and key stand in the sentence."""
    used = key or site.key
    result = bed.dns01(*arguments(bed, site, key, **more), env=env)
    result.assert_failed(site.address, "example.com", used.name, NAME, *words,
                         code=code)
    secret_is_nowhere(bed, result, site.key, used)
    site.assert_clean()
    status = bed.dns01("status", "--state", bed.state()).assert_ok()
    assert NAME not in status.out, status
    return result


def test_wrong_secret_on_bind(bed):
    site = bed.site(secondaries=())
    refused(bed, site, "BADSIG", "secret",
            key=bed.key(site.key.name, filename="wrong.key"))


def test_wrong_algorithm_on_bind(bed):
    site = bed.site(secondaries=())
    key = bed.key(site.key.name, "hmac-sha512", secret=site.key.secret,
                  filename="wrong.key")
    refused(bed, site, "BADKEY", "hmac-sha512", key=key)


def test_unknown_key_on_bind(bed):
    site = bed.site(secondaries=())
    refused(bed, site, "BADKEY", key=bed.key("stranger"))


def test_policy_that_denies_on_bind(bed):
    site = bed.site(secondaries=(), policy=["name _acme-challenge.www.example.com. TXT"])
    refused(bed, site, "REFUSED", "update-policy")


def test_clock_that_is_ahead(bed):
    site = bed.site(secondaries=())
    result = refused(bed, site, "BADTIME", "clock", env=bed.clock_offset(3600))
    assert "1h" in result.err or "3600" in result.err or "3599" in result.err \
        or "60m" in result.err, result


def test_clock_within_fudge_is_fine(bed):
    site = bed.site(secondaries=())
    bed.dns01(*arguments(bed, site), env=bed.clock_offset(200)).assert_ok()
    site.assert_clean()


def test_issue_with_a_wrong_secret_answers_no_challenge(bed):
    site = bed.site(secondaries=())
    pebble = bed.pebble()
    wrong = bed.key(site.key.name, filename="wrong.key")
    right, site.key = site.key, wrong
    result = bed.issue(pebble, site, *NAMES)
    site.key = right
    result.assert_failed("BADSIG", site.address, code=DENIED)
    assert pebble.challenges_answered() == []
    secret_is_nowhere(bed, result, right, wrong)
    site.assert_clean()


def test_wrong_secret_on_knot(bed):
    site = bed.site(primary="knot", secondaries=())
    refused(bed, site, "secret",
            key=bed.key(site.key.name, filename="wrong.key"))


def test_policy_that_denies_on_knot(bed):
    """Knot says BADKEY where it means that the key may not do this."""
    site = bed.site(primary="knot", secondaries=(), owners=["elsewhere"])
    refused(bed, site, "BADKEY", "Knot", "not allowed")


def test_unknown_key_on_knot(bed):
    site = bed.site(primary="knot", secondaries=())
    refused(bed, site, key=bed.key("stranger"))


def test_wrong_secret_on_powerdns(bed):
    """PowerDNS answers REFUSED without a signature."""
    site = bed.site(primary="powerdns", secondaries=())
    refused(bed, site, "secret",
            key=bed.key(site.key.name, filename="wrong.key"))


def test_key_that_may_not_on_powerdns(bed):
    site = bed.site(primary="powerdns", secondaries=())
    other = bed.key("other")
    site.primary.util("import-tsig-key", other.name, other.algorithm,
                      other.secret)
    refused(bed, site, key=other)


def test_sha1_only_by_opt_in(bed):
    site = bed.site(secondaries=(), algorithm="hmac-sha1")
    result = bed.dns01(*arguments(bed, site))
    result.assert_failed("hmac-sha1", "allow_sha1", site.key.path)
    bed.dns01(*arguments(bed, site, allow_sha1="true")).assert_ok()
    site.assert_clean()


def test_md5_is_refused(bed):
    site = bed.site(secondaries=())
    key = bed.key("old", "hmac-md5")
    bed.dns01(*arguments(bed, site, key)).assert_failed("hmac-md5", key.path)


def test_key_file_of_others_is_refused(bed):
    site = bed.site(secondaries=())
    os.chmod(site.key.path, 0o644)
    result = bed.dns01(*arguments(bed, site))
    result.assert_failed(site.key.path, "0644")
    secret_is_nowhere(bed, result, site.key)


def test_nobody_listens(bed):
    site = bed.site(secondaries=())
    site.primary.stop()
    result = bed.dns01(*arguments(bed, site, timeout="2s"), "--zone",
                       "example.com", "--server", site.address)
    result.assert_failed(site.address)
    assert result.code in (UNREACHED, 11, 75), result


def test_unsigned_reply_to_a_signed_update_is_not_believed(bed):
    """A stranger between us and the server takes the signature away."""
    site = bed.site(secondaries=())
    with Stripper(bed, site.address) as stripper:
        out = arguments(bed, site, timeout="3s")
        out[out.index(f"server={site.address}")] = f"server={stripper.address}"
        result = bed.dns01(*out, "--zone", "example.com")
        assert result.code != 0, result
        assert stripper.stripped > 0


class Stripper:
    """A TCP relay to a name server that drops the TSIG record of replies."""

    def __init__(self, bed, upstream):
        import socket
        import threading
        self.upstream = upstream
        self.address = bed.address()
        self.stripped = 0
        self._sock = socket.create_server((self.address, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._sock.close()

    def _serve(self):
        while True:
            try:
                connection, _ = self._sock.accept()
            except OSError:
                return
            with connection:
                self._relay(connection)

    def _relay(self, connection):
        import struct
        try:
            while True:
                length = struct.unpack(
                    "!H", dnswire.read_exactly(connection, 2))[0]
                octets = dnswire.read_exactly(connection, length)
                reply = self._strip(dnswire.exchange_tcp(
                    self.upstream, octets, 5))
                connection.sendall(struct.pack("!H", len(reply)) + reply)
        except OSError:
            return

    def _strip(self, octets):
        message = dnswire.parse(octets)
        kept = [r for r in message.additional if r.type != dnswire.TSIG]
        self.stripped += len(message.additional) - len(kept)
        message.additional = kept
        return dnswire.build(message)

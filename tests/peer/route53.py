"""Amazon Route 53: signed requests, change batches that are all or nothing, changes that are INSYNC
later; and the places where keys of a role are had."""

import datetime
import hashlib
import hmac
import re
import time
import urllib.parse
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from .api import Api, Refused, Reply, quoted, secret, unquoted

SPACE = "https://route53.amazonaws.com/doc/2013-04-01/"
HEAD = '<?xml version="1.0"?>\n'
CLOCK_S = 300


def canonical(request, names, host):
    """Of what was sent: method, path, sorted query, signed headers, digest of the body."""
    path, _, query = request.raw_path.partition("?")
    pairs = sorted(p if "=" in p else p + "=" for p in query.split("&") if p)
    heads = {**request.headers, "host": host}
    return "\n".join([
        request.method, urllib.parse.quote(path, safe="/-_.~"), "&".join(pairs),
        "".join(f"{n}:{heads[n].strip()}\n" for n in names), ";".join(names),
        hashlib.sha256(request.body).hexdigest()])


def signature(secret_key, scope, at, text):
    key = ("AWS4" + secret_key).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signed = "\n".join(["AWS4-HMAC-SHA256", at, scope,
                        hashlib.sha256(text.encode()).hexdigest()])
    return hmac.new(key, signed.encode(), hashlib.sha256).hexdigest()


class Route53(Api):
    """keys: "set", "machine" (its metadata) or "container". polls: a change is INSYNC after so
    many questions. busy: so many changes are told that a prior one is not complete; throttled: so
    many questions that the rate is exceeded. private: zones of the same names that no CA sees."""
    name = "route53"

    def __init__(self, bed, zones=("example.com",), *, keys="set", polls=2, busy=0, throttled=0,
                 private=1, **options):
        super().__init__(bed, zones, **options)
        self.keys = keys
        self.polls = polls
        self.busy = busy
        self.throttled = throttled
        self.private = private
        self.may_get_change = True
        self.routed = set()  # names whose set has a routing policy
        self.key_id, self.secret_key = "AKIAIOSFODNN7EXAMPLE", secret()
        self.session = None if keys == "set" else secret()
        self.session_of_metadata = secret()
        self.old = []
        self.changes = {}

    def settings(self):
        places = {"endpoint": self.url, "metadata_endpoint": self.url,
                  "container_endpoint": self.url}
        if self.keys != "set":
            return places
        return {**places, "access_key_id": self.key_id, "secret_access_key_file":
                self.secret_file("aws.secret", self.secret_key)}

    def zone_settings(self, zone):
        return {"zone_id": "Z" + zone.upper().replace(".", "0")}

    def variables(self):
        return {"AWS_ACCESS_KEY_ID": "access_key_id",
                "AWS_SECRET_ACCESS_KEY": "secret_access_key_file"}

    def secrets(self):
        return [self.secret_key] + ([self.session, self.session_of_metadata] if self.session
                                    else []) + self.old

    def expire(self):
        """Keys of a role are others from now on."""
        if self.keys != "set":
            self.old += [self.secret_key, self.session]
            self.secret_key, self.session = secret(), secret()

    def in_sync(self):
        return all(left < 0 for left in self.changes.values())

    def error(self, status, text, code="InvalidInput"):
        return Reply(status, HEAD + f'<ErrorResponse xmlns="{SPACE}"><Error><Type>Sender</Type>'
                     f"<Code>{code}</Code><Message>{escape(text)}</Message></Error>"
                     "<RequestId>1</RequestId></ErrorResponse>", "text/xml")

    def _refuse(self, status, text, code):
        refused = Refused(status)
        refused.reply = self.error(status, text, code)
        return refused

    def _bad_batch(self, text):
        return Refused(400, HEAD + f'<InvalidChangeBatch xmlns="{SPACE}"><Messages><Message>'
                       f"{escape(text)}</Message></Messages><RequestId>1</RequestId>"
                       "</InvalidChangeBatch>", type="text/xml")

    # Keys

    def _role_keys(self):
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=6)
        return Reply(200, {"Code": "Success", "AccessKeyId": self.key_id,
                           "SecretAccessKey": self.secret_key, "Token": self.session,
                           "Expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ")})

    def _metadata(self, request):
        if request.path == "/latest/api/token":
            assert request.method == "PUT"
            assert 0 < int(request.headers["x-aws-ec2-metadata-token-ttl-seconds"]) <= 21600
            return Reply(200, self.session_of_metadata, "text/plain")
        if request.headers.get("x-aws-ec2-metadata-token") != self.session_of_metadata:
            raise Refused(401, "unauthorized", type="text/plain")
        if request.path.endswith("/security-credentials/"):
            return Reply(200, "dns-role", "text/plain")
        assert request.path.endswith("/security-credentials/dns-role")
        return self._role_keys()

    def _authenticate(self, request):
        found = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\S+), SignedHeaders=(\S+), "
            r"Signature=([0-9a-f]{64})", request.headers.get("authorization", ""))
        if not found:
            raise self._refuse(403, "Request is missing Authentication Token",
                               "MissingAuthenticationToken")
        key_id, scope, names, given = found.groups()
        at = request.headers["x-amz-date"]
        session = request.headers.get("x-amz-security-token")
        if key_id != self.key_id or (session in self.old and session):
            raise self._refuse(403, "The security token included in the request is expired",
                               "ExpiredToken")
        sent = datetime.datetime.strptime(at, "%Y%m%dT%H%M%SZ").replace(
            tzinfo=datetime.timezone.utc).timestamp()
        names = names.split(";")
        if (session != self.session or scope != f"{at[:8]}/us-east-1/route53/aws4_request"
                or not {"host", "x-amz-date"} <= set(names)
                or (session and "x-amz-security-token" not in names)
                or abs(sent - time.time()) > CLOCK_S
                or given != signature(self.secret_key, scope, at,
                                      canonical(request, names, self.host))):
            raise self._refuse(403, "The request signature we calculated does not match the "
                               "signature you provided.", "SignatureDoesNotMatch")

    # Zones and sets

    def answer(self, request):
        if request.path.startswith("/latest/") and self.keys == "machine":
            return self._metadata(request)
        if request.path == "/role" and self.keys == "container":
            assert request.headers.get("authorization") == self.session_of_metadata
            return self._role_keys()
        self._authenticate(request)
        if request.method == "GET" and self.throttled > 0:
            self.throttled -= 1
            raise self._refuse(400, "Rate exceeded", "Throttling")
        words = request.path.split("/")[2:]
        if words == ["hostedzonesbyname"]:
            return self._list(request)
        if words[0] == "change":
            if not self.may_get_change:
                raise self._refuse(403, "User: dns01 is not authorized to perform: "
                                   "route53:GetChange", "AccessDenied")
            return self._state(words[1])
        zone = words[1].removeprefix("Z").replace("0", ".").lower()
        if words[0] != "hostedzone" or zone not in self.records.zones:
            raise self._refuse(404, f"No hosted zone found with ID: {words[1]}",
                               "NoSuchHostedZone")
        if request.method == "GET":
            return self._show(request)
        return self._change(request, zone)

    def _list(self, request):
        """From that name on, in whatever order: a private one of that name first."""
        if not self.may_list:
            raise self._refuse(403, "User: dns01 is not authorized to perform: "
                               "route53:ListHostedZonesByName", "AccessDenied")
        asked = request.query["dnsname"].rstrip(".")
        zones = [(f"ZPRIVATE{n}", asked, "true") for n in range(self.private)
                 if asked in self.records.zones]
        zones += [("Z" + z.upper().replace(".", "0"), z, "false") for z in self.records.zones]
        zones += [("ZLATER", "zzz.test", "false")]
        start = request.query.get("hostedzoneid", zones[0][0])
        zones = zones[[z[0] for z in zones].index(start):]
        more = zones[self.page:self.page + 1]
        zones = zones[:self.page]
        body = "".join(f"<HostedZone><Id>/hostedzone/{i}</Id><Name>{n}.</Name><Config>"
                       f"<PrivateZone>{p}</PrivateZone></Config></HostedZone>"
                       for i, n, p in zones)
        return self._xml("ListHostedZonesByNameResponse",
                         f"<HostedZones>{body}</HostedZones>" + (
                             f"<IsTruncated>true</IsTruncated><NextDNSName>{more[0][1]}."
                             f"</NextDNSName><NextHostedZoneId>{more[0][0]}</NextHostedZoneId>"
                             if more else "<IsTruncated>false</IsTruncated>"))

    @staticmethod
    def _xml(name, body):
        return Reply(200, HEAD + f'<{name} xmlns="{SPACE}">{body}</{name}>', "text/xml")

    def _raw(self, owner):
        return [r.raw or quoted(r.text) for r in self.records.at(owner)]

    def _show(self, request):
        """The set at the name, or whatever comes next."""
        owner = request.query["name"].rstrip(".")
        there = self.records.at(owner)
        if there:
            kind, ttl, values = "TXT", there[0].ttl, self._raw(owner)
        else:
            owner, kind, ttl, values = "zzz." + owner, "A", 60, ["192.0.2.1"]
        values = "".join(f"<ResourceRecord><Value>{escape(v)}</Value></ResourceRecord>"
                         for v in values)
        return self._xml("ListResourceRecordSetsResponse",
                         f"<ResourceRecordSets><ResourceRecordSet><Name>{owner}.</Name>"
                         f"<Type>{kind}</Type>" + (
                             "<SetIdentifier>one</SetIdentifier><Weight>1</Weight>"
                             if owner in self.routed else "") + f"<TTL>{ttl}</TTL><ResourceRecords>{values}"
                         "</ResourceRecords></ResourceRecordSet></ResourceRecordSets>"
                         "<IsTruncated>true</IsTruncated><MaxItems>1</MaxItems>")

    def _parse(self, request):
        found = []
        space = "{" + SPACE + "}"
        for change in ElementTree.fromstring(request.body).iter(space + "Change"):
            rrset = change.find(space + "ResourceRecordSet")
            assert rrset.findtext(space + "Type") == "TXT"
            found.append((change.findtext(space + "Action"),
                          rrset.findtext(space + "Name").rstrip("."),
                          int(rrset.findtext(space + "TTL")),
                          [v.text for v in rrset.iter(space + "Value")]))
        return found

    def _change(self, request, zone):
        if self.busy > 0:
            self.busy -= 1
            raise self._refuse(400, "The request was rejected because Route 53 was still "
                               "processing a prior request.", "PriorRequestNotComplete")
        changes, gone = self._parse(request), set()
        for action, owner, ttl, values in changes:
            there = self.records.at(owner)
            self.check_zone(owner, zone)
            if not values or not all(v.startswith('"') and v.endswith('"') for v in values):
                raise self._bad_batch("Invalid Resource Record: value should be enclosed in "
                                      "quotation marks")
            if action == "DELETE" and not there:
                raise self._bad_batch(f"Tried to delete resource record set [name='{owner}.', "
                                      "type='TXT'] but it was not found")
            if action == "DELETE" and (sorted(self._raw(owner)), there[0].ttl) != (
                    sorted(values), ttl):
                raise self._bad_batch(f"Tried to delete resource record set [name='{owner}.', "
                                      "type='TXT'] but the values provided do not match the "
                                      "current values")
            if action == "DELETE":
                gone.add(owner)
            elif there and owner not in gone:
                raise self._bad_batch(f"Tried to create resource record set [name='{owner}.', "
                                      "type='TXT'] but it already exists")
        for action, owner, ttl, values in changes:
            self.records.replace(owner, [] if action == "DELETE" else
                                 [unquoted(v) for v in values], ttl)
        number = f"C{len(self.changes)}"
        self.changes[number] = self.polls
        return self._state(number)

    def _state(self, number):
        self.changes[number] -= 1
        status = "PENDING" if self.changes[number] >= 0 else "INSYNC"
        return self._xml("ChangeResourceRecordSetsResponse",
                         f"<ChangeInfo><Id>/change/{number}</Id><Status>{status}</Status>"
                         "</ChangeInfo>")

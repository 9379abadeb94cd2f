"""OVHcloud's API: signed requests or tokens, records that show after a refresh."""

import hashlib
import time

from .api import Api, Refused, Reply, secret, unquoted

CLOCK_S = 300  # how far a timestamp may be off


def signature(*parts):
    """Of the application's secret, the consumer key, method, URL, body and time."""
    return "$1$" + hashlib.sha1("+".join(parts).encode()).hexdigest()


class Ovh(Api):
    """ahead_s: its clock, of ours. oauth: it knows a service account, no keys."""
    name = "ovh"

    def __init__(self, bed, zones=("example.com",), *, oauth=False, ahead_s=0, **options):
        super().__init__(bed, zones, **options)
        self.key, self.secret, self.consumer = secret(), secret(), secret()
        self.oauth = oauth
        self.ahead_s = ahead_s
        self.client, self.client_secret = "EU.1234567890abcdef", secret()
        self.tokens = []
        self.fresh = {z: True for z in zones}

    def settings(self):
        endpoint = {"endpoint": f"{self.url}/1.0",
                    "token_endpoint": f"{self.url}/auth/oauth2/token"}
        if self.oauth:
            return {**endpoint, "client_id": self.client, "client_secret_file":
                    self.secret_file("ovh.client", self.client_secret)}
        return {**endpoint,
                "application_key_file": self.secret_file("ovh.key", self.key),
                "application_secret_file": self.secret_file("ovh.secret", self.secret),
                "consumer_key_file": self.secret_file("ovh.consumer", self.consumer)}

    def variables(self):
        if self.oauth:
            return {"OVH_CLIENT_ID": "client_id", "OVH_CLIENT_SECRET": "client_secret_file"}
        return {"OVH_APPLICATION_KEY": "application_key_file",
                "OVH_APPLICATION_SECRET": "application_secret_file",
                "OVH_CONSUMER_KEY": "consumer_key_file"}

    def secrets(self):
        if self.oauth:
            return [self.client_secret, *self.tokens]
        return [self.key, self.secret, self.consumer]

    def expire(self):
        self.tokens = self.tokens and [secret()]

    def error(self, status, text, code="CLIENT_ERROR"):
        return Reply(status, {"message": text, "errorCode": code, "httpCode": str(status)})

    def _refuse(self, status, text, code):
        refused = Refused(status)
        refused.reply = self.error(status, text, code)
        return refused

    def _signature(self, request):
        return signature(self.secret, self.consumer, request.method,
                         self.url + request.raw_path, request.body.decode(),
                         request.headers["x-ovh-timestamp"])

    def _authenticate(self, request):
        head = request.headers
        if self.oauth:
            if request.bearer not in self.tokens:
                raise self._refuse(401, "Invalid token", "INVALID_TOKEN")
            return
        assert "authorization" not in head
        if head.get("x-ovh-application") != self.key:
            raise self._refuse(403, "This application key is invalid", "INVALID_KEY")
        if head.get("x-ovh-consumer") != self.consumer:
            raise self._refuse(403, "This credential is not valid", "INVALID_CREDENTIAL")
        off_s = int(head["x-ovh-timestamp"]) - time.time() - self.ahead_s
        if abs(off_s) > CLOCK_S:
            raise self._refuse(400, "Query out of time", "QUERY_TIME_OUT")
        if head.get("x-ovh-signature") != self._signature(request):
            raise self._refuse(400, "Invalid signature", "INVALID_SIGNATURE")

    def _give_token(self, request):
        form = request.form
        if (form["client_id"], form["client_secret"]) != (self.client, self.client_secret):
            raise Refused(401, {"error": "invalid_client",
                                "error_description": "Client authentication failed"})
        assert form["grant_type"] == "client_credentials"
        self.tokens.append(secret())
        return Reply(200, {"access_token": self.tokens[-1], "token_type": "Bearer",
                           "expires_in": 3599, "scope": "all"})

    def texts(self, owner):
        """What was not refreshed is not published."""
        zone = self.records.zone_of(owner)
        assert zone is None or self.fresh[zone], f"{zone} was not refreshed"
        return super().texts(owner)

    def answer(self, request):
        if request.path == "/auth/oauth2/token":
            return self._give_token(request)
        if request.path == "/1.0/auth/time":
            return Reply(200, str(int(time.time()) + self.ahead_s))
        self._authenticate(request)
        words = request.path.split("/")[2:]
        assert words[:2] == ["domain", "zone"], words
        zone, words = words[2], words[3:]
        if zone not in self.records.zones:
            raise self._refuse(404, "This service does not exist", "NOT_FOUND")
        if not words:
            return Reply(200, {"name": zone, "hasDnsAnycast": False})
        if words == ["refresh"] and request.method == "POST":
            self.fresh[zone] = True
            return Reply(200, "null")
        if words == ["record"]:
            return (self._create if request.method == "POST" else self._list)(request, zone)
        return self._one(request, words[1], zone)

    @staticmethod
    def _owner(label, zone):
        return f"{label}.{zone}" if label else zone

    def _list(self, request, zone):
        assert request.query["fieldType"] == "TXT"
        owner = self._owner(request.query["subDomain"], zone)
        return Reply(200, [int(r.id) for r in self.records.at(owner)])

    def _create(self, request, zone):
        body = request.json
        if body["fieldType"] != "TXT" or not 60 <= body["ttl"] <= 2147483647:
            raise self._refuse(400, "[ttl] is not in the range", "INVALID_ARGUMENT")
        self.fresh[zone] = False
        self.check_zone(self._owner(body["subDomain"], zone), zone)
        record = self.records.add(self._owner(body["subDomain"], zone),
                                  unquoted(body["target"]), body["ttl"], body["target"])
        return Reply(200, {"id": int(record.id), "zone": zone, **body})

    def _one(self, request, record_id, zone):
        record = next((r for r in self.records.list if r.id == record_id), None)
        if record is None:
            raise self._refuse(404, "The requested object (id = " + record_id +
                               ") does not exist", "NOT_FOUND")
        if request.method == "DELETE":
            self.fresh[zone] = False
            self.records.remove(record)
            return Reply(200, "null")
        return Reply(200, {"id": int(record_id), "zone": zone, "fieldType": "TXT",
                           "subDomain": record.owner[:-len(zone) - 1], "ttl": record.ttl,
                           "target": record.raw or f'"{record.text}"'})

"""Google Cloud DNS: changes that delete a set exactly as it is, and become done later; tokens for
assertions that a service account signed, or for a machine."""

import base64
import json
import os
import subprocess
import time

from .api import Api, Refused, Reply, quoted, secret, unquoted

SCOPE = "https://www.googleapis.com/auth/ndev.clouddns.readwrite"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def _decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Google(Api):
    """machine: tokens come from the metadata server. polls: a change is done after so many."""
    name = "google"

    def __init__(self, bed, zones=("example.com",), *, machine=False, polls=2, **options):
        super().__init__(bed, zones, **options)
        self.machine = machine
        self.polls = polls
        self.email = "dns01@my-project.iam.gserviceaccount.com"
        self.tokens = []
        self.routed = set()  # names whose set has a routing policy
        self.hurried = 0  # so many changes are told to come later, with a 403
        self.changes = {}  # id -> questions until it is done
        self._folder = bed.new_folder("google-key")
        self.make_key()

    def make_key(self):
        self.key_id = secret()
        self._openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out",
                      "secrets.pem")
        self._openssl("pkey", "-in", "secrets.pem", "-pubout", "-out", "public.pem")
        with open(f"{self._folder}/secrets.pem", encoding="ascii") as file:
            self.pem = file.read()
        os.unlink(f"{self._folder}/secrets.pem")

    def _openssl(self, *arguments):
        return subprocess.run(["openssl", *arguments], cwd=self._folder, check=False,
                              capture_output=True)

    def settings(self):
        places = {"endpoint": f"{self.url}/dns/v1", "token_endpoint": f"{self.url}/token",
                  "metadata_endpoint": self.url}
        if self.machine:
            return {**places, "machine": True, "project": "my-project"}
        return {**places, "key_file": self.secret_file("google.json", json.dumps({
            "type": "service_account", "project_id": "my-project", "private_key": self.pem,
            "private_key_id": self.key_id, "client_email": self.email}))}

    def zone_settings(self, zone):
        return {"zone_id": "zone-" + zone.replace(".", "-")}

    def variables(self):
        return {"GOOGLE_APPLICATION_CREDENTIALS": "key_file"}

    def secrets(self):
        key = [] if self.machine else [self.key_id, *self.pem.split("\n")[1:4]]
        return key + self.tokens

    def credentials(self):
        return [self.key_id]

    def expire(self):
        self.tokens = self.tokens and [secret()]

    def in_sync(self):
        return all(left < 0 for left in self.changes.values())

    def error(self, status, text, reason="badRequest"):
        return Reply(status, {"error": {"code": status, "message": text, "errors": [
            {"message": text, "domain": "global", "reason": reason}]}})

    def _refuse(self, status, text, reason):
        refused = Refused(status)
        refused.reply = self.error(status, text, reason)
        return refused

    def _give_token(self):
        self.tokens.append(secret())
        return Reply(200, {"access_token": self.tokens[-1], "expires_in": 3599,
                           "token_type": "Bearer"})

    def _assertion(self, request):
        assert request.form["grant_type"] == GRANT
        head, claims, signature = request.form["assertion"].split(".")
        for name, octets in (("text", f"{head}.{claims}".encode()),
                             ("signature", _decode(signature))):
            with open(f"{self._folder}/{name}", "wb") as file:
                file.write(octets)
        signed = self._openssl("dgst", "-sha256", "-verify", "public.pem", "-signature",
                               "signature", "text").returncode == 0
        head, claims = json.loads(_decode(head)), json.loads(_decode(claims))
        if (not signed or head != {"alg": "RS256", "typ": "JWT", "kid": self.key_id}
                or claims["iss"] != self.email or claims["scope"] != SCOPE
                or claims["aud"] != f"{self.url}/token"
                or not claims["iat"] - 300 <= time.time() <= claims["exp"]
                or claims["exp"] - claims["iat"] > 3600):
            raise Refused(401, {"error": "invalid_grant",
                                "error_description": "Invalid JWT Signature."})
        return self._give_token()

    def answer(self, request):
        if request.path == "/token" and not self.machine:
            return self._assertion(request)
        if request.path.startswith("/computeMetadata/v1/") and self.machine:
            assert request.headers.get("metadata-flavor") == "Google"
            return self._give_token()
        if request.bearer not in self.tokens:
            raise self._refuse(401, "Request had invalid authentication credentials.",
                               "authError")
        words = request.path.split("/")[3:]
        assert words[:3] == ["projects", "my-project", "managedZones"], words
        if len(words) == 3:
            return self._list(request)
        zone = words[3].removeprefix("zone-").replace("-", ".")
        if zone not in self.records.zones:
            raise self._refuse(404, f"The 'parameters.managedZone' resource named '{words[3]}' "
                               "does not exist.", "notFound")
        if words[4] == "rrsets":
            return self._show(request)
        if request.method == "POST":
            return self._change(request.json, zone)
        return self._state(words[5])

    def _list(self, request):
        """Two pages: a private zone of that name, then the public one."""
        if not self.may_list:
            raise self._refuse(403, "Forbidden", "forbidden")
        name = request.query["dnsName"].rstrip(".")
        if name not in self.records.zones:
            return Reply(200, {"managedZones": []})
        public = request.query.get("pageToken") == "second"
        zone = {"dnsName": name + ".", "name": "zone-" + name.replace(".", "-"),
                "visibility": "public" if public else "private"}
        if public:
            return Reply(200, {"managedZones": [zone]})
        return Reply(200, {"managedZones": [dict(zone, name="inside")],
                           "nextPageToken": "second"})

    def _shown(self, owner):
        there = self.records.at(owner)
        if owner in self.routed:
            return {"name": owner + ".", "type": "TXT", "ttl": there[0].ttl, "routingPolicy": {
                "wrr": {"items": [{"weight": 1, "rrdatas": [quoted(there[0].text)]}]}}}
        return {"name": owner + ".", "type": "TXT", "ttl": there[0].ttl,
                "rrdatas": [r.raw or quoted(r.text) for r in there]}

    def _show(self, request):
        assert request.query["type"] == "TXT"
        owner = request.query["name"].rstrip(".")
        return Reply(200, {"rrsets": [self._shown(owner)] if self.records.at(owner) else []})

    def _change(self, change, zone):
        if self.hurried > 0:
            self.hurried -= 1
            raise self._refuse(403, "Rate Limit Exceeded", "rateLimitExceeded")
        for i, gone in enumerate(change["deletions"]):
            owner = gone["name"].rstrip(".")
            if not self.records.at(owner):
                raise self._refuse(404, f"The 'entity.change.deletions[{i}]' resource named "
                                   f"'{gone['name']} (TXT)' does not exist.", "notFound")
            there = self._shown(owner)
            if (sorted(there["rrdatas"]), there["ttl"]) != (sorted(gone["rrdatas"]), gone["ttl"]):
                raise self._refuse(412, "Precondition not met for "
                                   f"'entity.change.deletions[{i}]'", "conditionNotMet")
        for come in change["deletions"] + change["additions"]:
            self.check_zone(come["name"].rstrip("."), zone)
        deleted = {gone["name"] for gone in change["deletions"]}
        for i, come in enumerate(change["additions"]):
            if self.records.at(come["name"].rstrip(".")) and come["name"] not in deleted:
                raise self._refuse(409, f"The resource 'entity.change.additions[{i}]' named "
                                   f"'{come['name']} (TXT)' already exists", "alreadyExists")
            if not all(v.startswith('"') for v in come["rrdatas"]):
                raise self._refuse(400, "Invalid value for 'entity.change.additions'", "invalid")
        for gone in change["deletions"]:
            self.records.replace(gone["name"].rstrip("."), [])
        for come in change["additions"]:
            self.records.replace(come["name"].rstrip("."), [unquoted(v) for v in come["rrdatas"]],
                                 come["ttl"])
        number = str(len(self.changes))
        self.changes[number] = self.polls
        return self._state(number)

    def _state(self, number):
        self.changes[number] -= 1
        status = "pending" if self.changes[number] >= 0 else "done"
        return Reply(200, {"kind": "dns#change", "id": number, "status": status})

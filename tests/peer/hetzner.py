"""DNS in Hetzner's Cloud API: values in RRsets, changed by actions that take their time."""

from .api import Api, Refused, Reply, quoted, secret, unquoted


class Hetzner(Api):
    """locks: no change of a zone while another one is under way."""
    name = "hetzner"
    page = 1

    def __init__(self, bed, zones=("other.test", "example.com"), *, locks=False, **options):
        super().__init__(bed, zones, **options)
        self.token = secret()
        self.locks = locks
        self.locked = 0
        self._actions = {}  # id -> (looks until it is done, what it does then, its error)

    def settings(self):
        return {"endpoint": f"{self.url}/v1",
                "token_file": self.secret_file("hetzner.token", self.token)}

    def zone_settings(self, zone):
        return {"zone_id": str(self.records.zones.index(zone) + 1)}

    def variables(self):
        return {"HCLOUD_TOKEN": "token_file"}

    def secrets(self):
        return [self.token]

    def in_sync(self):
        return all(looks < 0 for looks in self._actions.values())

    def error(self, status, text, code="error"):
        return Reply(status, {"error": {"code": code, "message": text, "details": None}})

    def _refuse(self, status, code, text):
        refused = Refused(status)
        refused.reply = self.error(status, text, code)
        return refused

    def answer(self, request):
        if request.bearer != self.token:
            raise self._refuse(401, "unauthorized", "unable to authenticate")
        words = request.path.split("/")[2:]
        if words == ["zones"]:
            return self._zones(int(request.query.get("page", 1)), request.query.get("name"))
        if words[0] == "actions":
            return Reply(200, {"action": self._look(int(words[1]))})
        zone = self._zone(words[1])
        if len(words) == 2:
            return Reply(200, {"zone": self._shown(zone)})
        owner = zone if words[3] == "@" else f"{words[3]}.{zone}"
        self.check_zone(owner, zone)
        assert words[2] == "rrsets" and words[4] == "TXT", request.path
        if len(words) == 5:
            return self._read(owner, words[3])
        return self._change(owner, words[6], request.json)

    def _zones(self, number, name):
        if not self.may_list:
            raise self._refuse(403, "forbidden", "insufficient permissions")
        names = [z for z in self.records.zones if name in (None, z)]
        last = -(-len(names) // self.page)
        return Reply(200, {
            "zones": [self._shown(z)
                      for z in names[(number - 1) * self.page:number * self.page]],
            "meta": {"pagination": {"page": number, "per_page": self.page, "last_page": last,
                                    "next_page": number + 1 if number < last else None}}})

    def _shown(self, zone):
        return {"id": self.records.zones.index(zone) + 1, "name": zone, "mode": "primary"}

    def _zone(self, text):
        if text in self.records.zones:
            return text
        if text.isdigit() and 0 < int(text) <= len(self.records.zones):
            return self.records.zones[int(text) - 1]
        raise self._refuse(404, "not_found", "zone not found")

    def _read(self, owner, label):
        there = self.records.at(owner)
        if not there:
            raise self._refuse(404, "not_found", "rrset not found")
        return Reply(200, {"rrset": {
            "id": f"{label}/TXT", "name": label, "type": "TXT", "ttl": there[0].ttl,
            "records": [{"value": quoted(r.text), "comment": ""} for r in there]}})

    def _change(self, owner, what, body):
        texts = [unquoted(r["value"]) for r in body["records"]]
        if any(not r["value"].startswith('"') for r in body["records"]):
            raise self._refuse(422, "invalid_input", "invalid TXT record: value must be quoted")
        if "ttl" in body and body["ttl"] < 60:
            raise self._refuse(422, "invalid_input", "invalid input in field 'ttl'")
        if self.locks and any(looks > 0 for looks in self._actions.values()):
            self.locked += 1
            raise self._refuse(423, "locked", "zone is locked: another action is running")
        there = self.records.texts(owner)
        if what == "add_records":
            if set(texts) & set(there):
                raise self._refuse(422, "uniqueness_error", "record already exists")
            if there and body.get("ttl", self.records.at(owner)[0].ttl) != (
                    self.records.at(owner)[0].ttl):
                raise self._refuse(422, "invalid_input", "invalid input in field 'ttl': it must be "
                                   "the RRSet's")
            after = there + texts
        else:
            assert what == "remove_records"
            if not set(texts) <= set(there):
                raise self._refuse(404, "not_found", "record not found")
            after = [t for t in there if t not in texts]
        self.records.replace(owner, after, self.records.at(owner)[0].ttl if there else
                             body.get("ttl", 300))
        number = len(self._actions) + 1
        self._actions[number] = 2
        return Reply(201, {"action": self._look(number)})

    def _look(self, number):
        if number not in self._actions:
            raise self._refuse(404, "not_found", "action not found")
        self._actions[number] -= 1
        return {"id": number, "status": "running" if self._actions[number] >= 0 else "success",
                "progress": 50, "error": None}

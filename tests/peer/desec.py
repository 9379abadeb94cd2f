"""deSEC's API: domains, bulk PUT of RRsets, its limits."""

import time

from .api import Api, Refused, Reply, quoted, secret, unquoted

MINIMUM_TTL = 3600


class Desec(Api):
    name = "desec"

    def __init__(self, bed, zones=("example.com",), *, many=False, writes_per_s=20, **options):
        super().__init__(bed, zones, **options)
        self.token = secret()
        self.many = many  # too many domains for one list
        self.writes_per_s = writes_per_s
        self.throttled = 0
        self._writes = []

    def settings(self):
        return {"endpoint": f"{self.url}/api/v1",
                "token_file": self.secret_file("desec.token", self.token)}

    def variables(self):
        return {"DESEC_TOKEN": "token_file"}

    def secrets(self):
        return [self.token]

    def plant(self, owner, text):
        self.records.add(owner, text, MINIMUM_TTL)

    def error(self, status, text):
        return Reply(status, {"detail": text})

    def _throttle(self):
        now = time.monotonic()
        self._writes = [t for t in self._writes if now - t < 1]
        if len(self._writes) >= self.writes_per_s:
            self.throttled += 1
            raise Refused(429, {"detail": "Request was throttled. Expected available in 1 second."},
                          headers={"Retry-After": "1"})
        self._writes.append(now)

    def answer(self, request):
        if request.headers.get("authorization") != f"Token {self.token}":
            raise Refused(401, {"detail": "Invalid token."})
        words = request.path.split("/")[3:]
        assert words[0] == "domains" and words[-1] == "", request.path
        if len(words) == 2:
            return self._domains(request.query.get("owns_qname"))
        if words[1] not in self.records.zones:
            raise Refused(404, {"detail": "Not found."})
        zone = words[1]
        if request.method == "PUT":
            self._throttle()
            return self._put(request.json, zone)
        if len(words) == 4:
            return self._list(request, zone)
        label, kind = words[3:5]
        assert kind == "TXT"
        owner = zone if label == "@" else f"{label}.{zone}"
        there = self.records.at(owner)
        if not there:
            raise Refused(404, {"detail": "Not found."})
        return Reply(200, self._shown(owner, "" if label == "@" else label, there))

    def _list(self, request, zone):
        """A page of all sets; where there are more the question has to have a cursor."""
        assert request.query["type"] == "TXT"
        owners = sorted({r.owner for r in self.records.list})
        start = int(request.query.get("cursor") or 0)
        if "cursor" not in request.query and len(owners) > self.page:
            raise Refused(400, {"detail": "Pagination required."})
        place = f"{self.url}/api/v1/domains/{zone}/rrsets/?type=TXT&cursor="
        links = [f'<{place}>; rel="first"']
        if start + self.page < len(owners):
            links.append(f'<{place}{start + self.page}>; rel="next"')
        return Reply(200, [
            self._shown(o, o[:-len(zone)].rstrip("."), self.records.at(o))
            for o in owners[start:start + self.page]], headers={"Link": ", ".join(links)})

    @staticmethod
    def _shown(owner, label, records):
        return {"subname": label, "name": owner + ".", "type": "TXT", "ttl": records[0].ttl,
                "records": [quoted(r.text) for r in records]}

    def _domains(self, owns_qname):
        if owns_qname is None:
            if self.many:
                raise Refused(400, {"detail": "Pagination required. You can query up to 500 items "
                                    "at a time (801 total). Please use the `first` page link."})
            return Reply(200, [{"name": z, "minimum_ttl": MINIMUM_TTL}
                               for z in self.records.zones])
        zone = self.records.zone_of(owns_qname)
        return Reply(200, [{"name": zone, "minimum_ttl": MINIMUM_TTL}] if zone else [])

    def _put(self, rrsets, zone):
        errors = []
        for rrset in rrsets:
            error = {}
            if rrset["ttl"] < MINIMUM_TTL and rrset["records"]:
                error["ttl"] = [f"Ensure this value is greater than or equal to {MINIMUM_TTL}."]
            if any(not r.startswith('"') for r in rrset["records"]):
                error["records"] = ["Cannot parse record contents: Invalid character."]
            if len(set(rrset["records"])) != len(rrset["records"]):
                error["records"] = ["Duplicate record."]
            errors.append(error)
        if any(errors):
            raise Refused(400, errors)
        for rrset in rrsets:
            owner = f"{rrset['subname']}.{zone}" if rrset["subname"] else zone
            self.check_zone(owner, zone)
            self.records.replace(owner, [unquoted(r) for r in rrset["records"]], rrset["ttl"])
        return Reply(200, [r for r in rrsets if r["records"]])

"""The HTTP API of a PowerDNS server: one that knows EXTEND and PRUNE, or not yet."""

from .api import Api, Refused, Reply, quoted, secret, unquoted


class PowerDnsApi(Api):
    """The real server is tested, too; this one has faults, and a newer version."""
    name = "powerdns"

    def __init__(self, bed, zones=("example.com",), *, extends=True, **options):
        super().__init__(bed, zones, **options)
        self.key = secret()
        self.extends = extends
        self.disabled = set()  # texts of records that are not served
        self.notified = 0
        self.soa_edit_api = "DEFAULT"

    def settings(self):
        return {"endpoint": self.url, "key_file": self.secret_file("pdns.key", self.key)}

    def variables(self):
        return {"PDNS_API_KEY": "key_file"}

    def secrets(self):
        return [self.key]

    def plant(self, owner, text):
        self.records.add(owner, text, 3600)

    def error(self, status, text):
        return Reply(status, {"error": text})

    def answer(self, request):
        if request.headers.get("x-api-key") != self.key:
            raise Refused(401, b"Unauthorized", type="text/plain")
        words = request.path.split("/")[1:]
        if words == ["api"]:
            return Reply(200, [{"version": 1, "url": "/api/v1"}])
        if words[:5] != ["api", "v1", "servers", "localhost", "zones"]:
            raise Refused(404, {"error": "Not Found"})
        if len(words) == 5:
            return Reply(200, [
                {"id": z + ".", "name": z + ".", "kind": "Primary"}
                for z in self.records.zones if request.query.get("zone") in (None, z + ".")])
        zone = words[5].rstrip(".")
        if zone not in self.records.zones:
            raise Refused(404, {"error": "Not Found"})
        if words[6:] == ["notify"] and request.method == "PUT":
            self.notified += 1
            return Reply(200, {"result": "Notification queued"})
        if request.method == "GET":
            shown = {"id": zone + ".", "name": zone + ".", "kind": "Master",
                     "url": f"/api/v1/servers/localhost/zones/{zone}.",
                     "soa_edit_api": self.soa_edit_api}
            if request.query.get("rrsets") != "false":
                shown["rrsets"] = self._rrsets(zone, request.query.get("rrset_name"))
            return Reply(200, shown)
        return self._patch(request.json["rrsets"], zone)

    def _rrsets(self, zone, name):
        """Of one name, or all."""
        owners = [name.rstrip(".")] if name else sorted({r.owner for r in self.records.list})
        return [{"name": owner + ".", "type": "TXT", "ttl": self.records.at(owner)[0].ttl,
                 "comments": [], "records": [{"content": quoted(r.text), "disabled": r.text in self.disabled}
                                             for r in self.records.at(owner)]}
                for owner in owners
                if self.records.at(owner) and self.records.zone_of(owner) == zone]

    def _check(self, rrset):
        known = ("REPLACE", "DELETE") + (("EXTEND", "PRUNE") if self.extends else ())
        if rrset["changetype"] not in known:
            raise Refused(422, {"error": "Changetype not understood"})
        if rrset["type"] != "TXT" or not rrset["name"].endswith("."):
            raise Refused(422, {"error": "Name is not canonical"})
        if rrset["changetype"] in ("EXTEND", "PRUNE") and len(rrset["records"]) != 1:
            raise Refused(422, {"error": "EXTEND and PRUNE take one record"})
        for record in [] if rrset["changetype"] == "DELETE" else rrset["records"]:
            if not record["content"].startswith('"'):
                raise Refused(422, {"error": "Data field in DNS should start with quote"})

    def _patch(self, rrsets, zone):
        for rrset in rrsets:
            self._check(rrset)
            self.check_zone(rrset["name"].rstrip("."), zone)
        before = list(self.records.list)
        try:
            for rrset in rrsets:
                self._apply(rrset)
        except Refused:
            self.records.list = before
            raise
        return Reply(204)

    def _apply(self, rrset):
        """All records of a set have one TTL, and a single one is no exception."""
        owner = rrset["name"].rstrip(".")
        if rrset["changetype"] == "DELETE":
            self.records.replace(owner, [])
            return
        ttl = rrset["ttl"]
        texts = [unquoted(r["content"]) for r in rrset["records"]]
        self.disabled -= set(texts)
        self.disabled |= {unquoted(r["content"]) for r in rrset["records"] if r.get("disabled")}
        there = self.records.at(owner)
        known = self.records.texts(owner)
        if rrset["changetype"] == "EXTEND":
            if set(texts) <= set(known):
                return
            if there and there[0].ttl != ttl:
                raise Refused(422, {"error": f"RRset {owner} IN TXT: uses a different TTL value "
                                    "than the remainder of the RRset"})
            texts = known + texts
        elif rrset["changetype"] == "PRUNE":
            texts = [t for t in known if t not in texts]
            ttl = there[0].ttl if there else ttl
        self.records.replace(owner, texts, ttl)

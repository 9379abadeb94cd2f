"""Cloudflare's API v4: zones and DNS records, tokens, its error codes, pages."""

from .api import Api, Refused, Reply, quoted, secret, unquoted

LIMIT_TTL = 60


class Cloudflare(Api):
    name = "cloudflare"

    def __init__(self, bed, zones=("example.com",), *, many_zones=0, **options):
        super().__init__(bed, zones, **options)
        self.token = secret()
        self.key, self.email = secret(), "admin@example.com"
        self.account = "023e105f4ecef8ad9ca31a8372d0c353"
        self.may_edit = True
        # Zones of the account that are not ours, so that the list has pages.
        self.zones = {z: f"{i:032x}" for i, z in enumerate(
            [f"other{n}.test" for n in range(many_zones)] + list(zones), 1)}

    def settings(self):
        return {"endpoint": f"{self.url}/client/v4",
                "token_file": self.secret_file("cloudflare.token", self.token + "\n")}

    def key_settings(self):
        return {"endpoint": f"{self.url}/client/v4", "email": self.email,
                "key_file": self.secret_file("cloudflare.key", self.key)}

    def zone_settings(self, zone):
        return {"zone_id": self.zones[zone]}

    def variables(self):
        return {"CLOUDFLARE_API_TOKEN": "token_file"}

    def secrets(self):
        return [self.token, self.key]

    def error(self, status, text, code=1000):
        return Reply(status, {"success": False, "result": None, "messages": [],
                              "errors": [{"code": code, "message": text}]})

    def _refuse(self, status, code, text):
        refused = Refused(status)
        refused.reply = self.error(status, text, code)
        return refused

    def _authenticate(self, request):
        by_key = (request.headers.get("x-auth-email") == self.email
                  and request.headers.get("x-auth-key") == self.key)
        if not by_key and request.bearer != self.token:
            raise self._refuse(403, 9109, "Invalid access token")

    def answer(self, request):
        assert request.path.startswith("/client/v4/")
        self._authenticate(request)
        words = request.path.split("/")[3:]
        if words == ["zones"] and request.method == "GET":
            return self._list_zones(request)
        if words[2:3] != ["dns_records"]:
            raise self._refuse(404, 7003, "Could not route to the path")
        zone = next((n for n, i in self.zones.items() if i == words[1]), None)
        if zone is None:
            raise self._refuse(404, 7003, "Could not route to zone, perhaps your object "
                               "identifier is invalid?")
        if request.method != "GET" and not self.may_edit:
            raise self._refuse(403, 10000, "Authentication error")
        if request.method == "GET":
            return self._list_records(request, zone)
        if request.method == "POST":
            return self._create(request.json, zone)
        return self._delete(words[3])

    def _pages(self, request, items):
        size = min(int(request.query.get("per_page", 20)), self.page)
        number = int(request.query.get("page", 1))
        total = max(1, -(-len(items) // size))
        return Reply(200, {
            "success": True, "errors": [], "messages": [],
            "result": items[(number - 1) * size:number * size],
            "result_info": {"page": number, "per_page": size, "total_pages": total,
                            "count": min(size, len(items)), "total_count": len(items)}})

    def _list_zones(self, request):
        if not self.may_list:
            raise self._refuse(403, 9109, "Unauthorized to access requested resource")
        name = request.query.get("name")
        account = request.query.get("account.id")
        if account not in (None, self.account):
            raise self._refuse(403, 9109, f"Unauthorized to access requested resource: {account}")
        return self._pages(request, [
            {"id": i, "name": n, "status": "active"} for n, i in self.zones.items()
            if name in (None, n)])

    @staticmethod
    def _shown(record):
        return {"id": record.id, "type": "TXT", "name": record.owner, "ttl": record.ttl,
                "content": record.raw or quoted(record.text)}

    def _list_records(self, request, zone):
        assert request.query.get("type") == "TXT"
        name = request.query.get("name.exact", request.query.get("name"))
        return self._pages(request, [
            self._shown(r) for r in self.records.list
            if self.records.zone_of(r.owner) == zone and name in (None, r.owner)])

    def _create(self, body, zone):
        owner, text = body["name"], unquoted(body["content"])
        if body["type"] != "TXT" or self.records.zone_of(owner) != zone:
            raise self._refuse(400, 1004, "DNS Validation Error")
        if body["ttl"] != 1 and body["ttl"] < LIMIT_TTL:
            raise self._refuse(400, 9021, "Invalid TTL. Must be between 60 and 86400 seconds, "
                               "or 1 for Automatic.")
        if text in self.records.texts(owner):
            raise self._refuse(400, 81058, "An identical record already exists.")
        record = self.records.add(owner, text, body["ttl"])
        return Reply(200, {"success": True, "errors": [], "messages": [],
                           "result": self._shown(record)})

    def _delete(self, record_id):
        for record in self.records.list:
            if record.id == record_id:
                self.records.remove(record)
                return Reply(200, {"success": True, "errors": [], "messages": [],
                                   "result": {"id": record_id}})
        raise self._refuse(404, 81044, "Record does not exist.")

"""The imaginary service of providers/README.md."""

from .api import Api, Refused, Reply, secret


class Tiny(Api):
    name = "tiny"

    def __init__(self, bed, zones=("other.test", "example.com"), **options):
        super().__init__(bed, zones, **options)
        self.token = secret()

    def settings(self):
        return {"endpoint": self.url, "token_file": self.secret_file("tiny.token", self.token)}

    def secrets(self):
        return [self.token]

    def answer(self, request):
        if request.bearer != self.token:
            raise Refused(401, {"message": "who are you?"})
        words = request.path.split("/")[1:]
        if words == ["v1", "zones"]:
            return self._list(int(request.query.get("after", 0)))
        zone = self.records.zones[int(words[2]) - 1]
        if request.method == "GET":
            return Reply(200, {"records": [
                {"id": int(r.id), "text": r.text} for r in self.records.at(request.query["name"])]})
        if request.method == "POST":
            body = request.json
            if self.records.zone_of(body["name"]) != zone or body["ttl"] < 60:
                raise Refused(400, {"message": "not so"})
            return Reply(201, {"id": int(self.records.add(
                body["name"], body["text"], body["ttl"]).id)})
        found = [r for r in self.records.list if r.id == words[4]]
        if not found:
            raise Refused(404, {"message": "no such record"})
        self.records.remove(found[0])
        return Reply(204)

    def _list(self, after):
        """One zone on a page."""
        body = {"zones": [{"name": z, "id": i} for i, z in enumerate(self.records.zones, 1)
                          if i == after + 1]}
        if after + 1 < len(self.records.zones):
            body["next"] = f"/v1/zones?after={after + 1}"
        return Reply(200, body)

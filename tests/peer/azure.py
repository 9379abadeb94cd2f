"""Azure Resource Manager's DNS zones: sets of records with etags, tokens of two kinds."""

from .api import Api, Refused, Reply, secret

RECORDS_MAX = 20  # in a set
GROUP = "/subscriptions/5ub/resourceGroups/{}/providers/Microsoft.Network/dnsZones"


class Azure(Api):
    """machine: there is a managed identity, and no service principal."""
    name = "azure"

    def __init__(self, bed, zones=("example.com",), *, machine=False, **options):
        super().__init__(bed, zones, **options)
        self.machine = machine
        self.client, self.client_secret = "11111111-2222-3333-4444-555555555555", secret()
        self.tokens = []
        self.etags = {}  # owner -> (its texts then, number)
        self.metadata = {}  # owner -> what its PUT said
        self.chunks = {}  # (owner, text) -> its strings
        # Zones that are not ours, so that the list has pages.
        self.zones = {z: "dns" for z in [f"other{n}.test" for n in range(7)] + list(zones)}

    def settings(self):
        places = {"endpoint": self.url, "login_endpoint": self.url,
                  "metadata_endpoint": self.url, "subscription_id": "5ub"}
        if self.machine:
            return {**places, "managed_identity": True}
        return {**places, "tenant_id": "t3nant", "client_id": self.client,
                "client_secret_file": self.secret_file("azure.secret", self.client_secret)}

    def zone_settings(self, zone):
        return {"zone": zone, "resource_group": self.zones[zone]}

    def variables(self):
        return {"AZURE_SUBSCRIPTION_ID": "subscription_id", "AZURE_TENANT_ID": "tenant_id",
                "AZURE_CLIENT_ID": "client_id", "AZURE_CLIENT_SECRET": "client_secret_file"}

    def secrets(self):
        return self.tokens + ([] if self.machine else [self.client_secret])

    def expire(self):
        self.tokens = self.tokens and [secret()]

    def error(self, status, text, code="BadRequest"):
        return Reply(status, {"error": {"code": code, "message": text}})

    def _refuse(self, status, text, code):
        refused = Refused(status)
        refused.reply = self.error(status, text, code)
        return refused

    def _give_token(self, lives):
        self.tokens.append(secret())
        return Reply(200, {"access_token": self.tokens[-1], "token_type": "Bearer",
                           "expires_in": lives})

    def _principal(self, request):
        form = request.form
        assert form["grant_type"] == "client_credentials"
        assert form["scope"] == "https://management.azure.com/.default"
        if (form["client_id"], form["client_secret"]) != (self.client, self.client_secret):
            raise Refused(401, {"error": "invalid_client", "error_description":
                                "AADSTS7000215: Invalid client secret provided."})
        return self._give_token(3599)

    def _identity(self, request):
        if request.headers.get("metadata") != "true":
            raise Refused(400, {"error": "invalid_request", "error_description":
                                "Required metadata header not specified"})
        assert request.query["resource"] == "https://management.azure.com/"
        return self._give_token("86399")

    def answer(self, request):
        if request.path == "/t3nant/oauth2/v2.0/token" and not self.machine:
            return self._principal(request)
        if request.path == "/metadata/identity/oauth2/token" and self.machine:
            return self._identity(request)
        if request.bearer not in self.tokens:
            raise self._refuse(401, "The access token is invalid.", "InvalidAuthenticationToken")
        assert request.query["api-version"] == "2018-05-01"
        words = request.path.split("/")[1:]
        if request.path.lower().endswith("/dnszones"):
            return self._list(request)
        if words[:2] != ["subscriptions", "5ub"] or words[4:6] != ["providers",
                                                                   "Microsoft.Network"]:
            raise self._refuse(404, "The resource is not found.", "ResourceNotFound")
        zone, kind, label = words[7:10]
        if zone not in self.zones or words[3] != self.zones[zone] or kind != "TXT":
            raise self._refuse(404, f"The zone {zone} is not found.", "ResourceNotFound")
        owner = zone if label == "@" else f"{label}.{zone}"
        self.check_zone(owner, zone)
        return {"GET": self._show, "PUT": self._write, "PATCH": self._write,
                "DELETE": self._delete}[request.method](request, owner)

    def _list(self, request):
        if not self.may_list:
            raise self._refuse(403, "The client does not have authorization to perform action "
                               "'Microsoft.Network/dnsZones/read' over scope "
                               f"'{request.path.rsplit('/', 1)[0]}'", "AuthorizationFailed")
        names, start = list(self.zones), int(request.query.get("$skiptoken", 0))
        more = start + self.page < len(names)
        return Reply(200, {
            "value": [{"id": GROUP.format(self.zones[n]) + f"/{n}", "name": n, "etag": "x",
                       "type": "Microsoft.Network/dnszones"}
                      for n in names[start:start + self.page]],
            **({"nextLink": f"{self.url}{request.raw_path}&$skiptoken={start + self.page}"}
               if more else {})})

    def _etag(self, owner):
        """Another one whenever the set is another."""
        texts, number = self.etags.get(owner, ([], 0))
        if self.records.texts(owner) != texts:
            number += 1
            self.etags[owner] = (self.records.texts(owner), number)
        return f"etag-{number}"

    def _shown(self, owner):
        there = self.records.at(owner)
        return {"name": owner.split(".")[0], "etag": self._etag(owner),
                "type": "Microsoft.Network/dnszones/TXT",
                "properties": {"TTL": there[0].ttl, "metadata": self.metadata.get(owner, {}),
                               "TXTRecords": [{"value": self.chunks.get((owner, r.text),
                                                                        [r.text])}
                                              for r in there]}}

    def _show(self, _, owner):
        if not self.records.at(owner):
            raise self._refuse(404, "The resource record is not found.", "NotFound")
        return Reply(200, self._shown(owner))

    def _check_etag(self, request, owner):
        there = bool(self.records.at(owner))
        match, none = (request.headers.get(n) for n in ("if-match", "if-none-match"))
        if (match and (not there or match != self._etag(owner))) or (none == "*" and there):
            raise self._refuse(412, "The condition is not satisfied.", "PreconditionFailed")

    def _write(self, request, owner):
        self._check_etag(request, owner)
        properties = request.json["properties"]
        if request.method == "PATCH" and not self.records.at(owner):
            raise self._refuse(404, "The resource record is not found.", "NotFound")
        if request.method == "PUT":
            self.metadata[owner] = properties.get("metadata", {})
        if len(properties["TXTRecords"]) > RECORDS_MAX:
            raise self._refuse(400, "The number of records in the record set exceeds the maximum "
                               f"of {RECORDS_MAX}.", "BadRequest")
        texts = []
        for record in properties["TXTRecords"]:
            if not record["value"] or any(len(p) > 255 for p in record["value"]):
                raise self._refuse(400, "A string is too long.", "BadRequest")
            text = "".join(record["value"])
            if text in texts:
                raise self._refuse(400, "Two records are the same.", "BadRequest")
            texts.append(text)
            self.chunks[owner, text] = record["value"]
        self.records.replace(owner, texts, properties["TTL"])
        return Reply(200, self._shown(owner))

    def _delete(self, request, owner):
        self._check_etag(request, owner)
        there = bool(self.records.at(owner))
        self.records.replace(owner, [])
        return Reply(200 if there else 204)

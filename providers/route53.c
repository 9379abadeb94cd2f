/*
 * route53: Amazon Route 53. Sets of records, in XML. One change batch deletes each set exactly as
 * it was read and creates it as it shall be: refused as a whole when one of them is another by
 * now.
 */
#include "dns01/provider.h"

#include "dns01/rest.h"

#define VERSION "/2013-04-01"
#define NAMESPACE "https://route53.amazonaws.com/doc/2013-04-01/"
#define BODY_MAX (1024 * 1024)
#define GAP_MS 200 /* five requests a second for an account */

static const struct setting rows[] = {
	AWS_ROWS,         REST_ROW_ZONE,
	REST_ROW_ZONE_ID, REST_ROW_ENDPOINT("https://route53.amazonaws.com"),
	REST_ROW_CA_FILE, REST_ROW_TIMEOUT,
};

static const char *const secret_variables[] = { "AWS_SECRET_ACCESS_KEY", NULL };
static const char *const session_variables[] = { "AWS_SESSION_TOKEN", NULL };

static const struct rest_secret secrets[] = {
	{ .name = "secret_access_key", .environment = secret_variables },
	{ .name = "session_token", .environment = session_variables },
};

struct route53 {
	struct aws_source *source;
};

static enum err_code open_api(struct rest *rest, struct err *err)
{
	struct route53 *self = rest_self(rest);

	return aws_source_open(rest, &self->source, err);
}

static void close_api(struct rest *rest)
{
	struct route53 *self = rest_self(rest);

	aws_source_free(self->source);
}

static enum rest_next get_keys(struct rest_walk *walk, const struct rest_answer *answer)
{
	struct route53 *self = rest_self(walk->rest);

	return aws_source_step(self->source, walk, answer);
}

static enum err_code sign(struct rest *rest, struct rest_request *request, struct err *err)
{
	static const struct aws_scope scope = { "us-east-1", "route53" };
	const struct route53 *self = rest_self(rest);

	(void)err;
	aws_sign(request, aws_source_keys(self->source), &scope);
	return ERR_NONE;
}

/* ---- zones ----------------------------------------------------------------------------------- */

/* "/hostedzone/Z123": Z123. */
static const char *without_path(const char *id)
{
	const char *slash = id ? strrchr(id, '/') : NULL;

	return slash ? slash + 1 : id;
}

/* Where the list goes on with zones of the same name; private ones may be any number. */
static enum rest_next next_page(struct rest_walk *walk, const struct rest_answer *answer)
{
	const char *name = xml_str(answer->xml, "NextDNSName");
	const char *id = xml_str(answer->xml, "NextHostedZoneId");
	size_t len = strlen(walk->suffix);

	if (!name || !id || strncasecmp(name, walk->suffix, len) != 0 ||
	    strcmp(name + len, ".") != 0) {
		return REST_DONE;
	}
	return rest_ask(walk, "GET", NULL,
			VERSION "/hostedzonesbyname?dnsname=%s.&hostedzoneid=%s&maxitems=100",
			walk->suffix, without_path(id));
}

/* Zones from that name on; a private one may have the same name, but no CA sees it. */
static enum rest_next find_zone(struct rest_walk *walk, const struct rest_answer *answer)
{
	const struct xml *zone;

	if (!answer) {
		return rest_ask(walk, "GET", NULL,
				VERSION "/hostedzonesbyname?dnsname=%s.&maxitems=100",
				walk->suffix);
	}
	zone = xml_get(answer->xml, "HostedZones/HostedZone");
	for (; zone; zone = xml_next(zone)) {
		const char *is_private = xml_str(zone, "Config/PrivateZone");

		if (!is_private || strcmp(is_private, "true") != 0) {
			rest_zone_found(walk, xml_str(zone, "Name"),
					without_path(xml_str(zone, "Id")));
		}
	}
	return next_page(walk, answer);
}

/* ---- sets ------------------------------------------------------------------------------------ */

static bool is_ours(const struct rest_walk *walk, const struct xml *set)
{
	const char *name = xml_str(set, "Name"), *type = xml_str(set, "Type");
	size_t len = strlen(walk->set->owner);

	return name && type && strcmp(type, "TXT") == 0 &&
	       strncasecmp(name, walk->set->owner, len) == 0 && strcmp(name + len, ".") == 0;
}

static enum rest_next read_set(struct rest_walk *walk, const struct rest_answer *answer)
{
	const struct xml *set, *record;
	const char *ttl;
	uint64_t ttl_s = 0;

	if (!answer) {
		return rest_ask(walk, "GET", NULL,
				VERSION "/hostedzone/%s/rrset?maxitems=1&name=%s.&type=TXT",
				walk->zone->id, walk->set->owner);
	}
	/* The list begins there, and goes on with whatever comes next. */
	set = xml_get(answer->xml, "ResourceRecordSets/ResourceRecordSet");
	if (!set || !is_ours(walk, set)) {
		return REST_DONE;
	}
	if (xml_get(set, "SetIdentifier")) {
		return rest_fail(walk, ERR_CONFIG,
				 "the set at this name has a routing policy (SetIdentifier); make "
				 "it a simple one, or the name a CNAME into another zone");
	}
	ttl = xml_str(set, "TTL");
	if (!ttl || !text_parse_u64(ttl, INT32_MAX, &ttl_s)) {
		return rest_lacks(walk, "the set's TTL");
	}
	rest_set_is(walk, (int64_t)ttl_s, NULL);
	record = xml_get(set, "ResourceRecords/ResourceRecord");
	for (; record; record = xml_next(record)) {
		rest_value(walk, xml_str(record, "Value"), NULL);
	}
	return REST_DONE;
}

struct set_text {
	const char *action;
	const char *owner;
	uint32_t ttl_s;
	const struct rest_value *value;
	size_t count;
};

static void add_change(struct buf *out, const struct set_text *text)
{
	if (text->count == 0) {
		return;
	}
	buf_addf(out, "<Change><Action>%s</Action><ResourceRecordSet><Name>", text->action);
	xml_escape(out, text->owner);
	buf_addf(out, ".</Name><Type>TXT</Type><TTL>%u</TTL><ResourceRecords>", text->ttl_s);
	for (size_t i = 0; i < text->count; i++) {
		char *raw = rest_raw(&text->value[i], true);

		buf_add_str(out, "<ResourceRecord><Value>");
		xml_escape(out, raw);
		buf_add_str(out, "</Value></ResourceRecord>");
		free(raw);
	}
	buf_add_str(out, "</ResourceRecords></ResourceRecordSet></Change>");
}

static enum rest_next send_changes(struct rest_walk *walk)
{
	struct buf out = BUF_INIT(BODY_MAX);

	buf_addf(&out,
		 "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		 "<ChangeResourceRecordSetsRequest xmlns=\"%s\"><ChangeBatch><Changes>",
		 NAMESPACE);
	for (size_t i = 0; i < walk->set_count; i++) {
		const struct rest_set *set = &walk->sets[i];

		add_change(&out, &(struct set_text){ "DELETE", set->owner, set->old_ttl_s, set->old,
						     set->old_count });
		add_change(&out, &(struct set_text){ "CREATE", set->owner, set->ttl_s, set->value,
						     set->value_count });
	}
	buf_add_str(&out, "</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>");
	if (out.overflow) {
		buf_clear(&out);
		return rest_fail(walk, ERR_LIMIT, "the sets are larger than %d octets", BODY_MAX);
	}
	rest_ask(walk, "POST", NULL, VERSION "/hostedzone/%s/rrset/", walk->zone->id);
	rest_body(walk, "application/xml", buf_detach(&out));
	rest_accept(walk, 400);
	return REST_SEND;
}

/* The set is not there, is another, or is there where it was not. */
static bool says_another_wrote(const struct rest_answer *answer)
{
	return strstr(answer->body, "not found") || strstr(answer->body, "already exists") ||
	       strstr(answer->body, "do not match");
}

/* One batch, then its state until it is INSYNC: at all of Route 53's name servers. */
static enum rest_next write_sets(struct rest_walk *walk, const struct rest_answer *answer)
{
	const char *status;

	if (!answer) {
		return send_changes(walk);
	}
	if (answer->status == 400 && !walk->cursor) {
		return says_another_wrote(answer) ? REST_CONFLICT : rest_refused(walk, answer);
	}
	status = xml_str(answer->xml, "ChangeInfo/Status");
	if (!status) {
		return rest_lacks(walk, "the change's status");
	}
	if (strcmp(status, "INSYNC") == 0) {
		return REST_DONE;
	}
	if (!walk->cursor) {
		walk->cursor = xstrdup(without_path(xml_str(answer->xml, "ChangeInfo/Id")));
	}
	if (!walk->cursor) {
		return rest_lacks(walk, "the change's id");
	}
	rest_ask(walk, "GET", NULL, VERSION "/change/%s", walk->cursor);
	return REST_LATER;
}

/* <ErrorResponse><Error><Code><Message>, or <InvalidChangeBatch><Messages><Message>. */
static void said(const struct rest_answer *answer, struct buf *out)
{
	const char *code = xml_str(answer->xml, "Error/Code");
	const char *text = xml_str(answer->xml, "Error/Message");

	text = text ? text : xml_str(answer->xml, "Messages/Message");
	if (text) {
		buf_addf(out, "%s%s%s", code ? code : "", code ? ": " : "", text);
	}
}

static const char *const invalid[] = { "ExpiredToken", "InvalidClientTokenId",
				       "SignatureDoesNotMatch", NULL };
/* "Rate exceeded", and a change of that zone is still being taken. */
static const char *const later[] = { "Throttling", "PriorRequestNotComplete", NULL };

extern const struct provider provider_route53;

static const struct rest_api api = {
	.provider = &provider_route53,
	.secrets = secrets,
	.secret_count = ARRAY_LEN(secrets),
	.self_size = sizeof(struct route53),
	.open = open_api,
	.close = close_api,
	.sign = sign,
	.token = get_keys,
	.zone = find_zone,
	.read = read_set,
	.write = write_sets,
	.said = said,
	.invalid = invalid,
	.later = later,
	.is_xml = true,
	.write_many = true,
	.gap_ms = GAP_MS,
};

static enum err_code route53_open(const struct provider_host *host, const struct settings *given,
				  void **instance, struct err *err)
{
	return rest_open(&api, host, given, instance, err);
}

const struct provider provider_route53 = {
	.abi = PROVIDER_ABI,
	.name = "route53",
	.summary = "Amazon Route 53",
	.privilege = "route53:ChangeResourceRecordSets and route53:ListResourceRecordSets on "
		     "arn:aws:route53:::hostedzone/ID; the first with the conditions "
		     "route53:ChangeResourceRecordSetsRecordTypes = TXT and "
		     "route53:ChangeResourceRecordSetsNormalizedRecordNames = "
		     "_acme-challenge.NAME; route53:GetChange on arn:aws:route53:::change/*; and "
		     "route53:ListHostedZonesByName unless zone and zone_id are set.",
	.example = "{ name = \"aws\";  type = \"route53\";  access_key_id = "
		   "\"AKIAIOSFODNN7EXAMPLE\";  secret_access_key_file = \"aws.secret\"; }",
	.settings = rows,
	.setting_count = ARRAY_LEN(rows),
	.unit = PROVIDER_RRSETS,
	.batch_max = 100,
	.in_sync = true,
	.environment = "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; "
		       "AWS_PROFILE and AWS_SHARED_CREDENTIALS_FILE; "
		       "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI with "
		       "AWS_CONTAINER_AUTHORIZATION_TOKEN or _TOKEN_FILE",
	.open = route53_open,
	.apply_start = rest_apply_start,
	.apply_cancel = rest_apply_cancel,
	.close = rest_close,
};

/*
 * door_acmedns: the protocol of acme-dns, for its many clients.
 *
 *   POST /register           an account for one name of an authenticated client: the name of the
 *                            path /acmedns/NAME/register, or its only granted one
 *   POST /update             publishes at the challenge of that name, or at its target
 *   GET  /health
 *   /acmedns/storage[/NAME]  goacmedns' storage: the same account each time, and nothing to do by
 *                            hand, since no CNAME is needed
 *
 * Accounts are derived from a secret of this broker, so that they can be told again without
 * being kept: the store has their digests alone. More than two values live at once, equal ones
 * count once, and each leaves when its lease ends, as there is no call to remove it.
 */
#include "claim.h"

#define PASSWORD_LEN 40
#define UUID_LEN 36
#define ACCOUNTS_MAX 100 /* of one name: the revoked ones */

struct account {
	char id[UUID_LEN + 1];
	char password[PASSWORD_LEN + 1];
};

/* ---- accounts --------------------------------------------------------------------------- */

static void derive(struct broker *broker, const char *client, const char *bound, unsigned number,
		   struct account *out)
{
	char *data = xasprintf("acmedns %u %s %s", number, client, bound);
	uint8_t mac[MAC_MAX];
	char hex[2 * 16 + 1];
	char text[BASE64URL_LEN(MAC_MAX)];

	mac_of(
		&(struct mac_input){
			.alg = MAC_SHA512,
			.secret = broker->secret,
			.secret_len = sizeof(broker->secret),
			.data = data,
			.len = strlen(data),
		},
		mac);
	mac[6] = (uint8_t)((mac[6] & 0x0f) | 0x40); /* RFC 4122 s.4.4 */
	mac[8] = (uint8_t)((mac[8] & 0x3f) | 0x80);
	hex_encode(hex, sizeof(hex), mac, 16);
	snprintf(out->id, sizeof(out->id), "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
		 hex + 16, hex + 20);
	base64url_encode(text, sizeof(text), mac + 16, 30);
	snprintf(out->password, sizeof(out->password), "%.40s", text);
	wipe(mac, sizeof(mac));
	wipe(text, sizeof(text));
	free(data);
}

static enum err_code add_account(struct broker *broker, const char *client, const char *bound,
				 const struct account *account, struct err *err)
{
	struct token_row row = { .id = (char *)(uintptr_t)account->id,
				 .client = (char *)(uintptr_t)client,
				 .kind = (char *)(uintptr_t) "acmedns",
				 .bound = (char *)(uintptr_t)bound,
				 .created_at = world_wall_s(broker->world) };
	struct err unused;

	sha256(account->password, PASSWORD_LEN, row.hash);
	/* A client of the configuration has no row of its own yet; its grant stays there. */
	if (conf_find_client(broker->generation->conf, client) &&
	    clients_add(broker->clients, client, "{}", row.created_at, &unused) == ERR_NONE) {
		log_info("%s: noted in the store for its accounts", client);
	}
	return tokens_add(broker->clients, &row, err);
}

/* The account of a name that is not revoked; make: a new one when there is none. */
static enum err_code account_of(const struct visit *visit, const char *bound, bool make,
				struct account *out, struct err *err)
{
	struct broker *broker = visit->broker;
	const char *client = visit->who->grant->name;

	for (unsigned number = 0; number < ACCOUNTS_MAX; number++) {
		struct token_row *row = NULL;
		enum err_code code;
		bool revoked;

		derive(broker, client, bound, number, out);
		code = tokens_find(broker->clients, out->id, &row, err);
		revoked = row && row->revoked_at != 0;
		token_row_free(row);
		if (code == ERR_NONE && !revoked) {
			return ERR_NONE;
		}
		if (code == ERR_NOT_FOUND && make) {
			return add_account(broker, client, bound, out, err);
		}
		if (code != ERR_NONE) {
			return code;
		}
	}
	return err_set(err, ERR_LIMIT, client, "%d accounts for \"%s\" were revoked", ACCOUNTS_MAX,
		       bound);
}

/* Where the value really goes: the client makes its CNAME lead here, or needs none. */
static void full_domain(struct visit *visit, const char *name, char out[NAME_TEXT_MAX])
{
	const struct conf_client *grant = visit->who->grant;
	const struct conf_zone *target =
		conf_target_zone(visit->who->generation->conf, grant->views.item[0]);
	struct err err;

	if (!target || policy_target(name, target->suffix, out, &err) != ERR_NONE) {
		snprintf(out, NAME_TEXT_MAX, "_acme-challenge.%.1000s", name);
	}
}

static struct json *account_json(struct visit *visit, const char *name,
				 const struct account *account)
{
	struct json *body = json_object();
	char domain[NAME_TEXT_MAX];

	full_domain(visit, name, domain);
	json_set_str(body, "username", account->id);
	json_set_str(body, "password", account->password);
	json_set_str(body, "fulldomain", domain);
	json_set_str(body, "subdomain", account->id);
	return body;
}

/* ---- register ------------------------------------------------------------------- */

/* "192.0.2.0/24" and "[2001:db8::]/32", as acme-dns takes them; an address alone is refused. */
static bool add_allowed(const struct json *list, struct buf *bound)
{
	if (list && !json_is_array(list)) {
		return false;
	}
	for (size_t i = 0; i < json_len(list); i++) {
		const char *text = json_text(json_at(list, i));
		char plain[ADDR_TEXT_MAX];
		struct network network;
		size_t len = 0;

		if (!text || strlen(text) >= sizeof(plain) || !strchr(text, '/')) {
			return false;
		}
		for (; *text; text++) {
			if (*text != '[' && *text != ']') {
				plain[len++] = *text;
			}
		}
		plain[len] = '\0';
		if (!network_parse(plain, &network)) {
			return false;
		}
		buf_addf(bound, " %s", plain);
	}
	return true;
}

/* The name that an account is for. */
struct wanted {
	const char *given; /* in the path; NULL: its only granted one */
	char *name;        /* as it may be; NULL: it may not */
	enum policy_rule rule;
};

static void wanted_clear(struct wanted *wanted)
{
	free(wanted->name);
}

static enum err_code read_wanted(struct visit *visit, struct wanted *wanted, struct err *err)
{
	const struct conf_client *grant = visit->who->grant;
	const char *view = grant->views.item[0];
	struct claim_request request = { .who = visit->who, .name = wanted->given };
	struct asked asked;

	if (!wanted->given && grant->names.count == 1 && grant->under.count == 0 &&
	    grant->names.item[0][0] != '@') {
		request.name = grant->names.item[0];
	}
	if (!request.name) {
		return err_set(err, ERR_USAGE, grant->name,
			       "say for which name: register at /acmedns/NAME/register");
	}
	if (claim_read_names(&request, view, &asked, err) != ERR_NONE) {
		return err->code;
	}
	wanted->rule = claim_judge_asked(&request, &asked, view, err);
	if (wanted->rule != POLICY_GRANTED) {
		return err->code;
	}
	wanted->name = xstrdup(asked.name);
	return ERR_NONE;
}

static void audit_account(struct visit *visit, const char *action, const struct wanted *wanted,
			  const struct err *err)
{
	audit_write(visit->broker, &(struct audit){
					   .door = "acmedns",
					   .action = action,
					   .who = visit->who,
					   .name = wanted->name ? wanted->name : wanted->given,
					   .verdict = err ? "refused" : "granted",
					   .reason = !err ? NULL
						     : wanted->rule != POLICY_GRANTED
							     ? policy_rule_name(wanted->rule)
							     : err_code_name(err->code),
					   .text = err ? err->text : NULL,
				   });
}

static void do_register(struct visit *visit, const char *path_name)
{
	const char *text = visit->request->body;
	bool empty = text[strspn(text, " \r\n\t")] == '\0' || strncmp(text, "null", 4) == 0;
	struct wanted wanted = { .given = path_name };
	struct buf bound = BUF_INIT(4096);
	struct json *body = NULL, *answer;
	struct account account;
	struct err err;

	if (!empty && json_parse(text, visit->request->body_len, &body, &err) != ERR_NONE) {
		audit_account(visit, "register", &wanted, &err);
		answer_error_text(visit->broker, visit->exchange, 400, "malformed_json_payload");
		goto out;
	}
	if (read_wanted(visit, &wanted, &err) != ERR_NONE) {
		audit_account(visit, "register", &wanted, &err);
		answer_error_text(visit->broker, visit->exchange,
				  wanted.rule != POLICY_GRANTED ? 403 : 400, err.text);
		goto out;
	}
	buf_add_str(&bound, wanted.name);
	if (!add_allowed(json_get(body, "allowfrom"), &bound) || bound.overflow) {
		answer_error_text(visit->broker, visit->exchange, 400, "invalid_allowfrom_cidr");
		goto out;
	}
	if (account_of(visit, buf_str(&bound), true, &account, &err) != ERR_NONE) {
		audit_account(visit, "register", &wanted, &err);
		answer_error_text(visit->broker, visit->exchange,
				  status_of_err(POLICY_GRANTED, &err), err.text);
		goto out;
	}
	audit_account(visit, "register", &wanted, NULL);
	answer = account_json(visit, wanted.name, &account);
	json_set(answer, "allowfrom",
		 json_get(body, "allowfrom") ? json_copy(json_get(body, "allowfrom"))
					     : json_array());
	answer_json(visit->broker, visit->exchange, 201, answer);
out:
	wipe(&account, sizeof(account));
	json_free(body);
	buf_clear(&bound);
	wanted_clear(&wanted);
}

/* ---- storage -------------------------------------------------------------------- */

static void answer_all(struct visit *visit)
{
	struct json *map = json_object();
	struct account account;
	struct err err;

	for (size_t i = 0; i < visit->who->grant->names.count; i++) {
		const char *granted = visit->who->grant->names.item[i];

		if (account_of(visit, granted, false, &account, &err) == ERR_NONE) {
			json_set(map, granted, account_json(visit, granted, &account));
		}
	}
	wipe(&account, sizeof(account));
	answer_json(visit->broker, visit->exchange, 200, map);
}

static void serve_storage(struct visit *visit, const char *path_name)
{
	struct wanted wanted = { .given = path_name };
	struct account account;
	struct err err;

	if (!path_name) {
		audit_account(visit, "storage", &wanted, NULL);
		answer_all(visit);
		return;
	}
	if (read_wanted(visit, &wanted, &err) != ERR_NONE) {
		audit_account(visit, "storage", &wanted, &err);
		answer_error_text(visit->broker, visit->exchange,
				  wanted.rule != POLICY_GRANTED ? 403 : 400, err.text);
		return;
	}
	audit_account(visit, "storage", &wanted, NULL);
	if (strcmp(visit->request->method, "POST") == 0) {
		/* 201: "the CNAME is there", which none has to be. */
		answer_json(visit->broker, visit->exchange, 201, json_object());
	} else if (account_of(visit, wanted.name, false, &account, &err) == ERR_NONE) {
		answer_json(visit->broker, visit->exchange, 200,
			    account_json(visit, wanted.name, &account));
	} else {
		answer_error_text(visit->broker, visit->exchange, 404, "not registered");
	}
	wipe(&account, sizeof(account));
	wanted_clear(&wanted);
}

/* ---- update --------------------------------------------------------------------- */

static void forbid(struct visit *visit, const struct err *err)
{
	audit_unknown(visit, "acmedns", err);
	answer_error_text(visit->broker, visit->exchange, 401, "forbidden");
}

static void do_update(struct visit *visit)
{
	const char *user = visit_header(visit, "x-api-user");
	const char *subdomain, *txt;
	struct json *body = NULL, *echo;
	struct err err;

	if (json_parse(visit->request->body, visit->request->body_len, &body, &err) != ERR_NONE) {
		forbid(visit, &err);
		return;
	}
	subdomain = json_str(body, "subdomain");
	txt = json_str(body, "txt");
	if (!visit->who->bound || !user || !subdomain || strcmp(subdomain, user) != 0) {
		err_set(&err, ERR_DENIED, visit->who->grant->name,
			"the subdomain is not that of the account");
		forbid(visit, &err);
	} else if (!txt || strlen(txt) != POLICY_VALUE_LEN || !base64url_is(txt, strlen(txt))) {
		err_set(&err, ERR_USAGE, "", "txt is no 43 characters of base64url");
		audit_nonsense(visit, "acmedns", "publish", &err);
		answer_error_text(visit->broker, visit->exchange, 400, "bad_txt");
	} else {
		echo = json_object();
		json_set_str(echo, "txt", txt);
		single_begin(visit,
			     &(struct claim_request){
				     .door = "acmedns", .name = visit->who->bound, .value = txt },
			     echo);
	}
	json_free(body);
}

/* ---- paths ---------------------------------------------------------------------- */

struct place {
	char name[NAME_TEXT_MAX]; /* "" without one */
	const char *what;         /* "register", "update", "health", "storage" */
};

/* /register, /acmedns/register, /acmedns/NAME/register, /acmedns/storage/NAME */
static bool read_path(const char *path, struct place *out)
{
	static const char *const verbs[] = { "register", "update", "health" };
	const char *last = strrchr(path, '/');
	const char *rest = path + strlen("/acmedns");

	out->name[0] = '\0';
	out->what = NULL;
	if (strncmp(path, "/acmedns/storage", 16) == 0 && (path[16] == '\0' || path[16] == '/')) {
		out->what = "storage";
		snprintf(out->name, sizeof(out->name), "%.1000s", path[16] ? path + 17 : "");
		return strchr(out->name, '/') == NULL;
	}
	for (size_t i = 0; last && i < ARRAY_LEN(verbs); i++) {
		out->what = strcmp(last + 1, verbs[i]) == 0 ? verbs[i] : out->what;
	}
	if (!out->what || last == path) {
		return out->what != NULL;
	}
	if (strncmp(path, "/acmedns", 8) != 0 || last < rest) {
		return false;
	}
	snprintf(out->name, sizeof(out->name), "%.*s", (int)(last > rest ? last - rest - 1 : 0),
		 last > rest ? rest + 1 : "");
	return strchr(out->name, '/') == NULL;
}

bool door_acmedns(struct visit *visit)
{
	struct place place;
	struct err err;

	if (!read_path(visit->request->path, &place)) {
		return false;
	}
	if (strcmp(place.what, "health") == 0) {
		answer_text(visit->broker, visit->exchange, 200, "text/plain", "");
	} else if (!visit_identify_account(visit, &err)) {
		forbid(visit, &err);
	} else if (strcmp(place.what, "storage") == 0) {
		serve_storage(visit, place.name[0] ? place.name : NULL);
	} else if (strcmp(visit->request->method, "POST") != 0) {
		answer_error_text(visit->broker, visit->exchange, 405, "this is for POST");
	} else if (strcmp(place.what, "register") == 0) {
		do_register(visit, place.name[0] ? place.name : NULL);
	} else {
		do_update(visit);
	}
	return true;
}

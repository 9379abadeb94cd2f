/*
 * httpreq: the protocol of lego's httpreq and of acmeproxy, for whoever serves it: dns01 serve, an
 * acmeproxy, or a script of one's own. POST ENDPOINT/present and /cleanup, any 2xx is success.
 */
#include "dns01/provider.h"

#include "dns01/rest.h"

static const struct setting rows[] = {
	{
		.name = "endpoint",
		.type = SETTING_URL,
		.choices = "http://",
		.required = true,
		.help = "URL under which present and cleanup are; http:// to loopback alone.",
	},
	{
		.name = "username",
		.type = SETTING_STRING,
		.help = "User of HTTP Basic authentication; goes with password_file.",
	},
	REST_ROWS_SECRET("password", "the password"),
	REST_ROW_CA_FILE,
	REST_ROW_TIMEOUT,
};

static const struct rest_secret secrets[] = { { .name = "password" } };

static enum err_code open_api(struct rest *rest, struct err *err)
{
	bool password =
		rest_setting(rest, "password_file") || rest_setting(rest, "password_command");

	if (!rest_setting(rest, "username") != !password) {
		return err_set(err, ERR_CONFIG, "httpreq",
			       "username and password_file go together; write both or none");
	}
	rest_account_is(rest, "user", rest_setting(rest, "username"));
	return ERR_NONE;
}

/* RFC 7617 */
static enum err_code sign(struct rest *rest, struct rest_request *request, struct err *err)
{
	const char *user = rest_setting(rest, "username");
	char *plain, *encoded;

	(void)err;
	if (user) {
		plain = xasprintf("%s:%s", user, rest_secret(rest, "password"));
		encoded = base64_encode(plain, strlen(plain));
		rest_hide(rest, encoded);
		rest_request_header(request, "Authorization", "Basic %s", encoded);
		wipe_str(plain);
		wipe_str(encoded);
	}
	return ERR_NONE;
}

static enum rest_next post(struct rest_walk *walk, const char *path,
			   const struct rest_answer *answer)
{
	struct json *body;
	char *fqdn;

	if (answer) {
		return REST_DONE;
	}
	body = json_object();
	fqdn = xasprintf("%s.", walk->set->owner);
	json_set_str(body, "fqdn", fqdn);
	json_set_str(body, "value", walk->value->text);
	free(fqdn);
	rest_ask(walk, "POST", body, "/%s", path);
	rest_accept_plain(walk);
	return REST_SEND;
}

static enum rest_next create(struct rest_walk *walk, const struct rest_answer *answer)
{
	return post(walk, "present", answer);
}

static enum rest_next remove_value(struct rest_walk *walk, const struct rest_answer *answer)
{
	return post(walk, "cleanup", answer);
}

extern const struct provider provider_httpreq;

static const struct rest_api api = {
	.provider = &provider_httpreq,
	.secrets = secrets,
	.secret_count = ARRAY_LEN(secrets),
	.open = open_api,
	.sign = sign,
	.create = create,
	.remove = remove_value,
};

static enum err_code httpreq_open(const struct provider_host *host, const struct settings *given,
				  void **instance, struct err *err)
{
	return rest_open(&api, host, given, instance, err);
}

const struct provider provider_httpreq = {
	.abi = PROVIDER_ABI,
	.name = "httpreq",
	.summary = "the HTTP protocol of lego's httpreq and acmeproxy",
	.privilege = "A user of that service who may publish these names alone.",
	.example = "{ name = \"proxy\";  type = \"httpreq\";  endpoint = "
		   "\"https://acmeproxy.example.com\";  username = \"web\";  password_file = "
		   "\"acmeproxy.password\"; }",
	.settings = rows,
	.setting_count = ARRAY_LEN(rows),
	.unit = PROVIDER_VALUES,
	.open = httpreq_open,
	.apply_start = rest_apply_start,
	.apply_cancel = rest_apply_cancel,
	.close = rest_close,
};

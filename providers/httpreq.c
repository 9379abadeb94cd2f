/*
 * httpreq: the protocol of lego's httpreq and of acmeproxy, for whoever serves it: dns01 serve, an
 * acmeproxy, or a script of one's own. POST ENDPOINT/present and /cleanup, any 2xx is success.
 */
#include "dns01/provider.h"

#include "dns01/rest.h"

#define PASSWORD_MAX 1024

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
	{
		.name = "password_file",
		.type = SETTING_FILE,
		.secret = true,
		.help = "File with the password.",
	},
	{
		.name = "ca_file",
		.type = SETTING_FILE,
		.help = "Root certificates in PEM in place of the system's.",
	},
};

struct httpreq {
	const struct provider_host *host;
	char *endpoint, *ca_file, *authorization;
};

static void httpreq_close(void *instance)
{
	struct httpreq *self = instance;

	if (self) {
		free(self->endpoint);
		free(self->ca_file);
		wipe_str(self->authorization);
		free(self);
	}
}

static const char *setting_text(const struct settings *given, const char *name)
{
	return settings_get(given, rows, ARRAY_LEN(rows), name);
}

/* RFC 7617; gives. */
static char *basic(const char *user, const char *password)
{
	char *plain = xasprintf("%s:%s", user, password);
	char *encoded = base64_encode(plain, strlen(plain));
	char *header = xasprintf("Basic %s", encoded);

	wipe_str(plain);
	wipe_str(encoded);
	return header;
}

static enum err_code read_password(struct httpreq *self, const struct settings *given,
				   struct err *err)
{
	const char *user = setting_text(given, "username");
	const char *path = setting_text(given, "password_file");
	struct buf text;
	enum err_code code;

	if (!user != !path) {
		return err_set(err, ERR_CONFIG, "httpreq",
			       "username and password_file go together; write both or none");
	}
	if (!path) {
		return ERR_NONE;
	}
	code = file_read_secret(path, PASSWORD_MAX, &text, err);
	if (code == ERR_NONE) {
		text.data[strcspn(buf_str(&text), "\r\n")] = '\0';
		self->authorization = basic(user, buf_str(&text));
	}
	buf_wipe(&text);
	return code;
}

static enum err_code httpreq_open(const struct provider_host *host, const struct settings *given,
				  void **instance, struct err *err)
{
	struct httpreq *self = xcalloc(1, sizeof(*self));
	size_t len;

	self->host = host;
	self->endpoint = xstrdup(setting_text(given, "endpoint"));
	self->ca_file = xstrdup(setting_text(given, "ca_file"));
	len = strlen(self->endpoint);
	while (len > 0 && self->endpoint[len - 1] == '/') {
		self->endpoint[--len] = '\0';
	}
	if (read_password(self, given, err) != ERR_NONE) {
		httpreq_close(self);
		return err->code;
	}
	*instance = self;
	return ERR_NONE;
}

static bool build(void *instance, const struct provider_change *change,
		  struct rest_request *request)
{
	struct httpreq *self = instance;
	struct json *body = json_object();
	char *fqdn = xasprintf("%s.", change->owner);

	json_set_str(body, "fqdn", fqdn);
	json_set_str(body, "value", change->value);
	request->body = json_dump(body);
	request->url = xasprintf("%s/%s", self->endpoint, change->publish ? "present" : "cleanup");
	request->headers[0] = (struct http_header){ "Content-Type", "application/json" };
	request->headers[1] = (struct http_header){ "Authorization", self->authorization };
	request->header_count = self->authorization ? 2 : 1;
	free(fqdn);
	json_free(body);
	return true;
}

static enum err_code judge(void *instance, const struct provider_change *change,
			   const struct http_response *response, struct err *err)
{
	struct httpreq *self = instance;

	if (response->status >= 200 && response->status < 300) {
		return ERR_NONE;
	}
	rest_refusal(response, err);
	return err_subject(err, "%s at %s", change->owner, self->endpoint);
}

static void *httpreq_apply_start(void *instance, const struct provider_batch *batch,
				 provider_done *done, void *arg)
{
	static const struct rest_ops ops = { build, judge };
	struct httpreq *self = instance;

	return rest_each_start(&(struct rest_each_args){ .host = self->host,
							 .ops = &ops,
							 .instance = self,
							 .batch = batch,
							 .ca_file = self->ca_file },
			       done, arg);
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
	.open = httpreq_open,
	.apply_start = httpreq_apply_start,
	.apply_cancel = rest_each_cancel,
	.close = httpreq_close,
};

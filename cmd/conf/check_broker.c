/* What must hold for listeners, clients, and the brokers of a client. */
#include "check.h"

static bool is_door(const struct conf_listener *listener, const char *door)
{
	return strlist_has(&listener->doors, door);
}

static bool is_loopback(const char *address)
{
	return strncmp(address, "127.", 4) == 0 || strncmp(address, "[::1]", 5) == 0;
}

/* Tokens do not cross a network in clear text. */
static enum err_code check_plain(const struct subject *subject,
				 const struct conf_listener *listener)
{
	bool only_metrics = listener->doors.count == 1 && is_door(listener, "metrics");

	if (listener->http != NULL && !only_metrics && !is_loopback(listener->http)) {
		return check_refuse(
			subject, "http", NULL,
			"plain HTTP on an address of the network is for the door \"metrics\" "
			"alone; write https, or a loopback address");
	}
	return ERR_NONE;
}

static enum err_code check_tls(const struct subject *subject, const struct conf_listener *listener)
{
	const char *certificate = listener->certificate;

	if (listener->https == NULL) {
		const char *odd = certificate                        ? "certificate"
				  : listener->cert_file              ? "cert_file"
				  : listener->client_ca_file != NULL ? "client_ca_file"
								     : NULL;

		return odd == NULL ? ERR_NONE
				   : check_refuse(subject, odd, NULL, "it belongs to https alone");
	}
	if (certificate != NULL && conf_find_certificate(subject->conf, certificate) == NULL) {
		return check_refuse_reference(subject, "certificate", certificate,
					      schema_list("certificates"));
	}
	if ((listener->cert_file == NULL) != (listener->key_file == NULL)) {
		return check_refuse(subject, listener->cert_file ? "cert_file" : "key_file", NULL,
				    "cert_file and key_file go together; write both or none");
	}
	if ((certificate == NULL) == (listener->cert_file == NULL)) {
		return check_refuse(
			subject, "https", NULL,
			"it needs a certificate: write certificate = \"NAME\", or cert_file "
			"and key_file");
	}
	return ERR_NONE;
}

enum err_code check_listener(const struct subject *subject, conf_provider_rows *rows)
{
	const struct conf_listener *listener = subject->base;
	int places = (listener->unix_path != NULL) + (listener->https != NULL) +
		     (listener->dns != NULL) + (listener->http != NULL);

	(void)rows;
	if (places != 1) {
		return check_refuse(
			subject, "unix", NULL,
			"a listener has exactly one of unix, https, dns and http, this one %d",
			places);
	}
	if ((listener->dns != NULL) != is_door(listener, "update") ||
	    (listener->dns != NULL && listener->doors.count > 1)) {
		return check_refuse(subject, "doors", NULL,
				    "the door \"update\" is on a dns listener, which has no other");
	}
	if (check_plain(subject, listener) != ERR_NONE) {
		return ERR_CONFIG;
	}
	return check_tls(subject, listener);
}

static enum err_code check_proof(const struct subject *subject, const struct conf_client *client)
{
	const struct {
		const char *auth, *setting;
		bool given;
	} proofs[] = {
		{ "token", "token_sha256", client->token_sha256.count > 0 },
		{ "tsig", "tsig_key_file", client->tsig_key_file != NULL },
		{ "mtls", "certificate_names", client->certificate_names.count > 0 },
		{ "unix", "user", client->user != NULL },
		{ "unix", "group", client->group != NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(proofs); i++) {
		if (proofs[i].given && strcmp(proofs[i].auth, client->auth) != 0) {
			return check_refuse(subject, proofs[i].setting, NULL,
					    "it belongs to auth = \"%s\", this client's is \"%s\"",
					    proofs[i].auth, client->auth);
		}
	}
	if (strcmp(client->auth, "unix") == 0 && client->user == NULL && client->group == NULL) {
		return check_refuse(subject, "auth", NULL,
				    "\"unix\" needs user or group beside it");
	}
	if (strcmp(client->auth, "network") == 0 && client->networks.count == 0) {
		return check_refuse(subject, "auth", NULL, "\"network\" needs networks beside it");
	}
	return ERR_NONE;
}

enum err_code check_client(const struct subject *subject, conf_provider_rows *rows)
{
	const struct conf_client *client = subject->base;
	enum err_code code = check_proof(subject, client);
	bool reads = strcmp(client->role, "read") == 0;

	(void)rows;
	/* who only reads publishes in no view */
	for (size_t i = 0; i < client->views.count && code == ERR_NONE && !reads; i++) {
		code = check_view(subject, "views", client->views.item[i]);
	}
	if (code == ERR_NONE && strlist_has(&client->names, "@san") &&
	    strcmp(client->auth, "mtls") != 0) {
		code = check_refuse(subject, "names", NULL, "\"@san\" needs auth = \"mtls\"");
	}
	return code;
}

enum err_code check_broker(const struct subject *subject, conf_provider_rows *rows)
{
	const struct conf_broker *broker = subject->base;

	(void)rows;
	if ((broker->cert_file == NULL) != (broker->key_file == NULL)) {
		return check_refuse(subject, broker->cert_file ? "cert_file" : "key_file", NULL,
				    "cert_file and key_file go together; write both or none");
	}
	return ERR_NONE;
}

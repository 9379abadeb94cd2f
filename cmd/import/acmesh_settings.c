/* acme.sh's settings of a certificate: its names, how each is proved, which key, which commands. */
#include "acmesh.h"

#define BASE64_START "__ACME_BASE64__START_"
#define BASE64_END "__ACME_BASE64__END_"
#define VALUE_MAX (64 * 1024)

/* ---- values ------------------------------------------------------------------------ */

char *acmesh_value(const struct pairs *pairs, const char *key)
{
	const char *text = pairs_get(pairs, "", key);
	size_t start = strlen(BASE64_START), end = strlen(BASE64_END), len;
	uint8_t *octets;
	char *value = NULL;

	if (!text || !text[0] || strcmp(text, "no") == 0) {
		return NULL;
	}
	if (strncmp(text, BASE64_START, start) != 0 || !theirs_has_suffix(text, BASE64_END) ||
	    strlen(text) < start + end) {
		return xstrdup(text);
	}
	octets = xmalloc(VALUE_MAX);
	if (base64_decode_any(text + start, strlen(text) - start - end, octets, VALUE_MAX, &len) &&
	    len > 0 && !memchr(octets, '\0', len)) {
		value = xstrndup((const char *)octets, len);
	}
	wipe_free(octets, VALUE_MAX);
	return value;
}

/* The items of a list with commas; an empty item stays in its place. */
static void split(const char *text, struct strlist *out)
{
	size_t len;

	for (const char *at = text; out->count < ACME_NAMES_MAX; at += len + 1) {
		len = strcspn(at, ",");
		strlist_take(out, xstrndup(at, len));
		if (!at[len]) {
			break;
		}
	}
}

/* ---- providers --------------------------------------------------------------------- */

/* What a plugin saved, or what people exported into account.conf. */
static const char *saved(const struct acmesh *acmesh, const char *name)
{
	char *key = xasprintf("SAVED_%s", name);
	const char *value = pairs_get(&acmesh->account, "", key);

	free(key);
	if (!value || !value[0]) {
		value = pairs_get(&acmesh->account, "", name);
	}
	return value && value[0] ? value : NULL;
}

static char *read_tsig(const char *path, bool *sha1, struct err *err)
{
	struct buf text;
	char *key = NULL;

	if (theirs_read(path, KEY_PEM_MAX, &text, err) != ERR_NONE) {
		return NULL;
	}
	key = foreign_tsig_file(buf_str(&text), path, sha1, err);
	buf_wipe(&text);
	return key;
}

static size_t read_nsupdate(struct domain *domain, struct err *err)
{
	const struct acmesh *acmesh = domain->acmesh;
	const char *server = saved(acmesh, "NSUPDATE_SERVER");
	const char *port = saved(acmesh, "NSUPDATE_SERVER_PORT");
	const char *path = saved(acmesh, "NSUPDATE_KEY");
	struct foreign_rfc2136 from = { .server = server, .source = "NSUPDATE_SERVER" };
	uint64_t number = 53;

	if (!server || strcmp(server, "localhost") == 0) {
		from.server = "127.0.0.1"; /* its default */
	}
	if (port && !text_parse_u64(port, 65535, &number)) {
		err_set(err, ERR_CONFIG, "NSUPDATE_SERVER_PORT", "is no port");
		return FOUND_NONE;
	}
	from.port = (uint16_t)number;
	if (path) {
		from.key = read_tsig(path, &from.sha1, err);
		if (!from.key) {
			return FOUND_NONE;
		}
	}
	return foreign_add_rfc2136(domain->import, &from, err);
}

/* Read once: the settings are acme.sh's own, not the certificate's. */
static size_t nsupdate_of(struct domain *domain, char **why)
{
	struct acmesh *acmesh = domain->acmesh;
	struct err err;

	if (!acmesh->nsupdate_read) {
		acmesh->nsupdate_read = true;
		acmesh->nsupdate = read_nsupdate(domain, &err);
		if (acmesh->nsupdate == FOUND_NONE) {
			acmesh->why = foreign_failed(&err);
		}
	}
	*why = xstrdup(acmesh->why);
	return acmesh->nsupdate;
}

/* A plugin may save its settings for one certificate, or for all. */
static const char *saved_value(const void *arg, const char *key)
{
	const struct domain *domain = arg;
	const char *value = pairs_get(&domain->pairs, "", key);

	return value && value[0] ? value : saved(domain->acmesh, key);
}

/* method: an item of Le_Webroot. FOUND_NONE: why (gives). */
static size_t provider_of(struct domain *domain, const char *method, char **why)
{
	char *advice;

	if (strcmp(method, "dns_nsupdate") == 0) {
		return nsupdate_of(domain, why);
	}
	if (foreign_is_known(FOREIGN_ACME_SH, method)) {
		return foreign_add(domain->import,
				   &(struct foreign_plugin){
					   .client = FOREIGN_ACME_SH,
					   .name = method,
					   .get = saved_value,
					   .arg = domain,
					   .source = "what acme.sh saved",
				   },
				   why);
	}
	if (strncmp(method, "dns_", 4) == 0) {
		advice = foreign_advice(FOREIGN_ACME_SH, method);
		*why = xasprintf("the plugin %s: %s", method, advice);
		free(advice);
	} else if (strcmp(method, "dns") == 0) {
		*why = xstrdup("its records were made by hand: it needs a provider and a zone for "
			       "the names");
	} else {
		*why = xasprintf("names were proved by HTTP or TLS (%s); dns01 proves them by DNS "
				 "alone and needs a provider and a zone for the names",
				 strcmp(method, "no") == 0 ? "standalone" : method);
	}
	return FOUND_NONE;
}

/* ---- names ------------------------------------------------------------------------- */

void acmesh_names(struct domain *domain)
{
	char *first = acmesh_value(&domain->pairs, "Le_Domain");
	char *others = acmesh_value(&domain->pairs, "Le_Alt");

	if (first) {
		strlist_add(&domain->names, first);
	}
	if (others) {
		split(others, &domain->names);
	}
	free(first);
	free(others);
}

/* "=NAME" is the owner name itself, "NAME" stands for _acme-challenge.NAME; gives or NULL. */
static char *alias_of(struct domain *domain, const char *item)
{
	char owner[NAME_TEXT_MAX], base[NAME_TEXT_MAX];
	bool whole = item[0] == '=';

	if (!item[0] || strcmp(item, "no") == 0) {
		return NULL;
	}
	if (name_parse(item + whole, base, NULL) != ERR_NONE ||
	    (!whole && name_challenge(base, owner, NULL) != ERR_NONE)) {
		import_say(domain->import, IMPORT_LEFT, domain->subject,
			   "the challenge alias \"%s\" is no name; set alias of its zone", item);
		return NULL;
	}
	return xstrdup(whole ? base : owner);
}

static const char *item_at(const struct strlist *list, size_t index)
{
	return index < list->count ? list->item[index] : "";
}

static void add_name(struct domain *domain, struct found_certificate *certificate, const char *name,
		     const char *method, const char *target)
{
	const char *zone = saved(domain->acmesh, "NSUPDATE_ZONE");
	char canonical[NAME_TEXT_MAX];
	char *why = NULL;
	size_t provider = provider_of(domain, method, &why);
	struct found_name *item = found_add_name(certificate, name, provider);

	if (!item) {
		import_say(domain->import, IMPORT_LEFT, domain->subject, "\"%s\" is no DNS name",
			   name);
		free(why);
		return;
	}
	item->why = why;
	item->alias = provider != FOUND_NONE ? alias_of(domain, target) : NULL;
	if (zone && provider != FOUND_NONE && name_parse(zone, canonical, NULL) == ERR_NONE) {
		item->zone = xstrdup(canonical);
	}
}

/* The method and the alias of each name, by its place; the last one that is said holds on. */
static void read_methods(struct domain *domain, struct found_certificate *certificate)
{
	const char *webroot = pairs_get(&domain->pairs, "", "Le_Webroot");
	char *alias = acmesh_value(&domain->pairs, "Le_ChallengeAlias");
	const char *method = "no", *target = "";
	struct strlist methods = { 0 }, targets = { 0 };

	split(webroot ? webroot : "no", &methods);
	split(alias ? alias : "", &targets);
	for (size_t i = 0; i < domain->names.count; i++) {
		method = item_at(&methods, i)[0] ? item_at(&methods, i) : method;
		target = item_at(&targets, i)[0] ? item_at(&targets, i) : target;
		add_name(domain, certificate, domain->names.item[i], method, target);
	}
	strlist_clear(&methods);
	strlist_clear(&targets);
	free(alias);
}

/* ---- settings ---------------------------------------------------------------------- */

/* "2048", "ec-256"; an old version's nothing is 2048. */
static bool parse_length(const char *text, enum key_type *out)
{
	static const struct {
		const char *length;
		enum key_type type;
	} lengths[] = { { "", KEY_RSA2048 },     { "2048", KEY_RSA2048 }, { "3072", KEY_RSA3072 },
			{ "4096", KEY_RSA4096 }, { "ec-256", KEY_P256 },  { "ec-384", KEY_P384 } };

	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		if (strcmp(lengths[i].length, text) == 0) {
			*out = lengths[i].type;
			return true;
		}
	}
	return false;
}

static void read_key_type(struct domain *domain, struct found_certificate *certificate)
{
	const char *length = pairs_get(&domain->pairs, "", "Le_Keylength");
	bool ecc = theirs_has_suffix(domain->folder, ACMESH_ECC);

	certificate->key_type = ecc ? KEY_P256 : KEY_RSA2048;
	if (length && !parse_length(length, &certificate->key_type)) {
		certificate->key_type = ecc ? KEY_P384 : KEY_RSA4096;
		import_say(domain->import, IMPORT_LEFT, domain->subject,
			   "a key of type %s: the next renewal makes one of type %s", length,
			   key_type_name(certificate->key_type));
	}
}

/* Commands that count on what acme.sh exports to them would find it empty. */
static void add_command(struct domain *domain, struct found_certificate *certificate,
			const char *key)
{
	static const char *const exported[] = { "CERT_PATH", "CERT_KEY_PATH", "CA_CERT_PATH",
						"CERT_FULLCHAIN_PATH", "Le_" };
	char *line = acmesh_value(&domain->pairs, key);

	if (!line) {
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(exported); i++) {
		if (strstr(line, exported[i])) {
			import_say(
				domain->import, IMPORT_LEFT, domain->subject,
				"%s (%s) uses $%s, which only acme.sh sets: add it to deploy with "
				"the files in $RENEWED_LINEAGE",
				key, line, exported[i]);
			free(line);
			return;
		}
	}
	found_add_command(certificate, line);
	free(line);
}

static void say_unmatched(struct domain *domain)
{
	static const struct {
		const char *key, *advice;
	} rows[] = {
		{ "Le_PreHook", "dns01 stops no server; what has to be done with a new certificate "
				"goes into deploy" },
		{ "Le_PostHook", "what has to be done with a new certificate goes into deploy" },
		{ "Le_DeployHook", "contrib/deploy has commands for deploy that do the same" },
		{ "Le_RenewalDays", "the CA's suggestion and the certificate's life decide; or set "
				    "renew_before" },
		{ "Le_DNSSleep", "it is not needed: every name server is watched" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *value = acmesh_value(&domain->pairs, rows[i].key);

		if (value) {
			import_say(domain->import, IMPORT_LEFT, domain->subject, "%s (%s): %s",
				   rows[i].key, value, rows[i].advice);
		}
		free(value);
	}
}

/* Where acme.sh copied the files to: as it does, into the file that is there, so that its owner
 * and mode stay. A key's file that is new is private. */
static void copy_to(struct found_certificate *certificate, const char *file, const char *path)
{
	char *line = xasprintf("umask %s; cat \"$RENEWED_LINEAGE/%s\" >\"$1\"",
			       strcmp(file, "privkey.pem") == 0 ? "077" : "022", file);
	const char *const argv[] = { "/bin/sh", "-c", line, "sh", path, NULL };

	found_add_argv(certificate, argv);
	free(line);
}

static void add_copies(struct domain *domain, struct found_certificate *certificate)
{
	static const struct {
		const char *key, *file;
	} rows[] = { { "Le_RealCertPath", "cert.pem" },
		     { "Le_RealCACertPath", "chain.pem" },
		     { "Le_RealKeyPath", "privkey.pem" },
		     { "Le_RealFullChainPath", "fullchain.pem" } };
	char *cert = acmesh_value(&domain->pairs, "Le_RealCertPath");

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *path = acmesh_value(&domain->pairs, rows[i].key);
		/* The issuers in the leaf's own file stand behind it. */
		bool both = i == 1 && path && cert && strcmp(path, cert) == 0;

		if (path) {
			copy_to(certificate, both ? "fullchain.pem" : rows[i].file, path);
		}
		free(path);
	}
	free(cert);
}

void acmesh_settings(struct domain *domain, struct found_certificate *certificate)
{
	read_methods(domain, certificate);
	read_key_type(domain, certificate);
	certificate->profile = acmesh_value(&domain->pairs, "Le_Certificate_Profile");
	certificate->chain_name = acmesh_value(&domain->pairs, "Le_Preferred_Chain");
	add_copies(domain, certificate);
	add_command(domain, certificate, "Le_ReloadCmd");
	add_command(domain, certificate, "Le_RenewHook");
	say_unmatched(domain);
	if (domain->pairs.odd_line > 0) {
		import_say(domain->import, IMPORT_LEFT, domain->subject,
			   "line %zu of its .conf is more than KEY='value', and was not run",
			   domain->pairs.odd_line);
	}
}

#include "source.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define RESOLV_CONF_MAX (64 * 1024)

static bool add_resolver(struct dns_source *source, const struct addr *addr)
{
	if (source->resolver_count >= SOURCE_MAX) {
		return false;
	}
	source->resolver = xreallocarray(source->resolver, source->resolver_count + 1,
					 sizeof(*source->resolver));
	source->resolver[source->resolver_count++] = *addr;
	return true;
}

static bool add_doh(struct dns_source *source, const char *url)
{
	if (source->doh_count >= SOURCE_MAX) {
		return false;
	}
	source->doh_url =
		xreallocarray(source->doh_url, source->doh_count + 1, sizeof(*source->doh_url));
	source->doh_url[source->doh_count++] = xstrdup(url);
	return true;
}

void dns_source_clear(struct dns_source *source)
{
	for (size_t i = 0; i < source->doh_count; i++) {
		free(source->doh_url[i]);
	}
	free(source->doh_url);
	free(source->resolver);
	memset(source, 0, sizeof(*source));
}

/* "nameserver", blanks, an address, and whatever follows it. */
static void parse_line(const char *line, size_t len, struct dns_source *out)
{
	static const char keyword[] = "nameserver";
	size_t skip = sizeof(keyword) - 1;
	struct addr addr;
	char *text;

	if (len <= skip || strncmp(line, keyword, skip) != 0 || !strchr(" \t", line[skip])) {
		return;
	}
	line += skip;
	line += strspn(line, " \t");
	text = xstrndup(line, strcspn(line, " \t\r\n#;"));
	if (!addr_parse(text, DNS_PORT, &addr)) {
		char shown[ADDR_TEXT_MAX];

		text_escape(shown, sizeof(shown), text, strlen(text));
		log_warn("%s: the name server '%s' is not an address dns01 can use", RESOLV_CONF,
			 shown);
	} else if (!add_resolver(out, &addr)) {
		log_info("%s: only the first %d name servers are used", RESOLV_CONF, SOURCE_MAX);
	}
	free(text);
}

void source_parse_resolv_conf(const char *text, struct dns_source *out)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		parse_line(text, len, out);
		text += len + (text[len] == '\n');
	}
}

static enum err_code read_resolv_conf(struct dns_source *out, struct err *err)
{
	struct buf text;
	enum err_code rc = file_read(RESOLV_CONF, RESOLV_CONF_MAX, &text, err);

	if (rc != ERR_NONE) {
		return rc;
	}
	source_parse_resolv_conf(buf_str(&text), out);
	buf_clear(&text);
	if (out->resolver_count == 0) {
		return err_set(err, ERR_CONFIG, RESOLV_CONF,
			       "it names no name server, so zones cannot be looked up; name one in "
			       "the `resolvers` setting");
	}
	return ERR_NONE;
}

static enum err_code add_text(struct dns_source *source, const char *text, struct err *err)
{
	struct addr addr;
	bool fits;

	if (strncmp(text, "https://", 8) == 0 && text[8]) {
		fits = add_doh(source, text);
	} else if (addr_parse(text, DNS_PORT, &addr)) {
		fits = add_resolver(source, &addr);
	} else {
		return err_set(err, ERR_CONFIG, text,
			       "a resolver is an address (192.0.2.1, [2001:db8::1]:5353) or a DoH "
			       "URL (https://...)");
	}
	if (!fits) {
		return err_set(err, ERR_LIMIT, text, "at most %d resolvers are asked", SOURCE_MAX);
	}
	return ERR_NONE;
}

enum err_code dns_source_parse(const struct strlist *resolvers, struct dns_source *out,
			       struct err *err)
{
	struct dns_source source = { 0 };
	enum err_code rc = ERR_NONE;

	if (resolvers->count == 0) {
		rc = read_resolv_conf(&source, err);
	}
	for (size_t i = 0; i < resolvers->count && rc == ERR_NONE; i++) {
		rc = add_text(&source, resolvers->item[i], err);
	}
	if (rc == ERR_NONE) {
		*out = source;
	} else {
		dns_source_clear(&source);
	}
	return rc;
}

char *source_words(const struct dns_source *source)
{
	struct strlist words = { 0 };
	char *joined;

	for (size_t i = 0; i < source->resolver_count && (i == 0 || !source->authority); i++) {
		char text[ADDR_TEXT_MAX];

		addr_format(text, &source->resolver[i], DNS_PORT);
		strlist_add(&words, text);
	}
	for (size_t i = 0; i < source->doh_count; i++) {
		strlist_add(&words, source->doh_url[i]);
	}
	joined = strlist_join(&words, ", ");
	strlist_clear(&words);
	return joined;
}

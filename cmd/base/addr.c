/* Addresses with a port, as text and back; no names here. */
#include "dns01/base.h"

#include <arpa/inet.h>
#include <net/if.h>

static bool parse_v4(const char *host, uint16_t port, struct addr *out)
{
	struct addr made = { .len = sizeof(made.u.in) };

	made.u.in.sin_family = AF_INET;
	made.u.in.sin_port = htons(port);
	if (inet_pton(AF_INET, host, &made.u.in.sin_addr) != 1) {
		return false;
	}
	*out = made;
	return true;
}

/* The part behind '%' of a link-local address: an interface's name or its index. */
static bool parse_scope(const char *scope, uint32_t *out)
{
	uint64_t index = if_nametoindex(scope);

	if (index == 0 && !text_parse_u64(scope, UINT32_MAX, &index)) {
		return false;
	}
	*out = (uint32_t)index;
	return index > 0;
}

static bool parse_v6(char *host, uint16_t port, struct addr *out)
{
	struct addr made = { .len = sizeof(made.u.in6) };
	char *scope = strchr(host, '%');

	made.u.in6.sin6_family = AF_INET6;
	made.u.in6.sin6_port = htons(port);
	if (scope) {
		*scope++ = '\0';
		if (!parse_scope(scope, &made.u.in6.sin6_scope_id)) {
			return false;
		}
	}
	if (inet_pton(AF_INET6, host, &made.u.in6.sin6_addr) != 1) {
		return false;
	}
	*out = made;
	return true;
}

/* Cuts text into host and port in place; *host NULL: malformed. */
static bool split_port(char *text, char **host, char **port)
{
	char *colon = strchr(text, ':');
	char *end;

	*host = text;
	*port = NULL;
	if (text[0] == '[') {
		end = strchr(text, ']');
		if (!end || (end[1] && end[1] != ':')) {
			return false;
		}
		*host = text + 1;
		*port = end[1] ? end + 2 : NULL;
		*end = '\0';
		return strchr(*host, ':') != NULL;
	}
	if (colon && !strchr(colon + 1, ':')) { /* one alone cannot be an IPv6 address */
		*colon = '\0';
		*port = colon + 1;
	}
	return true;
}

bool addr_parse(const char *text, uint16_t default_port, struct addr *out)
{
	char copy[ADDR_TEXT_MAX + IF_NAMESIZE];
	uint64_t number = default_port;
	char *host;
	char *port;

	if (strlen(text) >= sizeof(copy)) {
		return false;
	}
	snprintf(copy, sizeof(copy), "%s", text);
	if (!split_port(copy, &host, &port)) {
		return false;
	}
	if (port && (!text_parse_u64(port, UINT16_MAX, &number) || number == 0)) {
		return false;
	}
	return strchr(host, ':') ? parse_v6(host, (uint16_t)number, out)
				 : parse_v4(host, (uint16_t)number, out);
}

void addr_format(char out[ADDR_TEXT_MAX], const struct addr *addr, uint16_t default_port)
{
	const uint16_t port = addr_port(addr);
	const bool v6 = addr->u.sa.sa_family == AF_INET6;
	char host[INET6_ADDRSTRLEN] = "";
	char scope[12] = "";
	char suffix[8] = "";
	const bool bracket = v6 && port != default_port;

	if (addr->len == 0) {
		snprintf(out, ADDR_TEXT_MAX, "no address");
		return;
	}
	if (v6) {
		inet_ntop(AF_INET6, &addr->u.in6.sin6_addr, host, sizeof(host));
	} else {
		inet_ntop(AF_INET, &addr->u.in.sin_addr, host, sizeof(host));
	}
	if (v6 && addr->u.in6.sin6_scope_id > 0) {
		snprintf(scope, sizeof(scope), "%%%u", (unsigned)addr->u.in6.sin6_scope_id);
	}
	if (port != default_port) {
		snprintf(suffix, sizeof(suffix), ":%u", port);
	}
	snprintf(out, ADDR_TEXT_MAX, "%s%s%s%s%s", bracket ? "[" : "", host, scope,
		 bracket ? "]" : "", suffix);
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	if (a->len == 0 || b->len == 0 || a->u.sa.sa_family != b->u.sa.sa_family ||
	    addr_port(a) != addr_port(b)) {
		return a->len == b->len && a->len == 0;
	}
	if (a->u.sa.sa_family == AF_INET) {
		return a->u.in.sin_addr.s_addr == b->u.in.sin_addr.s_addr;
	}
	return memcmp(&a->u.in6.sin6_addr, &b->u.in6.sin6_addr, sizeof(struct in6_addr)) == 0 &&
	       a->u.in6.sin6_scope_id == b->u.in6.sin6_scope_id;
}

uint16_t addr_port(const struct addr *addr)
{
	if (addr->len == 0) {
		return 0;
	}
	return ntohs(addr->u.sa.sa_family == AF_INET6 ? addr->u.in6.sin6_port
						      : addr->u.in.sin_port);
}

void addr_set_port(struct addr *addr, uint16_t port)
{
	if (addr->u.sa.sa_family == AF_INET6) {
		addr->u.in6.sin6_port = htons(port);
	} else {
		addr->u.in.sin_port = htons(port);
	}
}

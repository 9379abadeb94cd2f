/* Networks: a prefix of an address. */
#include "dns01/base.h"

#define V4_BITS 32
#define V6_BITS 128

void addr_unmap(struct addr *addr)
{
	struct addr made = { .len = sizeof(made.u.in) };

	if (addr->len == 0 || addr->u.sa.sa_family != AF_INET6 ||
	    !IN6_IS_ADDR_V4MAPPED(&addr->u.in6.sin6_addr)) {
		return;
	}
	made.u.in.sin_family = AF_INET;
	made.u.in.sin_port = addr->u.in6.sin6_port;
	memcpy(&made.u.in.sin_addr, addr->u.in6.sin6_addr.s6_addr + 12, 4);
	*addr = made;
}

static const uint8_t *octets(const struct addr *addr)
{
	return addr->u.sa.sa_family == AF_INET6 ? addr->u.in6.sin6_addr.s6_addr
						: (const uint8_t *)&addr->u.in.sin_addr;
}

static unsigned width(const struct addr *addr)
{
	return addr->u.sa.sa_family == AF_INET6 ? V6_BITS : V4_BITS;
}

static bool bit(const uint8_t *at, unsigned index)
{
	return at[index / 8] >> (7 - index % 8) & 1;
}

bool network_parse(const char *text, struct network *out)
{
	char host[ADDR_TEXT_MAX];
	const char *slash = strchr(text, '/');
	struct network net;
	uint64_t bits;
	size_t len = slash ? (size_t)(slash - text) : strlen(text);

	if (len == 0 || len >= sizeof(host) || text[0] == '[') {
		return false;
	}
	snprintf(host, sizeof(host), "%.*s", (int)len, text);
	if (!addr_parse(host, 0, &net.addr) || addr_port(&net.addr) != 0 || strchr(host, '%')) {
		return false;
	}
	bits = width(&net.addr);
	if (slash && !text_parse_u64(slash + 1, width(&net.addr), &bits)) {
		return false;
	}
	net.bits = (unsigned)bits;
	for (unsigned i = net.bits; i < width(&net.addr); i++) {
		if (bit(octets(&net.addr), i)) {
			return false;
		}
	}
	*out = net;
	return true;
}

void network_format(char out[ADDR_TEXT_MAX], const struct network *net)
{
	size_t len;

	addr_format(out, &net->addr, 0);
	len = strlen(out);
	if (net->bits < width(&net->addr)) {
		snprintf(out + len, ADDR_TEXT_MAX - len, "/%u", net->bits);
	}
}

bool network_has(const struct network *net, const struct addr *addr)
{
	struct addr plain = *addr;

	addr_unmap(&plain);
	if (plain.len == 0 || plain.u.sa.sa_family != net->addr.u.sa.sa_family) {
		return false;
	}
	for (unsigned i = 0; i < net->bits; i++) {
		if (bit(octets(&net->addr), i) != bit(octets(&plain), i)) {
			return false;
		}
	}
	return true;
}

/* Octets that grow up to a maximum given at birth. */
#include "dns01/base.h"

#define FIRST_CAP 64

void buf_init(struct buf *buf, size_t max)
{
	*buf = (struct buf)BUF_INIT(max);
}

void buf_clear(struct buf *buf)
{
	free(buf->data);
	buf_init(buf, buf->max);
}

void buf_wipe(struct buf *buf)
{
	wipe_free(buf->data, buf->len);
	buf_init(buf, buf->max);
}

/* Room for len more octets and the NUL; false, and overflow, when that would pass max. */
static bool reserve(struct buf *buf, size_t len)
{
	size_t cap = buf->cap ? buf->cap : FIRST_CAP;
	char *data;

	if (buf->overflow || buf->len > buf->max || len > buf->max - buf->len) {
		buf->overflow = true;
		return false;
	}
	if (buf->data && buf->cap - buf->len > len) {
		return true;
	}
	while (cap - buf->len <= len) {
		cap = cap > SIZE_MAX / 2 ? buf->len + len + 1 : cap * 2;
	}
	/* Not realloc: it would leave a copy behind of what may be a secret. */
	data = xmalloc(cap);
	if (buf->data) {
		memcpy(data, buf->data, buf->len);
		wipe_free(buf->data, buf->len);
	}
	data[buf->len] = '\0';
	buf->data = data;
	buf->cap = cap;
	return true;
}

void buf_add(struct buf *buf, const void *data, size_t len)
{
	if (!reserve(buf, len)) {
		return;
	}
	if (len > 0) {
		memcpy(buf->data + buf->len, data, len);
	}
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void buf_add_str(struct buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}

void buf_addf(struct buf *buf, const char *fmt, ...)
{
	va_list args;
	va_list again;
	int len;

	va_start(args, fmt);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, fmt, args);
	if (len < 0) {
		buf->overflow = true;
	} else if (reserve(buf, (size_t)len)) {
		vsnprintf(buf->data + buf->len, (size_t)len + 1, fmt, again);
		buf->len += (size_t)len;
	}
	va_end(again);
	va_end(args);
}

void buf_add_u8(struct buf *buf, uint8_t value)
{
	buf_add(buf, &value, sizeof(value));
}

void buf_add_u16(struct buf *buf, uint16_t value)
{
	const uint8_t octets[] = { (uint8_t)(value >> 8), (uint8_t)value };

	buf_add(buf, octets, sizeof(octets));
}

void buf_add_u32(struct buf *buf, uint32_t value)
{
	const uint8_t octets[] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16),
				   (uint8_t)(value >> 8), (uint8_t)value };

	buf_add(buf, octets, sizeof(octets));
}

const char *buf_str(const struct buf *buf)
{
	return buf->data ? buf->data : "";
}

char *buf_detach(struct buf *buf)
{
	char *data = buf->data ? buf->data : xstrdup("");

	buf_init(buf, buf->max);
	return data;
}

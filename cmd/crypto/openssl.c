/* OpenSSL's errors and memory, as the other files here need them. */
#include "internal.h"

#include <openssl/bio.h>
#include <openssl/err.h>

#define WHY_MAX 160

const char *openssl_why(void)
{
	static char why[WHY_MAX];
	/* The first entry is where it failed; the later ones say who noticed. */
	unsigned long code = ERR_peek_error();
	const char *reason = ERR_reason_error_string(code);

	if (code == 0) {
		snprintf(why, sizeof(why), "OpenSSL gives no reason");
	} else if (reason) {
		snprintf(why, sizeof(why), "%s", reason);
	} else {
		snprintf(why, sizeof(why), "OpenSSL's error %08lx", code);
	}
	ERR_clear_error();
	return why;
}

void openssl_must(bool done, const char *what)
{
	if (!done) {
		log_error("OpenSSL cannot %s: %s", what, openssl_why());
		_exit(err_exit_status(ERR_INTERNAL));
	}
}

void buf_add_bio(struct buf *buf, BIO *bio)
{
	char *data = NULL;
	long len = BIO_get_mem_data(bio, &data);

	if (len > 0) {
		buf_add(buf, data, (size_t)len);
	}
	BIO_free(bio);
}

/* check: what the files that check the configuration share. Private to conf. */
#ifndef CONF_CHECK_H
#define CONF_CHECK_H

#include "schema.h"

/* One item of a list, or a single group, and where sentences say it is. */
struct subject {
	struct conf *conf;
	const struct setting *list; /* NULL: the file itself */
	size_t index;               /* in its list */
	void *base;
	const struct subject *outer; /* the item that it stands in; NULL: the file */
	struct err *err;
};

/* "WHERE: ITEM.NAME: sentence"; where the value stands, else where the item does. */
enum err_code check_refuse(const struct subject *subject, const char *name, const char *where,
			   const char *fmt, ...) PRINTF_LIKE(4, 5);
/* The name leads to no item of the list of known names. */
enum err_code check_refuse_reference(const struct subject *subject, const char *setting,
				     const char *name, const struct setting *list);
/* A view without a zone is a typing error, unless nothing has zones yet. */
enum err_code check_view(const struct subject *subject, const char *setting, const char *view);

/* One item beside all others; rows is for providers. */
enum err_code check_certificate(const struct subject *subject, conf_provider_rows *rows);
enum err_code check_listener(const struct subject *subject, conf_provider_rows *rows);
enum err_code check_client(const struct subject *subject, conf_provider_rows *rows);
enum err_code check_broker(const struct subject *subject, conf_provider_rows *rows);
/* No two exports of the whole configuration write to one place. */
enum err_code check_export_paths(struct conf *conf, struct err *err);

#endif

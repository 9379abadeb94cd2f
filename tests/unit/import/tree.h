/* Folders of other clients, written for one test, and what an import of them says. */
#ifndef DNS01_TEST_IMPORT_TREE_H
#define DNS01_TEST_IMPORT_TREE_H

#include "store/bed.h"

#include "dns01/import.h"
#include "dns01/provider.h"

#include "crypto/certs.h"

/* RFC 7515 A.3.1. */
#define ACCOUNT_JWK                                                                          \
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvR" \
	"VEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\",\"d\":"                 \
	"\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"}"
#define ACCOUNT_SECRET "jpsQnnGQmL"
#define DIRECTORY "https://ca.example/dir"
#define TSIG_SECRET "c2VjcmV0LXRzaWctc2VjcmV0LXRzaWc="

/* A file below the bed's folder "old"; its folders are made. */
static inline char *put(struct bed *bed, const char *name, const char *text)
{
	char *old = bed_path(bed, "old");
	char *path = path_join(old, name);
	char *folder = path_dir(path);
	FILE *file;

	assert_int_equal(folder_make(folder, 0700, NULL), ERR_NONE);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	free(folder);
	free(old);
	return path;
}

static inline void put_file(struct bed *bed, const char *name, const char *text)
{
	free(put(bed, name, text));
}

/* A key with a certificate of a small CA for at most two names: PEM texts to be freed. */
struct issued {
	char *key, *leaf, *issuer, *full;
};

static inline struct issued issue(enum key_type type, const char *first, const char *second)
{
	struct key *key = make_key(type);
	struct key *ca = make_key(KEY_P256);
	EVP_PKEY *pkey = openssl_key(key), *signer = openssl_key(ca);
	X509 *leaf = make_cert(&(struct cert_args){
		.key = pkey, .signer = signer, .issuer = "CA", .names = { first, second } });
	X509 *issuer = make_cert(&(struct cert_args){
		.key = signer, .signer = signer, .subject = "CA", .issuer = "CA" });
	struct issued issued = { .leaf = cert_pem(leaf), .issuer = cert_pem(issuer) };
	struct buf pem;

	key_format_pem(key, &pem);
	issued.key = xstrdup(buf_str(&pem));
	issued.full = xasprintf("%s%s", issued.leaf, issued.issuer);
	buf_wipe(&pem);
	X509_free(leaf);
	X509_free(issuer);
	EVP_PKEY_free(pkey);
	EVP_PKEY_free(signer);
	key_free(key);
	key_free(ca);
	return issued;
}

static inline void issued_clear(struct issued *issued)
{
	free(issued->key);
	free(issued->leaf);
	free(issued->issuer);
	free(issued->full);
}

/* ---- the import -------------------------------------------------------------------- */

struct import_bed {
	char *old, *state, *conf_path;
	struct conf *conf;
};

static inline struct import_bed import_bed(struct bed *bed)
{
	struct import_bed paths = { .old = bed_path(bed, "old"),
				    .state = bed_path(bed, "state"),
				    .conf_path = bed_path(bed, "etc/dns01.conf") };
	struct err err = { 0 };

	if (access(paths.conf_path, F_OK) == 0 &&
	    conf_load(paths.conf_path, provider_rows, &paths.conf, &err) != ERR_NONE) {
		fail_msg("%s: %s", err.subject, err.text);
	}
	return paths;
}

static inline enum err_code import_now(struct bed *bed, const char *client, bool dry_run,
				       struct import_report **out, struct err *err)
{
	struct import_bed paths = import_bed(bed);
	enum err_code code = import_run(
		&(struct import_args){
			.client = client,
			.from = paths.old,
			.conf_path = paths.conf_path,
			.conf = paths.conf,
			.state = paths.state,
			.rows = provider_rows,
			.dry_run = dry_run,
		},
		out, err);

	conf_free(paths.conf);
	free(paths.old);
	free(paths.state);
	free(paths.conf_path);
	return code;
}

static inline struct import_report *import_good(struct bed *bed, const char *client)
{
	struct import_report *report = NULL;
	struct err err = { 0 };

	if (import_now(bed, client, false, &report, &err) != ERR_NONE) {
		fail_msg("%s: %s", err.subject, err.text);
	}
	return report;
}

static inline const struct import_line *line_of(const struct import_report *report,
						enum import_kind kind, const char *subject,
						const char *part)
{
	for (size_t i = 0; i < report->count; i++) {
		if (report->line[i].kind == kind && strcmp(report->line[i].subject, subject) == 0 &&
		    strstr(report->line[i].text, part)) {
			return &report->line[i];
		}
	}
	return NULL;
}

static inline void expect_line(const struct import_report *report, enum import_kind kind,
			       const char *subject, const char *part)
{
	if (line_of(report, kind, subject, part)) {
		return;
	}
	for (size_t i = 0; i < report->count; i++) {
		print_message("%s  %s: %s\n", import_kind_text(report->line[i].kind),
			      report->line[i].subject, report->line[i].text);
	}
	fail_msg("nothing \"%s\" says of %s: %s", import_kind_text(kind), subject, part);
}

static inline size_t count_lines(const struct import_report *report, enum import_kind kind)
{
	size_t count = 0;

	for (size_t i = 0; i < report->count; i++) {
		count += report->line[i].kind == kind;
	}
	return count;
}

static inline char *text_of(struct bed *bed, const char *name)
{
	char *path = bed_path(bed, name);
	struct buf text;

	assert_int_equal(file_read(path, 1024 * 1024, &text, NULL), ERR_NONE);
	free(path);
	return buf_detach(&text);
}

static inline void expect_in_file(struct bed *bed, const char *name, const char *part, bool there)
{
	char *text = text_of(bed, name);

	if ((strstr(text, part) != NULL) != there) {
		fail_msg("%s %s \"%s\":\n%s", name, there ? "lacks" : "holds", part, text);
	}
	free(text);
}

#endif

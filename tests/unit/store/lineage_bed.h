/* A key and a chain of two certificates (leaf and issuer) for the tests of lineages. */
#ifndef DNS01_TEST_STORE_LINEAGE_BED_H
#define DNS01_TEST_STORE_LINEAGE_BED_H

#include "store/bed.h"

#define LEAF_PEM                                                             \
	"-----BEGIN CERTIFICATE-----\n"                                      \
	"MIIBljCCAT2gAwIBAgIUDMqqiZQd/+bWyOH5bQCUV4VRUbIwCgYIKoZIzj0EAwIw\n" \
	"FDESMBAGA1UEAwwJVGVzdCBSb290MCAXDTI2MTEyNDAyNTIxMVoYDzIxMjYxMDMx\n" \
	"MDI1MjExWjAWMRQwEgYDVQQDDAtleGFtcGxlLmNvbTBZMBMGByqGSM49AgEGCCqG\n" \
	"SM49AwEHA0IABBkKCMPSI/4/NbZuDf6l8fjVt/xXbnZ1EjZWGlsf39W7a2sKpXnj\n" \
	"f/0bjpzy4EXIWZn82ma3YKAIH+9HZ7+rCE6jaTBnMCUGA1UdEQQeMByCC2V4YW1w\n" \
	"bGUuY29tgg0qLmV4YW1wbGUuY29tMB0GA1UdDgQWBBQkq6xpMsKGztN3paYxmx4y\n" \
	"FLzVqzAfBgNVHSMEGDAWgBTk8zlsLwuYlf7+/QKY6IjSw5xxoDAKBggqhkjOPQQD\n" \
	"AgNHADBEAiBGJcJPcji0l0GxJZFTMD+HWEXbDL5Eh00uixA9buFcsAIgDg869IaI\n" \
	"Q/ppzWTn9rLpjkgM6Pw49vKA0elp3EoCAng=\n"                             \
	"-----END CERTIFICATE-----\n"

#define ISSUER_PEM                                                           \
	"-----BEGIN CERTIFICATE-----\n"                                      \
	"MIIBfzCCASWgAwIBAgIUQsq26xrnfk8H5DFE04m3pajIbWQwCgYIKoZIzj0EAwIw\n" \
	"FDESMBAGA1UEAwwJVGVzdCBSb290MCAXDTI2MTEyNDAyNTIxMFoYDzIxMjYxMDMx\n" \
	"MDI1MjEwWjAUMRIwEAYDVQQDDAlUZXN0IFJvb3QwWTATBgcqhkjOPQIBBggqhkjO\n" \
	"PQMBBwNCAATpfb4spkcJ26jbs+iSJveRXdnCzN0aYdo2LuOEYOy4frCBWUOs79th\n" \
	"Ew+A7xOTkuKv0FDwNOSy+pTjgP3wamOpo1MwUTAdBgNVHQ4EFgQU5PM5bC8LmJX+\n" \
	"/v0CmOiI0sOccaAwHwYDVR0jBBgwFoAU5PM5bC8LmJX+/v0CmOiI0sOccaAwDwYD\n" \
	"VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiBgrcIZX0p4bP1jLvaUz99K\n" \
	"95J32eaChBcYTlJX2cw6MgIhAKs4PYAa5Hvp1PbrmiER5Gm/CqWA+PoEeBdQgT20\n" \
	"0pVu\n"                                                             \
	"-----END CERTIFICATE-----\n"

static inline struct key *new_key(void)
{
	struct key *key = NULL;

	assert_int_equal(key_generate(KEY_P256, &key, NULL), ERR_NONE);
	return key;
}

static inline struct lineage *lineage_of(struct bed *bed)
{
	struct lineage *lineage = NULL;

	assert_int_equal(lineage_open(bed->state, "example.com", &lineage, NULL), ERR_NONE);
	return lineage;
}

/* The chain is always the same, the key and conf tell versions apart. */
static inline enum err_code store(struct lineage *lineage, const struct key *key, const char *conf,
				  struct err *err)
{
	static const char pem[] = LEAF_PEM ISSUER_PEM;
	struct lineage_set set = { .key = key, .conf = conf };
	struct chain *chain = NULL;
	char *current = NULL;
	enum err_code code;

	assert_int_equal(chain_parse(pem, strlen(pem), &chain, NULL), ERR_NONE);
	set.chain = chain;
	code = lineage_store(lineage, &set, &current, err);
	if (code == ERR_NONE) {
		char *expected = path_join(lineage_folder(lineage), "current");

		assert_string_equal(current, expected);
		free(expected);
	}
	chain_free(chain);
	free(current);
	return code;
}

static inline void text_is(struct bed *bed, const char *name, const char *expected)
{
	char *path = bed_path(bed, name);
	struct buf text = { 0 };

	assert_int_equal(file_read(path, 65536, &text, NULL), ERR_NONE);
	assert_string_equal(buf_str(&text), expected);
	buf_clear(&text);
	free(path);
}

static inline void link_is(struct bed *bed, const char *name, const char *expected)
{
	char *path = bed_path(bed, name);
	char target[64] = "";

	assert_true(readlink(path, target, sizeof(target) - 1) > 0);
	assert_string_equal(target, expected);
	free(path);
}

#endif

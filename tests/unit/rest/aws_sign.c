/* AWS Signature Version 4: requests of the test suite that AWS publishes. */
#include "cmocka_all.h"

#include "dns01/rest.h"

#define HOST "https://example.amazonaws.com"
#define NOW_S 1440938160 /* 2015-08-30T12:36:00Z */
#define SESSION                                                                       \
	"AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGB" \
	"uFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtB" \
	"mUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXA" \
	"kiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9K" \
	"SYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

static const struct {
	const char *name, *method, *url, *session, *signature;
} vectors[] = {
	{ "get-vanilla", "GET", HOST "/", NULL,
	  "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
	{ "get-vanilla-empty-query-key", "GET", HOST "/?Param1=value1", NULL,
	  "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb" },
	{ "get-vanilla-query-order-key-case", "GET", HOST "/?Param2=value2&Param1=value1", NULL,
	  "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500" },
	{ "get-vanilla-query-order-value", "GET", HOST "/?Param1=value2&Param1=value1", NULL,
	  "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694" },
	{ "post-vanilla", "POST", HOST "/", NULL,
	  "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b" },
	{ "post-sts-header-before", "POST", HOST "/", SESSION,
	  "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead" },
};

static const char *header_of(const struct rest_request *request, const char *name)
{
	for (size_t i = 0; i < request->header_count; i++) {
		if (strcmp(request->header[i].name, name) == 0) {
			return request->header[i].value;
		}
	}
	return "";
}

static void signs_as_the_published_suite_does(void **state)
{
	static const struct aws_scope scope = { "us-east-1", "service" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		struct aws_keys keys = {
			.access_key = xstrdup("AKIDEXAMPLE"),
			.secret_key = xstrdup("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
			.session = xstrdup(vectors[i].session),
		};
		struct rest_request request = { .method = vectors[i].method,
						.url = vectors[i].url,
						.now_s = NOW_S };
		const char *found;

		aws_sign(&request, &keys, &scope);
		assert_string_equal(header_of(&request, "X-Amz-Date"), "20150830T123600Z");
		found = strstr(header_of(&request, "Authorization"), "Signature=");
		assert_non_null(found);
		if (strcmp(found + strlen("Signature="), vectors[i].signature) != 0) {
			fail_msg("%s: %s", vectors[i].name, found);
		}
		for (size_t j = 0; j < request.header_count; j++) {
			wipe_str((char *)(uintptr_t)request.header[j].value);
		}
		aws_keys_clear(&keys);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signs_as_the_published_suite_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

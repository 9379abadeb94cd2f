/* What APIs answer, besides JSON: XML as a tree, and TXT texts in quotes. */
#include "dns01/rest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool fine)
{
	if (!fine) {
		abort();
	}
}

/* Whatever the text is, quoting it gives it back. */
static void check_quotes(const char *text)
{
	char *read = rest_unquote(text);
	char *quoted = rest_quote(read);
	char *again = rest_unquote(quoted);

	must(strcmp(read, again) == 0);
	free(read);
	free(quoted);
	free(again);
}

static size_t count(const struct xml *element, size_t depth)
{
	size_t sum = 1;

	must(depth <= XML_DEPTH_MAX && xml_name(element) && xml_text(element));
	for (const struct xml *child = xml_get(element, NULL); child; child = xml_next(child)) {
		sum += count(child, depth + 1);
	}
	return sum;
}

static void check_xml(const char *text, size_t len)
{
	struct xml *root = NULL;
	struct err err;

	if (xml_parse(text, len, &root, &err) == ERR_NONE) {
		must(count(root, 1) <= XML_ELEMENTS_MAX);
		xml_free(root);
	} else {
		must(!root && err.text[0]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup(size > 0 ? (const char *)data : "", size);

	check_quotes(text);
	check_xml((const char *)data, size);
	free(text);
	return 0;
}

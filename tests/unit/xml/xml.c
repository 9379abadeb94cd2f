/* Documents as APIs send them, and what is refused. */
#include "dns01/xml.h"

#include "cmocka_all.h"

static struct xml *parse(const char *text)
{
	struct xml *root = NULL;
	struct err err;

	assert_int_equal(xml_parse(text, strlen(text), &root, &err), ERR_NONE);
	return root;
}

static void elements_are_found_by_their_path(void **state)
{
	struct xml *root = parse("<?xml version=\"1.0\"?>\n"
				 "<a:List xmlns:a=\"urn:x\"><Zones><Zone><Id>/z/1</Id></Zone>\n"
				 "<Zone><Id> /z/2 </Id><Name>b &amp; &#x63;</Name></Zone></Zones>"
				 "<Zone/></a:List>");
	const struct xml *zone = xml_get(root, "Zones/Zone");

	(void)state;
	assert_string_equal(xml_name(root), "List");
	assert_string_equal(xml_str(zone, "Id"), "/z/1");
	assert_null(xml_str(zone, "Name"));
	zone = xml_next(zone);
	assert_string_equal(xml_str(zone, "Id"), "/z/2");
	assert_string_equal(xml_str(zone, "Name"), "b & c");
	assert_null(xml_next(zone));
	assert_string_equal(xml_str(root, "Zone"), "");
	assert_null(xml_get(root, "Zones/None/Id"));
	assert_null(xml_get(NULL, "Zones"));
	xml_free(root);
}

static void expect_refused(const char *text, const char *why)
{
	struct xml *root = NULL;
	struct err err;

	assert_int_equal(xml_parse(text, strlen(text), &root, &err), ERR_PROTOCOL);
	assert_null(root);
	assert_non_null(strstr(err.text, why));
}

static void what_could_grow_or_reach_out_is_refused(void **state)
{
	struct buf deep = BUF_INIT(4096);

	(void)state;
	expect_refused("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "document type");
	expect_refused("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>", "document type");
	expect_refused("<a>&unknown;</a>", "line 1");
	expect_refused("<a><b></a>", "line 1");
	expect_refused("", "line 1");
	for (size_t i = 0; i <= XML_DEPTH_MAX; i++) {
		buf_add_str(&deep, "<a>");
	}
	expect_refused(buf_str(&deep), "too many");
	buf_clear(&deep);
}

static void text_is_escaped(void **state)
{
	struct buf out = BUF_INIT(100);

	(void)state;
	xml_escape(&out, "<\"v\" & w>");
	assert_string_equal(buf_str(&out), "&lt;&quot;v&quot; &amp; w&gt;");
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_are_found_by_their_path),
		cmocka_unit_test(what_could_grow_or_reach_out_is_refused),
		cmocka_unit_test(text_is_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

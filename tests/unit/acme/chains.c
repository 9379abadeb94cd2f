/* Chains that are offered beside the first one (RFC 8555 s.7.4.2), and the order's profile. */
#include "acme/client.h"

static const char *links[4];

static void with_links(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	(void)ca;
	if (!ca_under(request, "/cert/1")) {
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(links) && links[i]; i++) {
		answer_header(answer, "link", links[i]);
	}
}

static void fetch(struct client *client, const char *first, const char *second)
{
	links[0] = first;
	links[1] = second;
	client_init(client);
	client->ca.after = with_links;
	assert_int_equal(do_begin(client, "a.test"), ERR_NONE);
	assert_int_equal(do_rest(client), ERR_NONE);
	assert_string_equal(buf_str(&client->pem), CA_PEM CA_PEM);
}

static void drop(struct client *client)
{
	client_settle(client);
	client_clear(client);
	memset(links, 0, sizeof(links));
}

static void alternates_stand_in_several_headers_and_values(void **state)
{
	struct client client;
	const struct strlist *found;

	(void)state;
	fetch(&client,
	      "<" CA "/cert/1/1>;rel=\"alternate\", <" CA "/dir>;rel=\"index\", "
	      "<" CA "/cert/1/2> ; title=\"a, <b>\" ; rel=\"up alternate\"",
	      "<" CA "/cert/1/3>;rel=alternate, <" CA "/cert/1/1>;rel=alternate");
	found = &client.order->alternates;
	assert_int_equal(found->count, 3);
	assert_string_equal(found->item[0], CA "/cert/1/1");
	assert_string_equal(found->item[1], CA "/cert/1/2");
	assert_string_equal(found->item[2], CA "/cert/1/3");
	/* They stay when the order is read again, and are new with the next download. */
	assert_int_equal(do_load(&client), ERR_NONE);
	assert_int_equal(client.order->alternates.count, 3);
	links[0] = "<" CA "/cert/1/9>;rel=\"alternate\"";
	links[1] = NULL;
	buf_clear(&client.pem);
	assert_int_equal(do_download(&client), ERR_NONE);
	assert_int_equal(client.order->alternates.count, 1);
	drop(&client);
}

static void only_https_is_an_alternate(void **state)
{
	struct client client;

	(void)state;
	fetch(&client, "<http://ca.test/cert/1/1>;rel=\"alternate\", </cert/1/2>;rel=\"alternate\"",
	      "<" CA "/cert/1/3>;rel=\"alternate\", <https://ca.test/a b>;rel=\"alternate\"");
	assert_int_equal(client.order->alternates.count, 1);
	assert_string_equal(client.order->alternates.item[0], CA "/cert/1/3");
	drop(&client);
}

static void alternates_are_bounded(void **state)
{
	struct buf many = BUF_INIT(16384);
	struct client client;

	(void)state;
	for (int i = 0; i < 200; i++) {
		buf_addf(&many, "%s<" CA "/cert/1/%d>;rel=alternate", i ? "," : "", i);
	}
	fetch(&client, buf_str(&many), "<" CA "/cert/1/x>;rel=alternate");
	assert_int_equal(client.order->alternates.count, ACME_ALTERNATES_MAX);
	drop(&client);
	buf_clear(&many);
}

static const char other_pem[] = "-----BEGIN CERTIFICATE-----\nMAE=\n-----END CERTIFICATE-----\n";
static bool alternate_is_a_page;

static bool serve_alternate(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	(void)ca;
	if (!ca_is(request, "/cert/1/1")) {
		return false;
	}
	answer_header(answer, "content-type",
		      alternate_is_a_page ? "text/html" : "application/pem-certificate-chain");
	answer_header(answer, "link", "<" CA "/cert/1>;rel=\"alternate\"");
	buf_add_str(&answer->body, other_pem);
	return true;
}

static enum err_code do_alternate(struct client *client, const char *url, struct buf *out)
{
	return client_run(client, acme_alternate_start(client->acme, url, out, on_outcome,
						       &client->outcome));
}

static void an_alternate_is_fetched_like_the_first(void **state)
{
	struct buf pem = BUF_INIT(CHAIN_PEM_MAX);
	struct buf small = BUF_INIT(10);
	struct client client;

	(void)state;
	fetch(&client, "<" CA "/cert/1/1>;rel=\"alternate\"", NULL);
	client.ca.before = serve_alternate;
	alternate_is_a_page = false;
	assert_int_equal(do_alternate(&client, client.order->alternates.item[0], &pem), ERR_NONE);
	assert_string_equal(buf_str(&pem), other_pem);
	/* What stands beside it is for nobody. */
	assert_string_equal(client.order->alternates.item[0], CA "/cert/1/1");
	assert_int_equal(do_alternate(&client, CA "/cert/1/1", &small), ERR_LIMIT);
	alternate_is_a_page = true;
	assert_int_equal(do_alternate(&client, CA "/cert/1/1", &pem), ERR_PROTOCOL);
	assert_says(&client.outcome.err, "sent \"text/html\"");
	assert_int_equal(do_alternate(&client, "http://ca.test/cert/1/1", &pem), ERR_INTERNAL);
	buf_clear(&pem);
	drop(&client);
}

static void the_order_has_the_profile_that_the_ca_says(void **state)
{
	struct client client;

	(void)state;
	client_init(&client);
	client.ca.order_members = ",\"profile\":\"tlsserver\"";
	assert_int_equal(do_begin(&client, "a.test"), ERR_NONE);
	assert_string_equal(client.order->profile, "tlsserver");
	client.ca.order_members = ",\"profile\":\"two\\u0007 words\"";
	assert_int_equal(do_load(&client), ERR_NONE);
	assert_null(client.order->profile);
	client_settle(&client);
	client_clear(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alternates_stand_in_several_headers_and_values),
		cmocka_unit_test(only_https_is_an_alternate),
		cmocka_unit_test(alternates_are_bounded),
		cmocka_unit_test(an_alternate_is_fetched_like_the_first),
		cmocka_unit_test(the_order_has_the_profile_that_the_ca_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

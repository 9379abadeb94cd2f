/* The broker's clients and tokens on disk. */
#include "bed.h"

#include <sqlite3.h>

static struct clients *open_clients(struct bed *bed)
{
	struct clients *clients = NULL;
	struct err err = { 0 };

	if (clients_open(bed->state, &clients, &err) != ERR_NONE) {
		print_error("%s: %s\n", err.subject, err.text);
	}
	assert_non_null(clients);
	return clients;
}

static void add(struct clients *clients, const char *name, const char *grant)
{
	struct err err;

	assert_int_equal(clients_add(clients, name, grant, 1000, &err), ERR_NONE);
}

static enum err_code add_token(struct clients *clients, const char *id, const char *client,
			       int64_t now_s, struct err *err)
{
	struct token_row row = { .id = (char *)(uintptr_t)id,
				 .client = (char *)(uintptr_t)client,
				 .kind = (char *)(uintptr_t) "api",
				 .hash = { 1, 2, 3 },
				 .created_at = now_s,
				 .expires_at = now_s + 100 };

	return tokens_add(clients, &row, err);
}

static void count_client(void *arg, const struct client_row *row)
{
	char *text = arg;
	size_t len = strlen(text);

	snprintf(text + len, 200 - len, "%s:%zu%s ", row->name, row->tokens,
		 row->disabled ? "-" : "");
}

static void clients_are_kept(void **state)
{
	struct bed *bed = *state;
	struct clients *clients = open_clients(bed);
	struct client_row *row = NULL;
	char text[200] = "";
	struct err err;

	add(clients, "web", "{\"names\":[\"www.example.com\"]}");
	add(clients, "app", "{}");
	assert_int_equal(clients_add(clients, "web", "{}", 1, &err), ERR_EXISTS);
	assert_int_equal(clients_add(clients, "../x", "{}", 1, &err), ERR_USAGE);
	assert_int_equal(clients_add(clients, "", "{}", 1, &err), ERR_USAGE);
	assert_int_equal(clients_set_disabled(clients, "app", true, &err), ERR_NONE);
	assert_int_equal(clients_set_disabled(clients, "none", true, &err), ERR_NOT_FOUND);
	assert_int_equal(add_token(clients, "t1", "web", 2000, &err), ERR_NONE);
	assert_int_equal(clients_find(clients, "web", &row, &err), ERR_NONE);
	assert_string_equal(row->grant, "{\"names\":[\"www.example.com\"]}");
	assert_int_equal(row->created_at, 1000);
	client_row_free(row);
	assert_int_equal(clients_find(clients, "none", &row, &err), ERR_NOT_FOUND);
	clients_close(clients);
	clients = open_clients(bed);
	assert_int_equal(clients_list(clients, 2050, count_client, text, &err), ERR_NONE);
	assert_string_equal(text, "app:0- web:1 ");
	clients_close(clients);
}

static bool below(struct clients *clients, const char *name, const char *but)
{
	struct err err;
	bool any = false;

	assert_int_equal(clients_any_below(clients, name, but, &any, &err), ERR_NONE);
	return any;
}

static void names_below_are_found_on_label_boundaries(void **state)
{
	struct clients *clients = open_clients(*state);
	struct err err;

	add(clients, "web", "{\"names\":[\"www.example.com\",\"@san\"]}");
	add(clients, "evil", "{\"names\":[\"evilexample.org\"]}");
	add(clients, "deep", "{\"under\":[\"A.b.example.NET.\"]}");
	assert_true(below(clients, "example.com", NULL));
	assert_true(below(clients, "com", NULL));
	assert_false(below(clients, "www.example.com", NULL));
	assert_false(below(clients, "example.com", "web"));
	assert_false(below(clients, "example.org", NULL));
	assert_true(below(clients, "b.example.net", "web"));
	assert_false(below(clients, "a.b.example.net", NULL));
	assert_int_equal(clients_set_grant(clients, "web", "{\"names\":[\"a.example.org\"]}", &err),
			 ERR_NONE);
	assert_false(below(clients, "example.com", NULL));
	assert_true(below(clients, "example.org", NULL));
	assert_int_equal(clients_set_disabled(clients, "web", true, &err), ERR_NONE);
	assert_false(below(clients, "example.org", NULL));
	clients_close(clients);
}

static void two_tokens_live_at_once(void **state)
{
	struct clients *clients = open_clients(*state), *other = open_clients(*state);
	struct token_row *row = NULL;
	struct err err;

	add(clients, "web", "{}");
	assert_int_equal(add_token(clients, "t1", "web", 2000, &err), ERR_NONE);
	assert_int_equal(add_token(clients, "t1", "web", 2000, &err), ERR_EXISTS);
	assert_int_equal(add_token(clients, "t2", "web", 2000, &err), ERR_NONE);
	assert_int_equal(add_token(clients, "t3", "web", 2000, &err), ERR_LIMIT);
	assert_int_equal(add_token(clients, "t3", "none", 2000, &err), ERR_NOT_FOUND);
	assert_int_equal(tokens_revoke(other, "t1", 2001, &err), ERR_NONE);
	assert_int_equal(tokens_revoke(other, "none", 2001, &err), ERR_NOT_FOUND);
	assert_int_equal(add_token(clients, "t3", "web", 2002, &err), ERR_NONE);
	/* all have expired by then */
	assert_int_equal(add_token(clients, "t4", "web", 3000, &err), ERR_NONE);
	assert_int_equal(tokens_find(other, "t1", &row, &err), ERR_NONE);
	assert_int_equal(row->revoked_at, 2001);
	assert_int_equal(row->expires_at, 2100);
	assert_int_equal(row->hash[2], 3);
	assert_null(row->used_from);
	token_row_free(row);
	assert_int_equal(tokens_used(clients, &(struct token_use){ "t4", "192.0.2.1", 3005 }, 1,
				     &err),
			 ERR_NONE);
	assert_int_equal(tokens_find(other, "t4", &row, &err), ERR_NONE);
	assert_int_equal(row->used_at, 3005);
	assert_string_equal(row->used_from, "192.0.2.1");
	token_row_free(row);
	assert_int_equal(tokens_find(other, "t9", &row, &err), ERR_NOT_FOUND);
	clients_close(clients);
	clients_close(other);
}

static void a_newer_file_is_refused(void **state)
{
	struct bed *bed = *state;
	char *path = path_join(bed->state, "clients.db");
	struct clients *clients = open_clients(bed);
	sqlite3 *db = NULL;
	struct err err;

	clients_close(clients);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 9", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(clients_open(bed->state, &clients, &err), ERR_IO);
	assert_non_null(strstr(err.text, "newer dns01 (version 9"));
	free(path);
}

static void a_copy_is_one_whole_file(void **state)
{
	struct bed *bed = *state;
	char *copy = path_join(bed->state, "copy.db"), *folder = path_join(bed->state, "restored");
	char *restored = path_join(folder, "clients.db");
	struct clients *clients = open_clients(bed);
	struct client_row *row = NULL;
	struct err err;

	add(clients, "web", "{}");
	assert_int_equal(state_db_copy(bed->state, "clients.db", copy, &err), ERR_NONE);
	assert_int_equal(state_db_copy(bed->state, "clients.db", copy, &err), ERR_EXISTS);
	clients_close(clients);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(rename(copy, restored), 0);
	assert_int_equal(clients_open(folder, &clients, &err), ERR_NONE);
	assert_int_equal(clients_find(clients, "web", &row, &err), ERR_NONE);
	client_row_free(row);
	clients_close(clients);
	free(copy);
	free(folder);
	free(restored);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(clients_are_kept, bed_setup, bed_teardown),
		cmocka_unit_test_setup_teardown(names_below_are_found_on_label_boundaries,
						bed_setup, bed_teardown),
		cmocka_unit_test_setup_teardown(two_tokens_live_at_once, bed_setup, bed_teardown),
		cmocka_unit_test_setup_teardown(a_newer_file_is_refused, bed_setup, bed_teardown),
		cmocka_unit_test_setup_teardown(a_copy_is_one_whole_file, bed_setup, bed_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

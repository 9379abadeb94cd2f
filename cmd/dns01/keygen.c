/* dns01 keygen: a key that takes long to make, in a process of its own (issue runs it). */
#include "cli.h"

static enum err_code make(enum key_type type, const char *path, struct err *err)
{
	struct key *key = NULL;
	struct buf pem = BUF_INIT(KEY_PEM_MAX);
	enum err_code code = key_generate(type, &key, err);

	if (code == ERR_NONE) {
		key_format_pem(key, &pem);
		code = file_write_durable(path, buf_str(&pem), pem.len, 0600, err);
	}
	buf_wipe(&pem);
	key_free(key);
	return code;
}

int verb_keygen(int argc, char **argv)
{
	struct options options = { 0 };
	struct err err;
	enum key_type type;
	enum err_code code = options_parse(&options, OPTIONS_COMMON, argc, argv, &err);

	if (code == ERR_CANCELED) {
		return 0;
	}
	if (code == ERR_NONE && !key_type_parse(options.names[0], &type)) {
		code = err_set(&err, ERR_USAGE, "",
			       "write dns01 keygen TYPE FILE with a TYPE of p256, p384, rsa2048, "
			       "rsa3072 or rsa4096");
	}
	if (code == ERR_NONE) {
		code = make(type, options.names[1], &err);
	}
	if (code != ERR_NONE) {
		cli_print_error(&err, false);
	}
	options_clear(&options);
	return err_exit_status(code);
}

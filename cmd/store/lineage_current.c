/* What a lineage has now, for those that only read it. */
#include "dns01/store.h"

#include "folder.h"

#include <errno.h>

#define CERTS "certs"
#define FULLCHAIN "fullchain.pem"

/* The version that `current` leads to: key and chain are read from one and the same. Gives. */
static enum err_code version_path(const char *state, const char *name, char **out, struct err *err)
{
	char *current = xasprintf("%s/" CERTS "/%s/current", state, name);
	enum err_code code = ERR_NONE;

	*out = realpath(current, NULL);
	if (!*out) {
		code = errno == ENOENT
			       ? err_set(err, ERR_NOT_FOUND, name, "there is no certificate yet")
			       : err_set(err, ERR_IO, current, "cannot be read: %s",
					 strerror(errno));
	}
	free(current);
	return code;
}

static enum err_code read_chain(const char *version, struct chain **out, struct err *err)
{
	char *path = path_join(version, FULLCHAIN);
	struct buf pem = BUF_INIT(CHAIN_PEM_MAX);
	enum err_code code = file_read(path, CHAIN_PEM_MAX, &pem, err);

	if (code == ERR_NONE && chain_parse(buf_str(&pem), pem.len, out, err) != ERR_NONE) {
		code = err_set(err, ERR_IO, path, "is not a chain of certificates any more");
	}
	buf_clear(&pem);
	free(path);
	return code;
}

enum err_code lineage_read(const char *state, const char *name, struct lineage_current *out,
			   struct err *err)
{
	struct lineage_current current = { 0 };
	char *version = NULL, *path;
	enum err_code code = version_path(state, name, &version, err);

	if (code != ERR_NONE) {
		return code;
	}
	code = read_chain(version, &current.chain, err);
	if (code == ERR_NONE) {
		path = path_join(version, "privkey.pem");
		code = key_load(path, &current.key, err);
		free(path);
	}
	if (code == ERR_NONE && chain_check(current.chain, current.key,
					    &chain_facts(current.chain)->names, err) != ERR_NONE) {
		code = err_subject(err, "%s", version);
	}
	free(version);
	if (code != ERR_NONE) {
		lineage_current_clear(&current);
		return code;
	}
	*out = current;
	return ERR_NONE;
}

enum err_code lineage_facts(const char *state, const char *name, struct chain_facts *out,
			    struct err *err)
{
	char *path = xasprintf("%s/" CERTS "/%s/current/" FULLCHAIN, state, name);
	struct buf pem = BUF_INIT(CHAIN_PEM_MAX);
	enum err_code code = store_name_check("certificate", name, err);

	if (code == ERR_NONE) {
		code = file_read(path, CHAIN_PEM_MAX, &pem, err);
	}
	if (code == ERR_NOT_FOUND) {
		code = err_set(err, ERR_NOT_FOUND, name, "there is no certificate yet");
	}
	if (code == ERR_NONE && chain_facts_parse(buf_str(&pem), pem.len, out, NULL) != ERR_NONE) {
		code = err_set(err, ERR_PROTOCOL, path, "is not a chain of certificates any more");
	}
	buf_clear(&pem);
	free(path);
	return code;
}

void lineage_current_clear(struct lineage_current *current)
{
	key_free(current->key);
	chain_free(current->chain);
	*current = (struct lineage_current){ 0 };
}

enum err_code lineage_link(const char *state, const char *name, struct err *err)
{
	static const char *const files[] = { "privkey.pem", "cert.pem", "chain.pem", FULLCHAIN };
	enum err_code code = ERR_NONE;

	for (size_t i = 0; i < ARRAY_LEN(files) && code == ERR_NONE; i++) {
		char *path = xasprintf("%s/" CERTS "/%s/%s", state, name, files[i]);
		char *target = path_join("current", files[i]);

		if (access(path, F_OK) != 0) {
			code = folder_symlink(target, path, err);
		}
		free(target);
		free(path);
	}
	return code;
}

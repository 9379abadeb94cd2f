/* export: what is in each copy, and for whom. */
#include "export.h"

#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>

#define PASSWORD_MAX 1024
#define PEM_MAX (KEY_PEM_MAX + CHAIN_PEM_MAX)

static const char *const part_names[] = {
	[EXPORT_KEY] = "privkey",
	[EXPORT_CERT] = "cert",
	[EXPORT_CHAIN] = "chain",
	[EXPORT_FULLCHAIN] = "fullchain",
};
static_assert(ARRAY_LEN(part_names) == EXPORT_PART_COUNT, "a name for each part");

const char *export_part_name(enum export_part part)
{
	return part_names[part];
}

/* ---- for whom ------------------------------------------------------------------------- */

static enum err_code read_rights(const struct conf_export *export, struct export_rights *out,
				 struct err *err)
{
	*out = (struct export_rights){
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
		.key_mode = (mode_t)strtoul(export->mode, NULL, 8),
		.export = export,
	};
	if (export->owner) {
		const struct passwd *user = getpwnam(export->owner);

		if (!user) {
			return err_set(err, ERR_CONFIG, "",
				       "there is no user \"%s\" on this host; make it, or change "
				       "owner",
				       export->owner);
		}
		out->uid = user->pw_uid;
	}
	if (export->group) {
		const struct group *group = getgrnam(export->group);

		if (!group) {
			return err_set(err, ERR_CONFIG, "",
				       "there is no group \"%s\" on this host; make it, or change "
				       "group",
				       export->group);
		}
		out->gid = group->gr_gid;
	}
	return ERR_NONE;
}

/* ---- what is in it -------------------------------------------------------------------- */

typedef enum err_code layout_fn(const struct export_args *args, const struct export_rights *rights,
				struct err *err);

static enum err_code write_set(const struct export_args *args, const struct export_rights *rights,
			       struct err *err)
{
	bool certbot = strcmp(args->export->layout, "certbot") == 0;
	struct export_set set;
	enum err_code code;

	key_format_pem(args->key, &set.part[EXPORT_KEY]);
	chain_format_leaf(args->chain, &set.part[EXPORT_CERT]);
	chain_format_rest(args->chain, &set.part[EXPORT_CHAIN]);
	chain_format_all(args->chain, &set.part[EXPORT_FULLCHAIN]);
	code = certbot ? export_certbot(args->path, &set, rights, err)
		       : export_files(args->path, &set, rights, err);
	buf_wipe(&set.part[EXPORT_KEY]);
	for (size_t i = 0; i < EXPORT_PART_COUNT; i++) {
		buf_clear(&set.part[i]);
	}
	return code;
}

static enum err_code write_haproxy(const struct export_args *args,
				   const struct export_rights *rights, struct err *err)
{
	struct buf all = BUF_INIT(PEM_MAX), part;
	enum err_code code;

	key_format_pem(args->key, &part);
	buf_add(&all, part.data, part.len);
	buf_wipe(&part);
	chain_format_all(args->chain, &part);
	buf_add(&all, part.data, part.len);
	buf_clear(&part);
	code = export_file(args->path, &all, rights, err);
	buf_wipe(&all);
	return code;
}

/* The first line of the file; gives. */
static enum err_code read_password(const char *path, char **out, struct err *err)
{
	struct buf text = BUF_INIT(PASSWORD_MAX);
	enum err_code code;
	size_t len;

	if (!path) {
		*out = xstrdup("");
		return ERR_NONE;
	}
	code = file_read_secret(path, PASSWORD_MAX, &text, err);
	if (code != ERR_NONE) {
		goto out;
	}
	len = strcspn(buf_str(&text), "\r\n");
	if (len == 0) {
		code = err_set(err, ERR_CONFIG, "",
			       "%s has no password in its first line; write one, or leave "
			       "password_file out",
			       path);
		goto out;
	}
	*out = xstrndup(buf_str(&text), len);
out:
	buf_wipe(&text);
	return code;
}

static enum err_code write_pkcs12(const struct export_args *args,
				  const struct export_rights *rights, struct err *err)
{
	char *password = NULL;
	struct buf file;
	enum err_code code = read_password(args->export->password_file, &password, err);

	if (code != ERR_NONE) {
		return code;
	}
	code = pkcs12_build(
		&(struct pkcs12_args){
			.key = args->key,
			.chain = args->chain,
			.name = args->name,
			.password = password,
		},
		&file, err);
	wipe_str(password);
	if (code == ERR_NONE) {
		code = export_file(args->path, &file, rights, err);
	}
	buf_wipe(&file);
	return code;
}

static const struct {
	const char *name;
	layout_fn *write;
} layouts[] = {
	{ "files", write_set },
	{ "certbot", write_set },
	{ "haproxy", write_haproxy },
	{ "pkcs12", write_pkcs12 },
};

enum err_code export_write(const struct export_args *args, struct err *err)
{
	struct export_rights rights;
	enum err_code code = read_rights(args->export, &rights, err);

	for (size_t i = 0; i < ARRAY_LEN(layouts) && code == ERR_NONE; i++) {
		if (strcmp(layouts[i].name, args->export->layout) == 0) {
			code = layouts[i].write(args, &rights, err);
		}
	}
	if (code != ERR_NONE) {
		err_subject(err, "%s", args->path);
	}
	return code;
}

/* plugin: shared objects, checked before any of their code runs, and never unloaded. */
#include "dns01/plugin.h"

#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct strlist loaded; /* paths */

/* Whoever may write it may do whatever we may. */
static enum err_code check_owner(int fd, const char *path, mode_t kind, struct err *err)
{
	struct stat info;

	if (fstat(fd, &info) < 0) {
		return err_set(err, ERR_IO, path, "cannot be looked at: %s", strerror(errno));
	}
	if ((info.st_mode & S_IFMT) != kind) {
		return err_set(err, ERR_CONFIG, path, "it is no %s",
			       kind == S_IFDIR ? "folder" : "regular file");
	}
	if (info.st_uid != 0 && info.st_uid != geteuid()) {
		return err_set(err, ERR_DENIED, path,
			       "it is loaded into dns01, so it must be root's; it belongs to the "
			       "user %u",
			       (unsigned)info.st_uid);
	}
	if (info.st_mode & 022) {
		return err_set(err, ERR_DENIED, path,
			       "it is loaded into dns01, but its mode %04o lets others write it; "
			       "run: chmod go-w %s",
			       (unsigned)(info.st_mode & 07777), path);
	}
	return ERR_NONE;
}

static bool is_name(const char *name)
{
	size_t len = name ? strlen(name) : 0;

	for (size_t i = 0; i < len; i++) {
		if (!islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i])) {
			return false;
		}
	}
	return len > 0 && len <= 40;
}

/* What MUST be there; NULL: all is. */
static const char *lacks(const struct provider *provider)
{
	const struct {
		const char *member;
		bool there;
	} musts[] = {
		{ "name (lower case letters and digits)", is_name(provider->name) },
		{ "summary", provider->summary != NULL },
		{ "privilege", provider->privilege != NULL },
		{ "example", provider->example != NULL },
		{ "settings", provider->settings != NULL || provider->setting_count == 0 },
		{ "unit", provider->unit < PROVIDER_UNIT_COUNT },
		{ "open", provider->open != NULL },
		{ "apply_start", provider->apply_start != NULL },
		{ "apply_cancel", provider->apply_cancel != NULL },
		{ "close", provider->close != NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(musts); i++) {
		if (!musts[i].there) {
			return musts[i].member;
		}
	}
	return NULL;
}

static enum err_code take(const struct provider *provider, const char *path, struct err *err)
{
	const char *missing;

	/* Nothing but abi is where we think it is before it was compared. */
	if (provider->abi != PROVIDER_ABI) {
		return err_set(err, ERR_CONFIG, path,
			       "it was built for version %u of the provider interface, and this "
			       "dns01 has %d; build it against this dns01's headers",
			       (unsigned)provider->abi, PROVIDER_ABI);
	}
	missing = lacks(provider);
	if (missing) {
		return err_set(err, ERR_CONFIG, path, "its table lacks a right %s", missing);
	}
	if (provider_add(provider, err) != ERR_NONE) {
		return err_subject(err, "%s", path);
	}
	log_info("%s: provider %s", path, provider->name);
	return ERR_NONE;
}

/* By the descriptor that was checked: another file may have the name by now. */
static enum err_code load(int fd, const char *path, struct err *err)
{
	char *by_fd = xasprintf("/proc/self/fd/%d", fd);
	void *object = dlopen(by_fd, RTLD_NOW | RTLD_LOCAL);
	const struct provider *provider = object ? dlsym(object, PLUGIN_SYMBOL) : NULL;
	enum err_code code;
	char why[300];

	if (!object) {
		snprintf(why, sizeof(why), "%s", dlerror());
		code = err_set(err, ERR_CONFIG, path, "cannot be loaded: %s", why);
	} else if (!provider) {
		code = err_set(err, ERR_CONFIG, path, "it is no provider: it has no symbol %s",
			       PLUGIN_SYMBOL);
	} else {
		code = take(provider, path, err);
	}
	free(by_fd);
	return code;
}

static enum err_code load_file(int folder, const char *name, const char *path, struct err *err)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	enum err_code code;

	if (fd < 0) {
		return err_set(err, ERR_IO, path, "cannot be opened: %s", strerror(errno));
	}
	code = check_owner(fd, path, S_IFREG, err);
	if (code == ERR_NONE) {
		code = load(fd, path, err);
	}
	if (code != ERR_NONE) {
		close(fd);
		return code;
	}
	/* The dynamic linker knows it by the descriptor's number, so it stays open. */
	strlist_add(&loaded, path);
	return ERR_NONE;
}

static int is_object(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 3 && strcmp(entry->d_name + len - 3, ".so") == 0;
}

enum err_code plugins_load(const char *folder, struct err *err)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **entries = NULL;
	enum err_code code;
	int count = 0;

	if (fd < 0) {
		return err_set(err, ERR_CONFIG, folder,
			       "the folder of plug-ins cannot be opened: %s", strerror(errno));
	}
	code = check_owner(fd, folder, S_IFDIR, err);
	if (code == ERR_NONE) {
		count = scandirat(fd, ".", &entries, is_object, alphasort);
	}
	for (int i = 0; i < count; i++) {
		char *path = path_join(folder, entries[i]->d_name);

		if (code == ERR_NONE && !strlist_has(&loaded, path)) {
			code = load_file(fd, entries[i]->d_name, path, err);
		}
		free(path);
		free(entries[i]);
	}
	free(entries);
	close(fd);
	return code;
}

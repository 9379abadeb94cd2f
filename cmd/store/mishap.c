/* What failed lately for those who are not there to be told, kept for `dns01 status`. */
#include "dns01/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "dns01/json.h"

#include "folder.h"

#define MISHAPS_FILE "mishaps.json" /* an object a line */
#define MISHAPS_OLD "mishaps.json.old"
#define FILE_MAX (64 * 1024)
#define READ_MAX (FILE_MAX + 16 * 1024) /* a line may be the last straw */

/* Lines of several processes do not mix: each is one write to the end. */
void mishap_note(const char *state, const struct mishap *mishap)
{
	char *path = path_join(state, MISHAPS_FILE), *old = path_join(state, MISHAPS_OLD);
	struct json *object = json_object();
	char *text, *line = NULL;
	struct stat st;
	struct err err;
	int fd = -1;

	json_set_int(object, "at", mishap->at_s);
	json_set_str(object, "who", mishap->who);
	json_set_str(object, "name", mishap->name);
	json_set_str(object, "code", mishap->code);
	json_set_str(object, "text", mishap->text);
	text = json_dump(object);
	line = xasprintf("%s\n", text);
	if (stat(path, &st) == 0 && st.st_size > FILE_MAX && rename(path, old) != 0) {
		log_debug("%s: %s", path, strerror(errno));
	}
	if (state_file_make(state, MISHAPS_FILE, &err) == ERR_NONE) {
		fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	}
	if (fd < 0 || write(fd, line, strlen(line)) != (ssize_t)strlen(line)) {
		log_debug("%s: what failed is not noted: %s", path, strerror(errno));
	}
	if (fd >= 0) {
		close(fd);
	}
	free(line);
	free(text);
	free(path);
	free(old);
	json_free(object);
}

static void read_line(const char *line, size_t len, mishap_each *each, void *arg)
{
	struct json *object = NULL;
	struct mishap mishap;
	struct err err;

	if (json_parse(line, len, &object, &err) != ERR_NONE) {
		return; /* cut off by a full disk */
	}
	mishap = (struct mishap){
		.at_s = json_int(object, "at", 0),
		.who = json_str(object, "who"),
		.name = json_str(object, "name"),
		.code = json_str(object, "code"),
		.text = json_str(object, "text"),
	};
	if (mishap.who && mishap.text) {
		each(arg, &mishap);
	}
	json_free(object);
}

void mishap_list(const char *state, size_t most, mishap_each *each, void *arg)
{
	static const char *const files[] = { MISHAPS_OLD, MISHAPS_FILE };
	struct buf all = BUF_INIT(2 * READ_MAX);
	size_t lines = 0, at, len;

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char *path = path_join(state, files[i]);
		struct buf text = BUF_INIT(0);

		if (access(path, R_OK) == 0 && file_read(path, READ_MAX, &text, NULL) == ERR_NONE) {
			buf_add(&all, text.data, text.len);
		}
		buf_clear(&text);
		free(path);
	}
	for (at = 0; at < all.len; at++) {
		lines += all.data[at] == '\n';
	}
	for (at = 0; at < all.len; at += len + 1) {
		len = strcspn(all.data + at, "\n");
		if (lines-- <= most) {
			read_line(all.data + at, len, each, arg);
		}
	}
	buf_clear(&all);
}

/* audit: a line of JSON for each request, granted or refused. Never a secret. */
#include "internal.h"

#include <errno.h>

void audit_write(struct broker *broker, const struct audit *line)
{
	struct json *object = json_object();
	struct buf text = BUF_INIT(JSON_TEXT_MAX);
	char now[32], until[32];
	char *dumped;

	time_format(now, world_wall_s(broker->world));
	json_set_str(object, "time", now);
	json_set_str(object, "door", line->door);
	json_set_str(object, "action", line->action);
	json_set_str(object, "client", line->who ? line->who->grant->name : line->client);
	json_set_str(object, "credential", line->who ? line->who->credential : NULL);
	json_set_str(object, "from", line->who ? line->who->from_text : line->from);
	json_set_str(object, "name", line->name);
	json_set_str(object, "owner", line->owner);
	json_set_str(object, "value", line->value);
	json_set_str(object, "view", line->view);
	json_set_str(object, "verdict", line->verdict);
	json_set_str(object, "reason", line->reason);
	json_set_str(object, "text", line->text);
	if (line->lease_until > 0) {
		time_format(until, line->lease_until);
		json_set_str(object, "lease_until", until);
	}
	dumped = json_dump(object);
	json_free(object);
	buf_add_str(&text, dumped);
	buf_add_str(&text, "\n");
	free(dumped);
	if (write(broker->audit_fd, text.data, text.len) != (ssize_t)text.len) {
		log_error("an audit line cannot be written: %s", strerror(errno));
	}
	buf_clear(&text);
}

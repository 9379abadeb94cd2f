/* audit: a line of JSON for each request, granted or refused. Never a secret. */
#include "internal.h"

#include <errno.h>

#define AUDIT_FULL (64 * 1024)

void audit_flush(struct broker *broker)
{
	struct buf *lines = &broker->audit;

	if (lines->len > 0 &&
	    write(broker->audit_fd, lines->data, lines->len) != (ssize_t)lines->len) {
		log_error("audit lines cannot be written: %s", strerror(errno));
	}
	lines->len = 0;
}

static void on_audit_due(void *arg)
{
	struct broker *broker = arg;

	broker->audit_due = NULL;
	audit_flush(broker);
}

void audit_write(struct broker *broker, const struct audit *line)
{
	struct json *object = json_object();
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
	if (broker->audit.len > AUDIT_FULL) {
		audit_flush(broker);
	}
	buf_add_str(&broker->audit, dumped);
	buf_add_str(&broker->audit, "\n");
	free(dumped);
	if (!broker->audit_due) {
		broker->audit_due = world_timer_start(broker->world, 0, on_audit_due, broker);
	}
}

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

/* Most lines of a second say the same time. */
static const char *now_text(struct broker *broker)
{
	int64_t now_s = world_wall_s(broker->world);

	if (broker->audit_now_s != now_s || broker->audit_now[0] == '\0') {
		time_format(broker->audit_now, now_s);
		broker->audit_now_s = now_s;
	}
	return broker->audit_now;
}

void audit_write(struct broker *broker, const struct audit *line)
{
	struct buf *out = &broker->audit;
	char until[32];

	if (out->len > AUDIT_FULL) {
		audit_flush(broker);
	}
	json_put_open(out, NULL, JSON_KIND_OBJECT);
	json_put_str(out, "time", now_text(broker));
	json_put_str(out, "door", line->door);
	json_put_str(out, "action", line->action);
	json_put_str(out, "client", line->who ? line->who->grant->name : line->client);
	json_put_str(out, "credential", line->who ? line->who->credential : NULL);
	json_put_str(out, "from", line->who ? line->who->from_text : line->from);
	json_put_str(out, "name", line->name);
	json_put_str(out, "owner", line->owner);
	json_put_str(out, "value", line->value);
	json_put_str(out, "view", line->view);
	json_put_str(out, "verdict", line->verdict);
	json_put_str(out, "reason", line->reason);
	json_put_str(out, "text", line->text);
	if (line->lease_until > 0) {
		time_format(until, line->lease_until);
		json_put_str(out, "lease_until", until);
	}
	json_put_close(out, JSON_KIND_OBJECT);
	buf_add_str(out, "\n");
	if (!broker->audit_due) {
		broker->audit_due = world_timer_start(broker->world, 0, on_audit_due, broker);
	}
}

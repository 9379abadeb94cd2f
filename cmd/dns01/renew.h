/* What `dns01 renew` shows, for people and as JSON. */
#ifndef DNS01_RENEW_H
#define DNS01_RENEW_H

#include "cli.h"

/* One run as it is shown. */
struct renew_show;
struct renew_show *renew_show_new(struct cli *cli);
void renew_show_begin(struct renew_show *show, const struct roster *roster); /* kept */
/* The listeners of a fleet; arg is the renew_show. */
void renew_show_event(void *arg, const struct fleet_event *event);
void renew_show_deploy(void *arg, const struct deploy_event *event);
/* The end of the run: what was left out, and with --json everything. Sets cli->status, where it
 * is still 0. */
void renew_show_end(struct renew_show *show, const struct err *err,
		    const struct fleet_result *result);
void renew_show_free(struct renew_show *show);
void renew_show_plan(struct cli *cli, const struct roster *roster);

/* A plan as JSON: "state", "reason", "why", "at". */
void renew_plan_json(struct json *object, const struct roster *roster,
		     const struct roster_item *item);

#endif

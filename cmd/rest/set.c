/* set: the TXT values at one owner name: what is there, and what shall be. */
#include "internal.h"

static void value_clear(struct rest_value *value)
{
	free(value->text);
	free(value->raw);
	free(value->id);
}

void values_free(struct rest_value *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		value_clear(&values[i]);
	}
	free(values);
}

static char *label_of(const char *owner, const struct rest_zone *zone)
{
	size_t len = strlen(owner), below = zone ? strlen(zone->name) + 1 : 0;

	if (!zone) {
		return xstrdup(owner);
	}
	return len > below ? xstrndup(owner, len - below) : xstrdup("");
}

void set_init(struct rest_set *set, const char *owner, const struct rest_zone *zone)
{
	*set = (struct rest_set){ .owner = owner, .zone = zone, .label = label_of(owner, zone) };
}

void set_forget(struct rest_set *set)
{
	values_free(set->value, set->value_count);
	values_free(set->old, set->old_count);
	free(set->tag);
	set->value = set->old = NULL;
	set->value_count = set->old_count = 0;
	set->is_known = false;
	set->tag = NULL;
	set->old_ttl_s = 0;
}

void set_clear(struct rest_set *set)
{
	set_forget(set);
	free(set->label);
	strlist_clear(&set->add);
	strlist_clear(&set->remove);
}

bool set_has(const struct rest_set *set, const char *text)
{
	for (size_t i = 0; i < set->value_count; i++) {
		if (strcmp(set->value[i].text, text) == 0) {
			return true;
		}
	}
	return false;
}

static void append(struct rest_set *set, struct rest_value value)
{
	set->value = xreallocarray(set->value, set->value_count + 1, sizeof(*set->value));
	set->value[set->value_count++] = value;
}

bool set_merge(struct rest_set *set, uint32_t ttl_s)
{
	bool changed = false;

	set->old = set->value;
	set->old_count = set->value_count;
	set->value = NULL;
	set->value_count = 0;
	set->ttl_s = set->old_count > 0 && set->old_ttl_s > 0 ? set->old_ttl_s : ttl_s;
	for (size_t i = 0; i < set->old_count; i++) {
		const struct rest_value *old = &set->old[i];

		if (strlist_has(&set->remove, old->text)) {
			changed = true;
			continue;
		}
		append(set, (struct rest_value){ xstrdup(old->text), xstrdup(old->raw),
						 xstrdup(old->id) });
	}
	for (size_t i = 0; i < set->add.count; i++) {
		if (!set_has(set, set->add.item[i])) {
			append(set, (struct rest_value){ .text = xstrdup(set->add.item[i]) });
			changed = true;
		}
	}
	return changed;
}

/* ---- what a read finds ------------------------------------------------------------------- */

/* A set that is not known whole is never written: the walk fails. */
static void found(struct rest_walk *walk, struct rest_value value)
{
	if (walk->set->value_count == REST_VALUES_MAX) {
		value_clear(&value);
		((struct walk *)(void *)walk)->overflow = true;
		return;
	}
	append(walk->set, value);
}

void rest_value(struct rest_walk *walk, const char *raw, const char *id)
{
	if (raw) {
		found(walk, (struct rest_value){ rest_unquote(raw), xstrdup(raw), xstrdup(id) });
	}
}

void rest_value_text(struct rest_walk *walk, const char *text, const char *raw)
{
	found(walk, (struct rest_value){ .text = xstrdup(text), .raw = xstrdup(raw) });
}

void rest_set_is(struct rest_walk *walk, int64_t ttl_s, const char *tag)
{
	walk->set->old_ttl_s = ttl_s > 0 && ttl_s <= UINT32_MAX ? (uint32_t)ttl_s : 0;
	free(walk->set->tag);
	walk->set->tag = xstrdup(tag);
}

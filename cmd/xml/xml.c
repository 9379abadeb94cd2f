/* xml: a tree built by expat's callbacks, within maxima. */
#include "dns01/xml.h"

#include <expat.h>

struct xml {
	char *name;
	struct buf text;
	struct xml *parent, *child, *last, *next;
};

struct reading {
	XML_Parser parser;
	struct xml *root, *at;
	size_t depth, count;
	const char *why; /* it is refused; NULL: it is not */
};

void xml_free(struct xml *root)
{
	struct xml *at = root;

	/* Without recursion, though depth is bounded: children first, then up. */
	while (at) {
		struct xml *child = at->child, *up = at == root ? NULL : at->parent;

		if (child) {
			at->child = child->next;
			at = child;
			continue;
		}
		free(at->name);
		buf_clear(&at->text);
		free(at);
		at = up;
	}
}

static void refuse(struct reading *reading, const char *why)
{
	if (!reading->why) {
		reading->why = why;
		XML_StopParser(reading->parser, XML_FALSE);
	}
}

static void on_open(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct reading *reading = arg;
	struct xml *element, *parent = reading->at;
	const char *colon = strrchr(name, ':');

	(void)attributes;
	if (reading->depth == XML_DEPTH_MAX || reading->count == XML_ELEMENTS_MAX) {
		refuse(reading, "it has too many elements");
		return;
	}
	reading->depth++;
	reading->count++;
	element = xcalloc(1, sizeof(*element));
	element->name = xstrdup(colon ? colon + 1 : name);
	element->parent = parent;
	buf_init(&element->text, XML_TEXT_MAX);
	if (!parent) {
		reading->root = element;
	} else if (parent->last) {
		parent->last->next = element;
	} else {
		parent->child = element;
	}
	if (parent) {
		parent->last = element;
	}
	reading->at = element;
}

static void on_close(void *arg, const XML_Char *name)
{
	struct reading *reading = arg;
	struct buf *text = &reading->at->text;

	(void)name;
	while (text->len > 0 && strchr(" \t\r\n", text->data[text->len - 1])) {
		text->data[--text->len] = '\0';
	}
	reading->depth--;
	reading->at = reading->at->parent;
}

static void on_text(void *arg, const XML_Char *text, int len)
{
	struct reading *reading = arg;

	if (reading->at) {
		buf_add(&reading->at->text, text, (size_t)len);
	}
}

static void on_doctype(void *arg, const XML_Char *name, const XML_Char *system_id,
		       const XML_Char *public_id, int has_subset)
{
	(void)name;
	(void)system_id;
	(void)public_id;
	(void)has_subset;
	refuse(arg, "it has a document type");
}

enum err_code xml_parse(const char *text, size_t len, struct xml **out, struct err *err)
{
	struct reading reading = { .parser = XML_ParserCreate(NULL) };
	enum err_code code = ERR_NONE;

	if (!reading.parser) {
		return err_set(err, ERR_INTERNAL, "", "out of memory");
	}
	XML_SetUserData(reading.parser, &reading);
	XML_SetElementHandler(reading.parser, on_open, on_close);
	XML_SetCharacterDataHandler(reading.parser, on_text);
	XML_SetStartDoctypeDeclHandler(reading.parser, on_doctype);
	if (len > XML_TEXT_MAX) {
		code = err_set(err, ERR_PROTOCOL, "", "the XML is longer than %d octets",
			       XML_TEXT_MAX);
	} else if (XML_Parse(reading.parser, text, (int)len, XML_TRUE) != XML_STATUS_OK) {
		code = err_set(err, ERR_PROTOCOL, "", "not acceptable XML, line %lu: %s",
			       (unsigned long)XML_GetCurrentLineNumber(reading.parser),
			       reading.why ? reading.why
					   : XML_ErrorString(XML_GetErrorCode(reading.parser)));
	}
	XML_ParserFree(reading.parser);
	if (code != ERR_NONE) {
		xml_free(reading.root);
		return code;
	}
	*out = reading.root;
	return ERR_NONE;
}

const char *xml_name(const struct xml *element)
{
	return element ? element->name : NULL;
}

static const struct xml *find(const struct xml *from, const char *name, size_t len)
{
	while (from && (strncmp(from->name, name, len) != 0 || from->name[len] != '\0')) {
		from = from->next;
	}
	return from;
}

const struct xml *xml_get(const struct xml *element, const char *path)
{
	if (!path) {
		return element ? element->child : NULL;
	}
	while (element && *path) {
		size_t len = strcspn(path, "/");

		element = find(element->child, path, len);
		path += len + (path[len] == '/');
	}
	return element;
}

const struct xml *xml_next(const struct xml *element)
{
	return element ? find(element->next, element->name, strlen(element->name)) : NULL;
}

const char *xml_text(const struct xml *element)
{
	const char *text = element ? buf_str(&element->text) : "";

	return text + strspn(text, " \t\r\n");
}

const char *xml_str(const struct xml *element, const char *path)
{
	const struct xml *found = xml_get(element, path);

	return found ? xml_text(found) : NULL;
}

void xml_escape(struct buf *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			buf_add_str(out, "&amp;");
			break;
		case '<':
			buf_add_str(out, "&lt;");
			break;
		case '>':
			buf_add_str(out, "&gt;");
			break;
		case '"':
			buf_add_str(out, "&quot;");
			break;
		default:
			buf_add(out, text, 1);
		}
	}
}

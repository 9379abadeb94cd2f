/*
 * xml: the only user of expat. Documents of peers as a tree, and text for documents of our own.
 *
 * Expat and not libxml2: what APIs send is elements and text, so a parser is enough; it is on
 * nearly every Debian already (Python, D-Bus and git need it), and a tenth of the size. DTDs and
 * entities but the five of XML are refused, so nothing outside is read and nothing multiplies.
 */
#ifndef DNS01_XML_H
#define DNS01_XML_H

#include "dns01/base.h"

#define XML_TEXT_MAX (4 * 1024 * 1024)
#define XML_DEPTH_MAX 32
#define XML_ELEMENTS_MAX (64 * 1024)

struct xml; /* an element */

/* Gives the root; ERR_PROTOCOL with the line. Namespaces are dropped from names. */
enum err_code xml_parse(const char *text, size_t len, struct xml **out, struct err *err) MUST_CHECK;
void xml_free(struct xml *root); /* NULL is fine */

/* All borrowed; NULL parents are fine and give NULL. */
const char *xml_name(const struct xml *element);
/* The first child of that name (NULL: any). path "A/B" looks for B in A. */
const struct xml *xml_get(const struct xml *element, const char *path);
/* The next element beside it with the same name. */
const struct xml *xml_next(const struct xml *element);
/* The text in an element without leading and trailing blanks; "" where it has none. */
const char *xml_text(const struct xml *element);
/* The text of xml_get(); NULL: there is no such element. */
const char *xml_str(const struct xml *element, const char *path);

void xml_escape(struct buf *out, const char *text); /* & < > " */

#endif

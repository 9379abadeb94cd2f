/*
 * syntax: reads a configuration's text before libconfig does, because
 * libconfig 1.5 says no more than "syntax error", and takes some mistakes in
 * silence: 0600 becomes 600, 4294967296 becomes 0, two strings without a comma
 * become one. Private to conf.
 */
#ifndef CONF_SYNTAX_H
#define CONF_SYNTAX_H

#include "dns01/base.h"

/* source is the file's name in sentences. */
enum err_code syntax_check(const char *text, const char *source, struct err *err) MUST_CHECK;

#endif

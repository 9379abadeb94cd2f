/*
 * plugin: providers that are not built in. Each is a shared object that exports
 *
 *   const struct provider dns01_provider = { .abi = PROVIDER_ABI, ... };
 *
 * and uses what the contract headers from provider.h down declare, and rest.h.
 */
#ifndef DNS01_PLUGIN_H
#define DNS01_PLUGIN_H

#include "dns01/provider.h"

#define PLUGIN_SYMBOL "dns01_provider"

/* Loads each NAME.so of a folder, in the order of their names; what is loaded already stays as it
 * is. Folder and files must be root's or ours, and writable by nobody else. The first that will
 * not do ends it, with a sentence that names the file. */
enum err_code plugins_load(const char *folder, struct err *err) MUST_CHECK;

#endif

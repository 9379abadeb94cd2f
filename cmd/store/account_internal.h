/* account.c (load, save), account_next.c (a change of keys). Private to store. */
#ifndef DNS01_STORE_ACCOUNT_INTERNAL_H
#define DNS01_STORE_ACCOUNT_INTERNAL_H

#include "dns01/store.h"

#define ACCOUNT_FOLDERS "accounts" /* in the state folder */
#define ACCOUNT_KEY_FILE "account.key"

/* record->next, and the lock with it, where a change of keys was cut off. */
enum err_code account_load_next(const char *folder, struct account_record *record,
				struct err *err) MUST_CHECK;

#endif

/*
 * A CA for the tests of acme. It checks each signed request as RFC 8555 s.6
 * tells a server to (algorithm, signature, nonce used once, URL, kid or jwk) and
 * keeps one order. Knobs and two hooks make it slow, wrong or hostile.
 */
#ifndef DNS01_TEST_ACME_CA_H
#define DNS01_TEST_ACME_CA_H

#include <openssl/bio.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "acme/fake_world.h"
#include "dns01/json.h"

#define CA "https://ca.test"
#define CA_ACCOUNT CA "/acct/1?x=%7E"
#define CA_PEM "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
#define CA_PROBLEM "urn:ietf:params:acme:error:"
#define CA_NAMES_MAX 128

struct ca;

struct ca_request {
	const struct asked *asked;
	const char *path; /* of the URL, after CA */
	const char *kid;
	const struct json *jwk;
	const char *payload;
	unsigned number; /* of all requests, from 1 */
};

struct ca {
	struct fake fake;
	EVP_PKEY *account_key;
	EVP_PKEY *other_key; /* NULL: none; of requests with its jwk */
	char *other_jwk;
	bool other_has_account; /* the account is that key's */
	struct strlist nonces;  /* given and not used yet */
	unsigned nonces_given, heads, requests, bad_nonces;
	char wrong[256]; /* the first rule that a request broke */

	/* knobs */
	unsigned bad_nonce_every; /* rejects each n-th signed request */
	int64_t validate_us, issue_us;
	const char *order_retry_after; /* while pending or processing */
	const char *directory_meta;    /* JSON members after "newOrder" */
	const char *order_members;     /* JSON members of the order, with a comma in front */
	bool authz_valid;              /* they are reused */
	const char *authz_problem;     /* NULL: all become valid; else the JSON of why not */
	size_t authz_bad;              /* so many of them, from the first */
	bool quiet;                    /* answers bring no nonce, but for newNonce's */
	/* True: answered, nothing else happens. */
	bool (*before)(struct ca *ca, const struct ca_request *request, struct answer *answer);
	void (*after)(struct ca *ca, const struct ca_request *request, struct answer *answer);

	/* the order */
	struct strlist names;
	bool answered[CA_NAMES_MAX];
	size_t answered_count;
	int64_t answered_at_us, finalized_at_us; /* 0: not yet */
	unsigned orders, polls, finalizes, authz_loads;
	char *last_payload; /* of the latest signed request */
};

static inline void ca_wrong(struct ca *ca, const char *rule)
{
	if (!*ca->wrong) {
		snprintf(ca->wrong, sizeof(ca->wrong), "request %u: %s", ca->requests, rule);
	}
}

static inline void ca_problem(struct answer *answer, int status, const char *type,
			      const char *detail)
{
	answer_clear(answer);
	answer->status = status;
	answer_header(answer, "content-type", "application/problem+json");
	buf_addf(&answer->body, "{\"type\":\"" CA_PROBLEM "%s\",\"detail\":\"%s\"}", type, detail);
}

static inline void ca_html(struct answer *answer, int status)
{
	answer_clear(answer);
	answer->status = status;
	answer_header(answer, "content-type", "text/html");
	buf_add_str(&answer->body, "<html><h1>Bad Gateway</h1></html>");
}

static inline bool ca_is(const struct ca_request *request, const char *path)
{
	return strcmp(request->path, path) == 0;
}

static inline bool ca_under(const struct ca_request *request, const char *path)
{
	return strncmp(request->path, path, strlen(path)) == 0;
}

/* ---- signatures ---- */

static inline char *ca_decode(const char *text)
{
	size_t max = text ? strlen(text) + 1 : 1;
	char *out = xcalloc(max + 1, 1);
	size_t len = 0;

	if (!text || (*text && !base64url_decode(text, strlen(text), (uint8_t *)out, max, &len))) {
		free(out);
		return NULL;
	}
	return out;
}

static inline bool ca_signed(EVP_PKEY *key, const struct json *jws)
{
	char *data = xasprintf("%s.%s", json_str(jws, "protected"), json_str(jws, "payload"));
	const char *text = json_str(jws, "signature");
	uint8_t raw[64];
	uint8_t der[128];
	uint8_t *end = der;
	size_t len = 0;
	bool good = text && base64url_decode(text, strlen(text), raw, sizeof(raw), &len) &&
		    len == sizeof(raw);
	ECDSA_SIG *signature = ECDSA_SIG_new();
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	ECDSA_SIG_set0(signature, BN_bin2bn(raw, 32, NULL), BN_bin2bn(raw + 32, 32, NULL));
	len = (size_t)i2d_ECDSA_SIG(signature, &end);
	good = good && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
	       EVP_DigestVerify(context, der, len, (uint8_t *)data, strlen(data)) == 1;
	EVP_MD_CTX_free(context);
	ECDSA_SIG_free(signature);
	free(data);
	return good;
}

static inline bool ca_nonce_used(struct ca *ca, const char *nonce)
{
	for (size_t i = 0; nonce && i < ca->nonces.count; i++) {
		if (strcmp(ca->nonces.item[i], nonce) == 0) {
			free(ca->nonces.item[i]);
			ca->nonces.item[i] = ca->nonces.item[--ca->nonces.count];
			ca->nonces.item[ca->nonces.count] = NULL;
			return true;
		}
	}
	return false;
}

/* RFC 8555 s.6.2: "jwk" where there is no account to name. */
static inline bool ca_wants_jwk(const struct ca_request *request)
{
	return ca_is(request, "/new-acct") || (ca_is(request, "/revoke") && !request->kid);
}

/* Whose key the request names. */
static inline EVP_PKEY *ca_signer(const struct ca *ca, const struct ca_request *request)
{
	char *jwk = request->jwk ? json_dump(request->jwk) : NULL;
	bool other = jwk ? ca->other_jwk && strcmp(jwk, ca->other_jwk) == 0 : ca->other_has_account;

	free(jwk);
	return other ? ca->other_key : ca->account_key;
}

/* RFC 8555 s.6.2-6.5; false: badNonce was answered. */
static inline bool ca_check(struct ca *ca, struct ca_request *request, const struct json *jws,
			    const struct json *header, struct answer *answer)
{
	const char *alg = json_str(header, "alg");
	const char *url = json_str(header, "url");
	const char *type = request->asked->content_type;
	size_t members = 0;
	const char *key;
	const struct json *value;

	while (json_member(header, members, &key, &value)) {
		members++;
	}
	request->kid = json_str(header, "kid");
	request->jwk = json_get(header, "jwk");
	if (members != 4 || !alg || strcmp(alg, "ES256") != 0) {
		ca_wrong(ca, "protected header");
	} else if (!url || strcmp(url, request->asked->url) != 0) {
		ca_wrong(ca, "url is not the request's");
	} else if (!type || strcmp(type, "application/jose+json") != 0) {
		ca_wrong(ca, "content type");
	} else if (!ca_signed(ca_signer(ca, request), jws)) {
		ca_wrong(ca, "signature");
	} else if (ca_wants_jwk(request) ? !request->jwk : !request->kid) {
		ca_wrong(ca, "jwk or kid");
	} else if (request->kid && strcmp(request->kid, CA_ACCOUNT) != 0) {
		ca_wrong(ca, "kid is not the account's URL");
	}
	if (!ca_nonce_used(ca, json_str(header, "nonce"))) {
		ca_wrong(ca, "a nonce that is not ours, or used twice");
	}
	if (ca->bad_nonce_every && request->number % ca->bad_nonce_every == 0) {
		ca->bad_nonces++;
		ca_problem(answer, 400, "badNonce", "try again");
		return false;
	}
	return true;
}

/* ---- objects ---- */

static inline void ca_directory(const struct ca *ca, struct answer *answer)
{
	buf_addf(&answer->body,
		 "{\"newNonce\":\"" CA "/nonce\",\"newAccount\":\"" CA "/new-acct\","
		 "\"x7Qk\":\"https://community.letsencrypt.org/\",\"newOrder\":\"" CA
		 "/new-order\"%s}",
		 ca->directory_meta ? ca->directory_meta : "");
}

static inline const char *ca_order_status(const struct ca *ca)
{
	int64_t now_us = ca->fake.now_us;

	if (ca->finalized_at_us) {
		return now_us >= ca->finalized_at_us + ca->issue_us ? "valid" : "processing";
	}
	if (ca->authz_valid) {
		return "ready";
	}
	if (ca->answered_count < ca->names.count || now_us < ca->answered_at_us + ca->validate_us) {
		return "pending";
	}
	return ca->authz_problem ? "invalid" : "ready";
}

static inline void ca_order(const struct ca *ca, struct answer *answer)
{
	const char *status = ca_order_status(ca);
	struct buf *body = &answer->body;

	buf_addf(body, "{\"status\":\"%s\",\"expires\":\"2026-12-01T00:00:00Z\",\"identifiers\":[",
		 status);
	for (size_t i = 0; i < ca->names.count; i++) {
		buf_addf(body, "%s{\"type\":\"dns\",\"value\":\"%s\"}", i ? "," : "",
			 ca->names.item[i]);
	}
	buf_add_str(body, "],\"authorizations\":[");
	for (size_t i = ca->names.count; i > 0; i--) {
		buf_addf(body, "\"" CA "/authz/%zu\"%s", i - 1, i > 1 ? "," : "");
	}
	buf_add_str(body, "],\"finalize\":\"" CA "/finalize/1\"");
	if (strcmp(status, "valid") == 0) {
		buf_add_str(body, ",\"certificate\":\"" CA "/cert/1\"");
	} else if (ca->order_retry_after && strcmp(status, "ready") != 0) {
		answer_header(answer, "retry-after", ca->order_retry_after);
	}
	buf_addf(body, "%s}", ca->order_members ? ca->order_members : "");
}

static inline void ca_authz(const struct ca *ca, size_t i, struct answer *answer)
{
	const char *name = ca->names.item[i];
	bool wildcard = strncmp(name, "*.", 2) == 0;
	bool over = strcmp(ca_order_status(ca), "pending") != 0;
	bool bad = over && ca->authz_problem && i < ca->authz_bad;
	const char *status = over ? (bad ? "invalid" : "valid") : "pending";
	struct buf *body = &answer->body;

	buf_addf(body, "{\"status\":\"%s\",\"expires\":\"2026-12-01T00:00:00Z\",", status);
	buf_addf(body, "\"identifier\":{\"type\":\"dns\",\"value\":\"%s\"},%s",
		 wildcard ? name + 2 : name, wildcard ? "\"wildcard\":true," : "");
	buf_add_str(body, "\"challenges\":[");
	buf_add_str(body,
		    "{\"type\":\"dns-persist-01\",\"status\":\"pending\",\"url\":\"" CA "\"},");
	buf_addf(body, "{\"type\":\"dns-01\",\"status\":\"%s\",\"url\":\"" CA "/chall/%zu\",",
		 status, i);
	buf_addf(body, "\"token\":\"evaGxfADs6pSRb2LAv9IZf17Dt3juxGJyPCt92wr-%zu\"", i);
	buf_addf(body, "%s%s}]}", bad ? ",\"error\":" : "", bad ? ca->authz_problem : "");
}

static inline void ca_new_order(struct ca *ca, const struct ca_request *request,
				struct answer *answer)
{
	struct json *payload = NULL;
	struct err err;
	const struct json *list;

	if (json_parse(request->payload, strlen(request->payload), &payload, &err) != ERR_NONE) {
		ca_wrong(ca, "newOrder's payload");
		return;
	}
	list = json_get(payload, "identifiers");
	strlist_clear(&ca->names);
	for (size_t i = 0; i < json_len(list); i++) {
		strlist_add(&ca->names, json_str(json_at(list, i), "value"));
	}
	json_free(payload);
	ca->orders++;
	answer->status = 201;
	answer_header(answer, "location", CA "/order/1?o=%2F");
	ca_order(ca, answer);
}

static inline void ca_challenge(struct ca *ca, const struct ca_request *request,
				struct answer *answer)
{
	uint64_t i = 0;

	if (!text_parse_u64(request->path + strlen("/chall/"), ca->names.count - 1, &i) ||
	    strcmp(request->payload, "{}") != 0) {
		ca_wrong(ca, "challenge");
		return;
	}
	if (!ca->answered[i]) {
		ca->answered[i] = true;
		ca->answered_count++;
		ca->answered_at_us = ca->fake.now_us;
	}
	buf_addf(&answer->body,
		 "{\"type\":\"dns-01\",\"status\":\"processing\",\"url\":\"" CA "%s\","
		 "\"token\":\"evaGxfADs6pSRb2LAv9IZf17Dt3juxGJyPCt92wr-%zu\"}",
		 request->path, (size_t)i);
}

static inline void ca_finalize(struct ca *ca, const struct ca_request *request,
			       struct answer *answer)
{
	ca->finalizes++;
	if (strcmp(ca_order_status(ca), "ready") != 0) {
		ca_problem(answer, 403, "orderNotReady", "the order is not ready");
		return;
	}
	if (strncmp(request->payload, "{\"csr\":\"", 8) != 0) {
		ca_wrong(ca, "csr");
	}
	ca->finalized_at_us = ca->fake.now_us;
	ca_order(ca, answer);
}

static inline void ca_post(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	bool as_get = *request->payload == '\0';

	if (ca_is(request, "/new-acct")) {
		answer->status = 201;
		answer_header(answer, "location", CA_ACCOUNT);
		buf_add_str(&answer->body, "{\"status\":\"valid\"}");
	} else if (ca_is(request, "/new-order")) {
		ca_new_order(ca, request, answer);
	} else if (ca_under(request, "/order/1") && as_get) {
		ca->polls++;
		ca_order(ca, answer);
	} else if (ca_under(request, "/authz/") && as_get) {
		uint64_t i = 0;

		ca->authz_loads++;
		assert_true(text_parse_u64(request->path + 7, ca->names.count - 1, &i));
		ca_authz(ca, (size_t)i, answer);
	} else if (ca_under(request, "/chall/")) {
		ca_challenge(ca, request, answer);
	} else if (ca_under(request, "/finalize/")) {
		ca_finalize(ca, request, answer);
	} else if (ca_under(request, "/cert/") && as_get) {
		answer_header(answer, "content-type", "application/pem-certificate-chain");
		buf_add_str(&answer->body, CA_PEM CA_PEM);
	} else {
		ca_wrong(ca, "an unknown URL, or no POST-as-GET");
		ca_problem(answer, 404, "malformed", "no such page");
	}
}

/* ---- serving ---- */

static inline void ca_give_nonce(struct ca *ca, struct answer *answer)
{
	char *nonce = xasprintf("nonce-%u", ++ca->nonces_given);

	answer_header(answer, "replay-nonce", nonce);
	strlist_take(&ca->nonces, nonce);
}

static inline void ca_serve_signed(struct ca *ca, struct ca_request *request, struct answer *answer)
{
	struct json *jws = NULL;
	struct json *header = NULL;
	const char *body = request->asked->body;
	char *text = NULL;
	char *payload = NULL;
	struct err err;

	if (json_parse(body, strlen(body), &jws, &err) == ERR_NONE) {
		text = ca_decode(json_str(jws, "protected"));
		payload = ca_decode(json_str(jws, "payload"));
	}
	if (!text || !payload || json_parse(text, strlen(text), &header, &err) != ERR_NONE) {
		ca_wrong(ca, "JWS");
		goto out;
	}
	request->payload = payload;
	free(ca->last_payload);
	ca->last_payload = xstrdup(payload);
	if (ca_check(ca, request, jws, header, answer) &&
	    !(ca->before && ca->before(ca, request, answer))) {
		ca_post(ca, request, answer);
	}
	if (ca->after) {
		ca->after(ca, request, answer);
	}
	if (!ca->quiet && !answer->fail) {
		ca_give_nonce(ca, answer);
	}
out:
	free(text);
	free(payload);
	json_free(header);
	json_free(jws);
}

static inline void ca_serve(struct fake *fake, const struct asked *asked, struct answer *answer)
{
	struct ca *ca = (struct ca *)fake;
	struct ca_request request = { .asked = asked, .path = asked->url, .payload = "" };

	request.number = ++ca->requests;
	if (strncmp(asked->url, CA, strlen(CA)) == 0) {
		request.path += strlen(CA);
	}
	if (strcmp(asked->method, "POST") == 0) {
		ca_serve_signed(ca, &request, answer);
		return;
	}
	ca->heads += strcmp(asked->method, "HEAD") == 0 ? 1 : 0;
	if (ca->before && ca->before(ca, &request, answer)) {
		return;
	}
	if (ca_is(&request, "/nonce") && strcmp(asked->method, "HEAD") == 0) {
		ca_give_nonce(ca, answer);
	} else if (ca_is(&request, "/dir") && strcmp(asked->method, "GET") == 0) {
		ca_directory(ca, answer);
	} else {
		ca_wrong(ca, "an unsigned request");
	}
	if (ca->after) {
		ca->after(ca, &request, answer);
	}
}

static inline EVP_PKEY *ca_pkey(const struct key *key)
{
	struct buf pem;
	EVP_PKEY *pkey;
	BIO *bio;

	key_format_pem(key, &pem);
	bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	assert_non_null(pkey);
	BIO_free(bio);
	buf_wipe(&pem);
	return pkey;
}

static inline void ca_init(struct ca *ca, const struct key *key)
{
	memset(ca, 0, sizeof(*ca));
	fake_init(&ca->fake, ca_serve);
	ca->validate_us = 10000;
	ca->account_key = ca_pkey(key);
}

/* Requests may be by that key as well. */
static inline void ca_know(struct ca *ca, const struct key *key)
{
	EVP_PKEY_free(ca->other_key);
	free(ca->other_jwk);
	ca->other_key = ca_pkey(key);
	ca->other_jwk = key_jwk(key);
}

/* Nothing is under way any more, and no rule was broken. */
static inline void ca_clear(struct ca *ca)
{
	assert_null(ca->fake.events);
	assert_int_equal(ca->fake.in_flight, 0);
	assert_true(ca->fake.in_flight_max <= ACME_IN_FLIGHT_MAX);
	assert_false(ca->fake.broke_a_rule);
	assert_string_equal(ca->wrong, "");
	EVP_PKEY_free(ca->account_key);
	EVP_PKEY_free(ca->other_key);
	free(ca->other_jwk);
	strlist_clear(&ca->nonces);
	strlist_clear(&ca->names);
	free(ca->last_payload);
}

#endif

/* Sentences for people about what kept an answer from arriving. */
#include "client.h"

struct failure {
	CURLcode result;
	enum err_code code;
	const char *before; /* the host's name */
	const char *after;
};

static const struct failure failures[] = {
	{ CURLE_COULDNT_RESOLVE_HOST, ERR_NETWORK, "the address of ", " cannot be found" },
	{ CURLE_COULDNT_RESOLVE_PROXY, ERR_NETWORK, "the address of the proxy on the way to ",
	  " cannot be found" },
	{ CURLE_COULDNT_CONNECT, ERR_NETWORK, "cannot connect to ", "" },
	{ CURLE_OPERATION_TIMEDOUT, ERR_TIMEOUT, "", " did not answer in time" },
	{ CURLE_SSL_CONNECT_ERROR, ERR_NETWORK, "cannot set up TLS with ", "" },
	{ CURLE_PEER_FAILED_VERIFICATION, ERR_PROTOCOL, "the certificate of ", " is not trusted" },
	{ CURLE_SSL_CACERT_BADFILE, ERR_CONFIG, "the root certificates for ", " cannot be read" },
	{ CURLE_UNSUPPORTED_PROTOCOL, ERR_PROTOCOL, "what ", " speaks is not supported" },
	{ CURLE_URL_MALFORMAT, ERR_PROTOCOL, "the URL at ", " is malformed" },
	{ CURLE_WEIRD_SERVER_REPLY, ERR_PROTOCOL, "what ", " sent is not HTTP" },
	{ CURLE_HTTP2, ERR_NETWORK, "the HTTP/2 connection to ", " broke" },
	{ CURLE_HTTP2_STREAM, ERR_NETWORK, "", " broke off the exchange" },
	{ CURLE_GOT_NOTHING, ERR_NETWORK, "", " closed the connection without an answer" },
	{ CURLE_PARTIAL_FILE, ERR_NETWORK, "", " closed the connection in its answer" },
	{ CURLE_SEND_ERROR, ERR_NETWORK, "the connection to ", " broke" },
	{ CURLE_RECV_ERROR, ERR_NETWORK, "the connection to ", " broke" },
	{ CURLE_OUT_OF_MEMORY, ERR_INTERNAL, "out of memory while talking to ", "" },
};
static const struct failure any_failure = { CURLE_OK, ERR_NETWORK, "the exchange with ",
					    " failed" };

/* X509_V_ERR_... as verify(1ssl) numbers them: the chain ends at nobody we know. */
static bool is_unknown_issuer(long verdict)
{
	return verdict == 2 || (verdict >= 18 && verdict <= 21);
}

static const struct failure *find(CURLcode result)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(failures); i++) {
		if (failures[i].result == result) {
			return &failures[i];
		}
	}
	return &any_failure;
}

/* A root of the issuer's name, but of another key: the CA was made anew, most often. OpenSSL
 * does not call that a failed verification. */
static bool is_forged(const struct world_http *http, CURLcode result)
{
	return result == CURLE_SSL_CONNECT_ERROR &&
	       strstr(http->curl_says, "asn1 encoding routines");
}

static const char *advice(const struct world_http *http, CURLcode result)
{
	long verdict = 0;

	if (is_forged(http, result)) {
		return "; a root of its issuer's name is known, but it has another key: was that "
		       "CA made anew?";
	}
	curl_easy_getinfo(http->easy, CURLINFO_SSL_VERIFYRESULT, &verdict);
	if (result != CURLE_PEER_FAILED_VERIFICATION || !is_unknown_issuer(verdict)) {
		return "";
	}
	return http->own_roots ? "; its issuer is not in the file that --ca-root or `ca_file` names"
			       : "; for a private CA name its root with --ca-root or `ca_file`";
}

/* libcurl's words for a refused connection are its elapsed time. */
static const char *reason(const struct world_http *http, CURLcode result)
{
	long error = 0;

	if (result == CURLE_COULDNT_CONNECT) {
		curl_easy_getinfo(http->easy, CURLINFO_OS_ERRNO, &error);
	}
	if (error != 0) {
		return strerror((int)error);
	}
	return http->curl_says[0] ? http->curl_says : curl_easy_strerror(result);
}

void http_failure(struct world_http *http, CURLcode result, struct err *err)
{
	const struct failure *failure =
		find(is_forged(http, result) ? CURLE_PEER_FAILED_VERIFICATION : result);

	err_set(err, failure->code, "", "%s%s%s: %s%s", failure->before, http->host_text,
		failure->after, reason(http, result), advice(http, result));
}

/* Whatever octets come to the UPDATE door: read or refused, and always answerable. */
#include "dns01/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tsig_key key = { .name = "k", .alg = MAC_SHA256, .secret_len = 32 };
	struct dns_request *request = NULL;
	struct dns_reply reply = { .key = &key, .now_s = 1800000000 };
	struct buf answer;
	unsigned rcode;
	struct err err;

	if (dns_request_parse(data, size, &request, &rcode, &err) == ERR_NONE && request->tsig) {
		reply.verdict = tsig_verify_request(data, size, request, &key, reply.now_s);
	}
	if (request || rcode != 0) {
		reply.rcode = rcode;
		dns_reply_build(&answer, data, request, &reply);
		buf_clear(&answer);
	}
	dns_request_free(request);
	return 0;
}

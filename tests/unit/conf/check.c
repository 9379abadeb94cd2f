/* Values and references that are wrong, and the sentence for each. */
#include "conf_test.h"

static const struct bad bad[] = {
	{ "zones = ( { suffix = \"a.b\"; settle = \"10 sec\"; } );",
	  "t.conf:1: zones[0].settle: \"10 sec\" is not a duration; write a string such as "
	  "\"10s\" or \"5m\"" },
	{ "zones = ( { suffix = \"a.b\"; settle = 10; } );",
	  "t.conf:1: zones[0].settle: the number 10 has the wrong type; write a string such as "
	  "\"10s\" or \"5m\"" },
	{ "zones = ( { suffix = \"a.b\"; settle = \"2h\"; } );",
	  "t.conf:1: zones[0].settle: \"2h\" is out of range; write a duration from \"0s\" to "
	  "\"1h\"" },
	{ "zones = ( { suffix = \"a.b\"; ttl = 86401; } );",
	  "t.conf:1: zones[0].ttl: 86401 is out of range; write a number from 0 to 86400" },
	{ "zones = ( { suffix = \"a.b\"; ttl = \"60\"; } );",
	  "t.conf:1: zones[0].ttl: the string \"60\" has the wrong type; write a number from 0 "
	  "to 86400" },
	{ "zones = ( { sufix = \"a.b\"; } );",
	  "t.conf:1: zones[0].sufix: there is no such setting; did you mean \"suffix\"?" },
	{ "zones = ( { suffix = \"a.b\"; targets = true; } );",
	  "t.conf:1: zones[0].targets: there is no such setting; did you mean \"target\"?" },
	{ "accounts = ( { name = \"a\"; directory = \"https://ca/d\"; agree_tos = \"true\"; } );",
	  "t.conf:1: accounts[0].agree_tos: the string \"true\" has the wrong type; write true "
	  "or false, without quotes" },
	{ "accounts = ( { name = \"a\"; directory = \"http://ca/d\"; } );",
	  "t.conf:1: accounts[0].directory: \"http://ca/d\" is not an https:// URL; write a "
	  "string such as \"https://ca.example.com/directory\"" },
	{ "accounts = ( { name = \"a\"; directory = \"https://u:p@ca/d\"; } );",
	  "t.conf:1: accounts[0].directory: the URL has a user or a password in it; this file "
	  "holds no secrets, write the URL without" },
	{ "accounts = ( { name = \"a\"; } );",
	  "t.conf:1: accounts[0].directory: it is missing; write a string such as "
	  "\"https://ca.example.com/directory\"" },
	{ "accounts = ( { directory = \"https://ca/d\"; } );",
	  "t.conf:1: accounts[0].name: it is missing; write a string in quotes" },
	{ "accounts = ( { name = \"../a\"; directory = \"https://ca/d\"; } );",
	  "t.conf:1: accounts[0].name: \"../a\" is not a name; write at most 200 "
	  "letters, digits, \".\", \"_\", \"-\" and \"@\", with no \".\" or \"-\" in front" },
	{ "accounts = ( { name = \"a\"; directory = \"https://ca/d\"; key_type = \"rsa1024\"; } );",
	  "t.conf:1: accounts[0].key_type: \"rsa1024\" is not known here; write "
	  "\"p256\", \"p384\", \"rsa2048\", \"rsa3072\" or \"rsa4096\"" },
	{ "accounts = ( { name = \"a\"; directory = \"https://ca/d\"; contact = [ \"me@x.org\" "
	  "]; } );",
	  "t.conf:1: accounts[0].contact: \"me@x.org\" is not a mailto: URL with one address; "
	  "write one such as \"mailto:hostmaster@example.com\"" },
	{ "accounts = ( { name = \"a\"; directory = \"https://ca/d\"; contact = "
	  "\"mailto:me@x.org\"; } );",
	  "t.conf:1: accounts[0].contact: the string \"mailto:me@x.org\" has the wrong type; "
	  "write a list of strings: [ \"...\", \"...\" ]" },
	{ "accounts = ( { name = \"a\"; directory = \"https://ca/d\"; eab_kid = \"x\"; } );",
	  "t.conf:1: accounts[0].eab_kid: it needs eab_key_file beside it; write both or none" },
	{ "accounts = ( { name = \"a\"; directory = \"https://ca/d\"; },\n"
	  " { name = \"a\"; directory = \"https://cb/d\"; } );",
	  "t.conf:2: accounts[1].name: \"a\" is another account at t.conf:1; each needs its own" },
	{ "accounts = ( \"a\" );",
	  "t.conf:1: accounts[0]: the string \"a\" is no account; write a group: { name = "
	  "\"...\"; }" },
	{ "accounts = { name = \"a\"; };",
	  "t.conf:1: accounts: a group has the wrong type; write a list of groups: ( { name = "
	  "\"...\"; } )" },
	{ "providers = ( { name = \"p\"; type = \"fkae\"; server = \"10.0.0.1\"; } );",
	  "t.conf:1: providers[0].type: there is no provider type \"fkae\"; `dns01 providers` "
	  "lists all" },
	{ "providers = ( { name = \"p\"; type = \"fake\"; } );",
	  "t.conf:1: providers[0].server: it is missing; write a string in quotes" },
	{ "providers = ( { name = \"p\"; type = \"fake\"; server = \"10.0.0.1\"; tsig_key = "
	  "\"x\"; } );",
	  "t.conf:1: providers[0].tsig_key: there is no such setting; did you mean "
	  "\"tsig_key_file\"?" },
	{ "providers = ( { name = \"p\"; type = \"fake\"; server = \"10.0.0.1\";\n"
	  " timeout = \"1\"; } );",
	  "t.conf:2: providers[0].timeout: \"1\" is not a duration; write a string such as "
	  "\"10s\" or \"5m\"" },
	{ "providers = ( { name = \"p\"; type = \"fake\"; server = \"10.0.0.1\"; token = "
	  "\"s3cret\"; } );",
	  "t.conf:1: providers[0].token: a secret does not stand in this file; write it into a "
	  "file of its own" },
	{ "providers = ( { name = \"p\"; type = \"fake\"; server = \"10.0.0.1\"; unsigned = 1; } "
	  ");",
	  "t.conf:1: providers[0].unsigned: the number 1 has the wrong type; write true or "
	  "false, without quotes" },
	{ "providers = ( { name = \"p\"; server = \"10.0.0.1\"; } );",
	  "t.conf:1: providers[0]: type is missing; `dns01 providers` lists all" },
	{ "providers = ( { name = \"hidden-primary\"; type = \"fake\"; server = \"10.0.0.1\"; } "
	  ");\n"
	  "zones = (\n"
	  " { suffix = \"a.b\";\n"
	  "   providers = [ \"hiden-primary\" ]; } );",
	  "t.conf:4: zones[0].providers: there is no provider \"hiden-primary\"; did you mean "
	  "\"hidden-primary\"?" },
	{ "zones = ( { suffix = \"a.b\"; providers = [ \"p\" ]; } );",
	  "t.conf:1: zones[0].providers: there is no provider \"p\"; add it to providers" },
	{ "zones = ( { suffix = \"a.b\"; } );",
	  "t.conf:1: zones[0].providers: it is missing; write a list of strings: [ "
	  "\"...\", \"...\" ]" },
	{ "zones = ( { suffix = \"a..b\"; } );",
	  "t.conf:1: zones[0].suffix: \"a..b\" is not a DNS name; write a DNS name such as "
	  "\"example.com\"" },
	{ "zones = ( { suffix = \"*.a.b\"; } );",
	  "t.conf:1: zones[0].suffix: \"*.a.b\" is not a DNS name; write a DNS name such as "
	  "\"example.com\"" },
	{ "zones = ( { suffix = \"\"; } );",
	  "t.conf:1: zones[0].suffix: the text is empty; write a value, or leave it out" },
	{ "zones = ( { suffix = \"a.b\"; quorum = 0; } );",
	  "t.conf:1: zones[0].quorum: 0 is out of range; write \"all\" or \"reachable\", or a "
	  "number from 1 to 100" },
	{ "zones = ( { suffix = \"a.b\"; quorum = \"most\"; } );",
	  "t.conf:1: zones[0].quorum: \"most\" is not a whole number; write \"all\" or "
	  "\"reachable\", or a number from 1 to 100" },
	{ "zones = ( { suffix = \"a.b\"; quorum = true; } );",
	  "t.conf:1: zones[0].quorum: true has the wrong type; write \"all\" or "
	  "\"reachable\", or a number from 1 to 100" },
	{ "zones = ( { suffix = \"a.b\"; watch = \"resolver\"; } );",
	  "t.conf:1: zones[0].watch: \"resolver\" is not known here; write "
	  "\"authoritative\", \"resolvers\" or \"provider\"" },
	{ "zones = ( { suffix = \"a.b\"; resolvers = [ \"dns.example.net\" ]; } );",
	  "t.conf:1: zones[0].resolvers: \"dns.example.net\" is not an address or an https:// "
	  "URL; write one such as \"192.0.2.53\", \"[2001:db8::53]:5353\" or "
	  "\"https://dns.example.net/dns-query\"" },
	{ "zones = ( { suffix = \"a.b\"; servers = [ \"ns1 example\" ]; } );",
	  "t.conf:1: zones[0].servers: \"ns1 example\" is not a server's name or address; write "
	  "one such as \"ns1.example.com\", \"192.0.2.1\" or \"[2001:db8::1]:5353\"" },
	{ "zones = ( { suffix = \"a.b\"; servers = [ 1, 2 ]; } );",
	  "t.conf:1: zones[0].servers: a list has the wrong type; write a list of strings: [ "
	  "\"...\", \"...\" ]" },
	{ "zones = ( { suffix = \"a.b\"; servers = [ \"a\", \"A.\" ]; } );",
	  "t.conf:1: zones[0].providers: it is missing; write a list of strings: [ "
	  "\"...\", \"...\" ]" },
	{ "zones = ( { suffix = \"a.b\"; servers = [ \"\" ]; } );",
	  "t.conf:1: zones[0].servers: an element is empty or has a line break; write text on "
	  "one line" },
	{ "zones = ( { suffix = \"a.b\"; view = \"in side\"; } );",
	  "t.conf:1: zones[0].view: \"in side\" is not a name; write at most 200 "
	  "letters, digits, \".\", \"_\", \"-\" and \"@\", with no \".\" or \"-\" in front" },
	{ "providers = ( { name = \"p\"; type = \"fake\"; server = \"10.0.0.1\"; } );\n"
	  "zones = ( { suffix = \"a.b\"; view = \"x\"; providers = [ \"p\" ]; },\n"
	  " { suffix = \"A.b.\"; view = \"x\"; providers = [ \"p\" ]; } );",
	  "t.conf:3: zones[1].suffix: \"a.b\" in view \"x\" is another zone at t.conf:2; each "
	  "needs its own" },
	{ "providers = ( { name = \"p\"; type = \"fake\"; server = \"10.0.0.1\"; } );\n"
	  "zones = ( { suffix = \"a.b\"; view = \"inside\"; providers = [ \"p\" ]; } );\n"
	  "accounts = ( { name = \"a\"; directory = \"https://ca/d\";\n"
	  " view = \"insde\"; } );",
	  "t.conf:4: accounts[0].view: no zone is in the view \"insde\"; zones have: inside" },
	{ "certificates = ( { name = \"c\"; names = [ \"a.b\" ]; } );",
	  "t.conf:1: certificates[0].account: it is missing, and there are 0 accounts; write the "
	  "name of one" },
	{ "accounts = ( { name = \"a\"; directory = \"https://ca/d\"; } );\n"
	  "certificates = ( { name = \"c\"; account = \"b\"; names = [ \"a.b\" ]; } );",
	  "t.conf:2: certificates[0].account: there is no account \"b\"; add it to accounts" },
	{ "accounts = ( { name = \"a\"; directory = \"https://ca/d\"; } );\n"
	  "certificates = ( { name = \"c\"; names = [ ]; } );",
	  "t.conf:2: certificates[0].names: it is missing; write a list of strings: [ "
	  "\"...\", \"...\" ]" },
	{ "accounts = ( { name = \"a\"; directory = \"https://ca/d\"; } );\n"
	  "certificates = ( { name = \"c\"; names = [ \"a\" ]; keys = [ \"p256\", \"ed25519\" ]; "
	  "} );",
	  "t.conf:2: certificates[0].keys: \"ed25519\" is not known here; write "
	  "\"p256\", \"p384\", \"rsa2048\", \"rsa3072\" or \"rsa4096\"" },
	{ "accounts = ( { name = \"a\"; directory = \"https://ca/d\"; } );\n"
	  "certificates = ( { name = \"c\"; names = [ \"a\" ]; deploy = ( [ \"systemctl\", \"x\" "
	  "] ); } );",
	  "t.conf:2: certificates[0].deploy: \"systemctl\" is not the whole path of a program; "
	  "write one such as \"/bin/systemctl\"" },
	{ "accounts = ( { name = \"a\"; directory = \"https://ca/d\"; } );\n"
	  "certificates = ( { name = \"c\"; names = [ \"a\" ]; keys = [ \"p256\", \"rsa2048\" ]; "
	  "},\n"
	  " { name = \"c-rsa2048\"; names = [ \"b\" ]; } );",
	  "t.conf:2: certificates[0].keys: the lineage \"c-rsa2048\" is also the name of a "
	  "certificate; rename one" },
	{ "include = [ \"missing.conf\" ];",
	  "t.conf:1: include: \"missing.conf\" does not exist; make the file or remove it here" },
	{ "proxy = \"socks4://x\";",
	  "t.conf:1: proxy: \"socks4://x\" is not a URL of a kind known here; write \"none\", or "
	  "a string such as \"http://proxy.example.com:3128\"" },
	{ "state = \"a\\tb\";",
	  "t.conf:1: state: \"a\\x09b\" has a control character; write it without" },
	{ "listeners = ( { unix = \"/run/dns01/socket\"; } );",
	  "t.conf:1: listeners[0].doors: it is missing; write \"api\", \"httpreq\", \"acmedns\", "
	  "\"update\" or \"metrics\"" },
	{ "listeners = ( { unix = \"/s\"; http = \"127.0.0.1:1\"; doors = [ \"api\" ]; } );",
	  "t.conf:1: listeners[0].unix: a listener has exactly one of unix, https, dns and http, "
	  "this one 2" },
	{ "listeners = ( { http = \"192.0.2.1:80\"; doors = [ \"api\" ]; } );",
	  "t.conf:1: listeners[0].http: plain HTTP on an address of the network is for the door "
	  "\"metrics\" alone; write https, or a loopback address" },
	{ "listeners = ( { http = \"192.0.2.1\"; doors = [ \"metrics\" ]; } );",
	  "t.conf:1: listeners[0].http: \"192.0.2.1\" is not an address with a port; write one "
	  "such as \"[::]:8443\" or \"127.0.0.1:9353\"" },
	{ "listeners = ( { dns = \"[::]:8053\"; doors = [ \"api\" ]; } );",
	  "t.conf:1: listeners[0].doors: the door \"update\" is on a dns listener, which has no "
	  "other" },
	{ "listeners = ( { https = \"[::]:8443\"; doors = [ \"api\" ]; } );",
	  "t.conf:1: listeners[0].https: it needs a certificate: write certificate = \"NAME\", or "
	  "cert_file and key_file" },
	{ "listeners = ( { unix = \"/s\"; certificate = \"c\"; doors = [ \"api\" ]; } );",
	  "t.conf:1: listeners[0].certificate: it belongs to https alone" },
	{ "clients = ( { name = \"c\"; networks = [ \"10.2.1.0/16\" ]; } );",
	  "t.conf:1: clients[0].networks: \"10.2.1.0/16\" is not a network; write one such as "
	  "\"192.0.2.0/24\", \"2001:db8::/32\" or one address, with no bits set behind the "
	  "prefix" },
	{ "clients = ( { name = \"c\"; names = [ \"*.a.b\" ]; } );",
	  "t.conf:1: clients[0].names: \"*.a.b\" is not a name that can be granted; write one such "
	  "as \"www.example.com\" without \"*.\" (wildcard = true grants that), or \"@san\"" },
	{ "clients = ( { name = \"c\"; names = [ \"@san\" ]; } );",
	  "t.conf:1: clients[0].names: \"@san\" needs auth = \"mtls\"" },
	{ "clients = ( { name = \"c\"; auth = \"unix\"; } );",
	  "t.conf:1: clients[0].auth: \"unix\" needs user or group beside it" },
	{ "clients = ( { name = \"c\"; user = \"u\"; } );",
	  "t.conf:1: clients[0].user: it belongs to auth = \"unix\", this client's is \"token\"" },
	{ "clients = ( { name = \"c\"; token_sha256 = [ \"abc\" ]; } );",
	  "t.conf:1: clients[0].token_sha256: \"abc\" is not a SHA-256; write its 64 hexadecimal "
	  "digits, as `printf %s TOKEN | sha256sum` prints them" },
	{ "clients = ( { name = \"c\"; }, { name = \"c\"; } );",
	  "t.conf:1: clients[1].name: \"c\" is another client at t.conf:1; each needs its own" },
	{ PROVIDER "zones = ( { suffix = \"a.b\"; providers = [ \"p\" ];\n"
		   " servers = [ \"NS.a\", \"ns.a.\" ]; } );",
	  "t.conf:3: zones[0].servers: \"ns.a\" is given twice; keep one" },
	{ "providers = ( { name = \"p\"; type = \"fake\"; server = \"x\"; retries = 11; } );",
	  "t.conf:1: providers[0].retries: 11 is out of range; write a number from 0 to 10" },
	{ "providers = ( { name = \"p\"; type = \"fake\"; server = \"x\"; server = \"y\"; } );",
	  "t.conf:1: providers[0].server: it is given twice; line 1 has it already" },
	{ "accounts = ( { name = \"a\"; directory = \"https://ca.example/d\"; },\n"
	  "  { name = \"b\"; directory = \"https://cb.example/d\"; } );\n"
	  "certificates = (\n  { name = \"c\"; names = [ \"x\" ]; } );",
	  "t.conf:4: certificates[0].account: it is missing, and there are 2 accounts; write the "
	  "name of one" },
};

#define ONE ACCOUNT "certificates = ( { name = \"c\"; names = [ \"a.b\" ];\n export = "
#define EXPORT ONE "( { layout = \"files\"; path = \"/x\"; },\n { "

/* Groups in groups: each sentence has the whole path and the line of the inner one. */
static const struct bad bad_groups[] = {
	{ EXPORT "layout = \"pkcs12\"; path = \"/y\"; mode = \"0644\"; } ); } );",
	  "t.conf:4: certificates[0].export[1].mode: \"0644\" is not a mode that keeps the key "
	  "from others; write \"0600\", or one such as \"0640\" that lets the group read it" },
	{ EXPORT "layout = \"tar\"; path = \"/y\"; } ); } );",
	  "t.conf:4: certificates[0].export[1].layout: \"tar\" is not known here; write "
	  "\"files\", \"certbot\", \"haproxy\" or \"pkcs12\"" },
	{ EXPORT "layout = \"files\"; path = \"/y\";\n modus = \"0600\"; } ); } );",
	  "t.conf:5: certificates[0].export[1].modus: there is no such setting; did you mean "
	  "\"mode\"?" },
	{ EXPORT "layout = \"files\"; path = \"y\"; } ); } );",
	  "t.conf:4: certificates[0].export[1].path: \"y\" is not a whole path; write one such as "
	  "\"/etc/haproxy/certs/edge.pem\"" },
	{ EXPORT "layout = \"files\"; } ); } );",
	  "t.conf:4: certificates[0].export[1].path: it is missing; write a string in quotes" },
	{ EXPORT "layout = \"files\"; path = \"/x/\"; } ); } );",
	  "t.conf:4: certificates[0].export[1].path: \"/x\" is also where another export goes, at "
	  "t.conf:3; each needs its own" },
	{ EXPORT "layout = \"files\"; path = \"/y\"; mode = 0640; } ); } );",
	  "t.conf:4: certificates[0].export[1].mode: 0640 begins with a zero, which is silently "
	  "dropped; write it without, or in quotes" },
	{ EXPORT "layout = \"haproxy\"; path = \"/y\"; password_file = \"p\"; } ); } );",
	  "t.conf:4: certificates[0].export[1].password_file: it belongs to layout = \"pkcs12\", "
	  "this export's is \"haproxy\"" },
	{ EXPORT "layout = \"certbot\"; path = \"/etc/letsencrypt\"; } ); } );",
	  "t.conf:4: certificates[0].export[1].path: \"/etc/letsencrypt\" is not in a folder "
	  "called live; write one such as \"/etc/letsencrypt/live/example.com\"" },
	{ ONE "( \"/x\" ); } );",
	  "t.conf:3: certificates[0].export[0]: the string \"/x\" is no export; write a group: { "
	  "layout = \"...\"; }" },
	{ ONE "{ layout = \"files\"; }; } );",
	  "t.conf:3: certificates[0].export: a group has the wrong type; write a list of groups: ( "
	  "{ layout = \"...\"; } )" },
	{ ACCOUNT "certificates = ( { name = \"c\"; names = [ \"a.b\" ]; keys = [ \"p256\", "
		  "\"rsa2048\" ];\n export = ( { layout = \"files\"; path = \"/a.b\"; } ); },\n"
		  " { name = \"d\"; names = [ \"a.b\" ];\n"
		  " export = ( { layout = \"haproxy\"; path = \"/z\"; },\n"
		  " { layout = \"files\"; path = \"/a.b-rsa2048\"; } ); } );",
	  "t.conf:6: certificates[1].export[1].path: \"/a.b-rsa2048\" is also where another export "
	  "goes, at t.conf:3; each needs its own" },
	{ "notify = ( );",
	  "t.conf:1: notify: a list has the wrong type; write a group: { run = ...; }" },
	{ "notify : {\n runs = [ \"/x\" ]; };",
	  "t.conf:2: notify.runs: there is no such setting; did you mean \"run\"?" },
	{ "notify : {\n run = [ \"mail\" ]; };",
	  "t.conf:2: notify.run: \"mail\" is not the whole path of a program; write one such as "
	  "\"/bin/systemctl\"" },
	{ "notify : { run = \"/bin/mail\"; };",
	  "t.conf:1: notify.run: the string \"/bin/mail\" has the wrong type; write a command, a "
	  "list of strings: [ \"/bin/true\" ]" },
	{ "notify : { life_left = \"4/1\"; };",
	  "t.conf:1: notify.life_left: \"4/1\" is not a share; write one such as \"1/4\"" },
	{ "notify : { remind = \"1s\"; };",
	  "t.conf:1: notify.remind: \"1s\" is out of range; write a duration from \"1m\" to "
	  "\"30d\"" },
};

static void names_the_group_in_a_group(void **state)
{
	(void)state;
	check_bad(bad_groups, ARRAY_LEN(bad_groups));
	no_misses();
}

static void names_file_line_and_item(void **state)
{
	(void)state;
	check_bad(bad, ARRAY_LEN(bad));
	no_misses();
}

static enum err_code check_flags(struct conf *conf, char **sentence)
{
	struct err err;
	enum err_code code = conf_check(conf, fake_provider, &err);

	*sentence = code != ERR_NONE ? err_format(&err) : NULL;
	return code;
}

/* Without a file: values become canonical, defaults stand, sentences have flags for places. */
static void checks_what_flags_gave(void **state)
{
	struct conf *conf = conf_new();
	struct conf_account *account = conf_add_account(conf, "main");
	struct conf_provider *provider = conf_add_provider(conf, "main", "fake");
	struct conf_zone *zone = conf_add_zone(conf, ".");
	struct conf_certificate *certificate = conf_add_certificate(conf, "edge");
	char *sentence;

	(void)state;
	settings_set(&provider->settings, "server", "192.0.2.1:5353", "--set");
	settings_set(&provider->settings, "timeout", "2000ms", "--set");
	strlist_add(&zone->providers, "main");
	strlist_add(&zone->servers, "NS1.Example.com.");
	strlist_add(&certificate->names, "*.example.com");
	check("no directory", check_flags(conf, &sentence) == ERR_CONFIG);
	check_text("no directory",
		   "accounts[0].directory: it is missing; write a string such as "
		   "\"https://ca.example.com/directory\"",
		   sentence);
	free(sentence);
	account->directory = xstrdup("https://ca.example/d");
	check("flags", check_flags(conf, &sentence) == ERR_NONE);
	free(sentence);
	check_text("servers", "ns1.example.com", zone->servers.item[0]);
	check_text("timeout", "2s",
		   settings_get(&provider->settings, fake_rows, ARRAY_LEN(fake_rows), "timeout"));
	check_text("view", "default", account->view);
	check("defaults", zone->ttl_s == 60 && zone->deadline_ms == 600000 &&
				  zone->settle_ms == 0 && certificate->deploy_timeout_ms == 300000);
	check_text("quorum", "all", zone->quorum);
	check_text("keys", "p256", certificate->keys.item[0]);
	settings_set(&provider->settings, "timeout", "never", "--set");
	check("bad setting", check_flags(conf, &sentence) == ERR_CONFIG);
	check_text("bad setting",
		   "--set: providers[0].timeout: \"never\" is not a duration; write "
		   "a string such as \"10s\" or \"5m\"",
		   sentence);
	free(sentence);
	settings_set(&provider->settings, "timeout", "1s", "--set");
	settings_set(&provider->settings, "token", "hunter2", "--set");
	check("secret", check_flags(conf, &sentence) == ERR_CONFIG);
	check("secret", sentence != NULL && strstr(sentence, "hunter2") == NULL);
	free(sentence);
	conf_free(conf);
	no_misses();
}

/* A number out of a struct, not out of a text. */
static void checks_ranges_of_plain_data(void **state)
{
	struct conf *conf =
		parse_good(PROVIDER "zones = ( { suffix = \".\"; providers = [ \"p\" ]; } );");
	char *sentence;

	(void)state;
	assert_non_null(conf);
	conf->zone[0].ttl_s = -1;
	check("ttl", check_flags(conf, &sentence) == ERR_CONFIG);
	check_text("ttl",
		   "t.conf:2: zones[0].ttl: -1 is out of range; write a number from 0 to "
		   "86400",
		   sentence);
	free(sentence);
	conf_free(conf);
	no_misses();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_file_line_and_item),
		cmocka_unit_test(names_the_group_in_a_group),
		cmocka_unit_test(checks_what_flags_gave),
		cmocka_unit_test(checks_ranges_of_plain_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

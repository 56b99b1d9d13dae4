/* The installed command `pydocker-runtime`: start Python from a read-only copy of its mount.
 *
 * What this does, and why, is told in linux/interpreter.py, which does the same for a Python that is running already.
 * It is the one piece that is worth having in C: each call would otherwise start the interpreter twice, for 10 ms.
 * Whatever it cannot do (no privileges, an older kernel), and all that --trace wants to tell, is left to that module.
 *
 * Compiled by `make install`, with PYTHON, the path of the virtual environment's interpreter, and PROGRAM, what it is
 * to execute, as strings.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int traced(char **words)
{
	for (; *words; words++)
		if (!strncmp(*words, "--trace", 7) || !strncmp(*words, "-trace", 6))
			return 1;
	return 0;
}

/* A descriptor of the interpreter on a detached, read-only mount, or -1. */
static int read_only_copy(void)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
	int tree = syscall(SYS_open_tree, AT_FDCWD, PYTHON, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (tree >= 0 && syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof attr) == 0)
		return tree;
	return -1;
}

int main(int argc, char **argv)
{
	char path[4096] = PYTHON;
	char *words[argc + 7];
	int count = 0, tree = traced(argv + 1) ? -1 : read_only_copy();

	if (tree >= 0)
		snprintf(path, sizeof path, "/proc/self/fd/%d", tree);
	for (char *const *word = (char *[]){PYTHON, "-I", "-S", "-B", "-c", PROGRAM, NULL}; *word; word++)
		words[count++] = *word;
	for (int index = 1; index <= argc; index++)
		words[count++] = argv[index];
	execv(path, words);
	perror("pydocker-runtime: " PYTHON);
	return 1;
}

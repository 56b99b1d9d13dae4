/* whoami: print the effective user's number (busybox would first give up what setuid gave it). */
#include <stdio.h>
#include <unistd.h>

int main(void) { return printf("%d\n", (int)geteuid()) < 0; }

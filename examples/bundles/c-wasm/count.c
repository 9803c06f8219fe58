/* Counts the lines, words and bytes of files, as wc does, and tries to write to each of them. */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int count(const char *name) {
	FILE *file = fopen(name, "r");
	if (file == NULL) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		return 1;
	}
	long lines = 0, words = 0, bytes = 0;
	int previous = ' ';
	for (int c; (c = getc(file)) != EOF; previous = c) {
		bytes++;
		lines += c == '\n';
		words += isspace(previous) && !isspace(c);
	}
	fclose(file);
	printf("%ld lines, %ld words, %ld bytes in %s\n", lines, words, bytes, name);
	return 0;
}

static void try_to_write(const char *name) {
	FILE *file = fopen(name, "r+");
	if (file == NULL) {
		printf("to write to it: %s\n", strerror(errno));
		return;
	}
	puts("to write to it: allowed");
	fclose(file);
}

int main(int argc, char **argv) {
	int failed = 0;
	for (int i = 1; i < argc; i++) {
		failed |= count(argv[i]);
		try_to_write(argv[i]);
	}
	return failed;
}

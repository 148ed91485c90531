/*
 * replay.c - a target without an engine: runs the files and directories of files that
 * are given, each in a process of its own, and says which have failed.
 *
 *	build/fuzz/gcc/alloc fuzz/corpus/alloc
 *
 * Status 0 only if there were inputs, and none failed.
 */
#include "fuzz/fuzz.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_BYTES (1 << 20)
#define LIMIT_SECONDS 60

static unsigned int passed, failed;

static void __noreturn run_one(const char *path)
{
	static u8 data[MAX_BYTES];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f) {
		perror(path);
		exit(1);
	}
	n = fread(data, 1, sizeof(data), f);
	fclose(f);
	alarm(LIMIT_SECONDS);
	LLVMFuzzerTestOneInput(data, n);
	fflush(stdout);
	_exit(0);
}

static void run_file(const char *path)
{
	int status = -1;
	pid_t child = fork();

	if (!child)
		run_one(path);
	if (child > 0 && waitpid(child, &status, 0) == child && !status) {
		passed++;
		return;
	}
	failed++;
	if (WIFSIGNALED(status))
		printf("FAILED: %s: signal %d\n", path, WTERMSIG(status));
	else
		printf("FAILED: %s: status %d\n", path, WEXITSTATUS(status));
	fflush(stdout);
}

static int visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static void run_path(const char *path)
{
	struct dirent **entries;
	struct stat st;
	char name[4096];
	int n;

	if (stat(path, &st)) {
		perror(path);
		failed++;
		return;
	}
	if (!S_ISDIR(st.st_mode)) {
		run_file(path);
		return;
	}
	n = scandir(path, &entries, visible, alphasort);
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
		run_file(name);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++)
		run_path(argv[i]);
	printf("%s: %u passed, %u failed\n", slash ? slash + 1 : argv[0], passed, failed);
	return failed || !passed;
}

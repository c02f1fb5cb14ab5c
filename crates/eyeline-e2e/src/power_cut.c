// Loaded before the C library (LD_PRELOAD): remembers what a power cut could not take away.
//
// After each fsync and fdatasync of a file below $POWER_CUT_ROOT its bytes are copied to $POWER_CUT_SHADOW/KEY, and after
// each fsync of a folder the keys of what it names are listed in $POWER_CUT_SHADOW/KEY.names. A key is the inode and the
// moment of its birth: it is never given twice and stays over a rename. Whatever goes wrong here ends the process, since a
// copy that is missing would look like a broken promise of the server.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { KEY_BYTES = 80, PIECE_BYTES = 256 * 1024 };

// One copy at a time: the one that is made last is the newest.
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static char piece[PIECE_BYTES];

static void check(int is_right, const char *what) {
    if (is_right) return;
    perror(what);
    abort();
}

static int find_key(int folder, const char *name, char *key) {
    struct statx found;
    int flags = AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH);
    if (statx(folder, name, flags, STATX_INO | STATX_BTIME, &found)) return -1;
    snprintf(key, KEY_BYTES, "%llu-%lld.%09u", (unsigned long long)found.stx_ino,
             (long long)found.stx_btime.tv_sec, found.stx_btime.tv_nsec);
    return 0;
}

static void copy_bytes(const char *path, int out) {
    int in = open(path, O_RDONLY | O_CLOEXEC);
    check(in >= 0, "power_cut: open");
    ssize_t got;
    while ((got = read(in, piece, PIECE_BYTES)) > 0) check(write(out, piece, (size_t)got) == got, "power_cut: write");
    check(got == 0, "power_cut: read");
    close(in);
}

static void list_names(const char *path, int out) {
    DIR *folder = opendir(path);
    check(folder != NULL, "power_cut: opendir");
    char key[KEY_BYTES];
    for (struct dirent *entry; (entry = readdir(folder));) {
        // What has gone since is no name any more.
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (find_key(dirfd(folder), entry->d_name, key)) continue;
        check(dprintf(out, "%s\n", key) > 0, "power_cut: dprintf");
    }
    closedir(folder);
}

static void remember(int fd) {
    const char *root = getenv("POWER_CUT_ROOT"), *shadow = getenv("POWER_CUT_SHADOW");
    if (!root || !shadow) return;
    char link[64], path[PATH_MAX], key[KEY_BYTES], kept[PATH_MAX], half[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    check(length > 0, "power_cut: readlink");
    path[length] = 0;
    if (strncmp(path, root, strlen(root))) return;
    struct stat found;
    check(!fstat(fd, &found) && !find_key(fd, "", key), "power_cut: stat");
    int is_folder = S_ISDIR(found.st_mode);
    snprintf(kept, sizeof kept, "%s/%s%s", shadow, key, is_folder ? ".names" : "");
    snprintf(half, sizeof half, "%s/half", shadow);
    int out = open(half, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    check(out >= 0, "power_cut: create");
    if (is_folder) list_names(link, out);
    else copy_bytes(link, out);
    check(!close(out) && !rename(half, kept), "power_cut: rename");
}

static int synced(long number, int fd) {
    int outcome = (int)syscall(number, fd);
    if (outcome) return outcome;
    int known = errno;
    pthread_mutex_lock(&turn);
    remember(fd);
    pthread_mutex_unlock(&turn);
    errno = known;
    return 0;
}

int fsync(int fd) { return synced(SYS_fsync, fd); }
int fdatasync(int fd) { return synced(SYS_fdatasync, fd); }

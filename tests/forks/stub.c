/* Stands in a virtualenv in the place of its Python: lets the server fork one, and is in its place until it ends.

   In C, since it is started as often as Python is, and Python would take thirteen milliseconds to begin where this takes one.
   SOCKET, the server's, and PYTHON, the real one, are given to the compiler. What is said to the server stands in server.py. */

#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Programs, and which server has imported what they need. */
#define LAUNCHER "/engine/__main__.py"
static const struct {
    const char *file, *server;
} FILES[] = {
    {"/commands/__main__.py", SOCKET "-mail"},
    {LAUNCHER, SOCKET "-engine"},
    {"/engine/language/program.py", SOCKET "-engine"},
    {"/engine/dynamic_host.py", SOCKET "-engine"},
};
/* Services, which are started with -m; they begin a session of their own, or are in that of another service. */
static const char *const MODULES[] = {"emulators", "azmail"};
static const int SIGNALS[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
/* What decides how an interpreter begins: the server has its own, so others need a Python of their own. */
static const char *const STARTING[] = {"PYTHON", "LC_", "LANG", "TZ"};
/* But a service is told where its modules lie. */
#define PLACES "PYTHONPATH="
/* As many as one message carries (SCM_MAX_FD). */
enum { MOST_FILES = 253, LIMITS = 16 };
#define COUNT(list) ((int)(sizeof(list) / sizeof((list)[0])))

extern char **environ;
static char **arguments;
static int connection = -1, is_service;
static sigset_t before;

/* As if this were the link that a virtualenv has: Python finds `pyvenv.cfg` by the name it is started with. */
static void own_python(void) {
    sigprocmask(SIG_SETMASK, &before, NULL);
    execv(PYTHON, arguments);
    perror(PYTHON);
    _exit(127);
}

/* The name it was started with; where that was looked up in PATH, its own. */
static void name_itself(void) {
    static char path[4096];
    if (strchr(arguments[0], '/') == NULL && readlink("/proc/self/exe", path, sizeof path - 1) > 0)
        arguments[0] = path;
}

static int ends_with(const char *text, const char *part) {
    size_t whole = strlen(text), length = strlen(part);
    return whole >= length && strcmp(text + whole - length, part) == 0;
}

/* The socket of the server that has imported what this program needs and little else; NULL where none has. */
static const char *socket_for_it(void) {
    char **file = arguments[1] != NULL && strcmp(arguments[1], "-u") == 0 ? arguments + 2 : arguments + 1;
    if (*file == NULL)
        return NULL;
    for (int i = 0; i < COUNT(MODULES); i++)
        if (strcmp(*file, "-m") == 0 && file[1] != NULL && strcmp(file[1], MODULES[i]) == 0) {
            is_service = 1;
            return SOCKET "-services";
        }
    if (ends_with(*file, LAUNCHER) && file[1] != NULL && strcmp(file[1], "run") == 0)
        return SOCKET "-launcher";
    for (int i = 0; i < COUNT(FILES); i++)
        if (ends_with(*file, FILES[i].file))
            return FILES[i].server;
    return NULL;
}

static int connected(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL)
        return 0;
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connection >= 0 && connect(connection, (struct sockaddr *)&address, sizeof address) == 0;
}

static void send_all(const char *bytes, size_t count) {
    while (count > 0) {
        ssize_t sent = send(connection, bytes, count, MSG_NOSIGNAL);
        if (sent < 0)
            own_python();
        bytes += sent;
        count -= (size_t)sent;
    }
}

static int receive_all(void *bytes, size_t count) {
    for (char *end = bytes; count > 0;) {
        ssize_t received = recv(connection, end, count, 0);
        if (received <= 0)
            return 0;
        end += received;
        count -= (size_t)received;
    }
    return 1;
}

static int by_text(const void *one, const void *other) {
    return strcmp(*(char *const *)one, *(char *const *)other);
}

/* A forked child is of the server's user, in its session (a service makes one of its own), with an interpreter that began alike. */
static int server_is_alike(void) {
    uint32_t length;
    char *theirs, *mine;
    size_t size;
    int variables = 0;
    if (!receive_all(&length, sizeof length) || (theirs = malloc(length)) == NULL || !receive_all(theirs, length))
        return 0;
    while (environ[variables] != NULL)
        variables++;
    char *begun[variables + 1];
    int count = 0;
    for (int i = 0; i < variables; i++)
        for (int k = 0; k < COUNT(STARTING); k++)
            if (strncmp(environ[i], STARTING[k], strlen(STARTING[k])) == 0 &&
                !(is_service && strncmp(environ[i], PLACES, strlen(PLACES)) == 0)) {
                begun[count++] = environ[i];
                break;
            }
    qsort(begun, (size_t)count, sizeof begun[0], by_text);
    FILE *text = open_memstream(&mine, &size);
    if (!is_service)
        fprintf(text, "%d%c", (int)getsid(0), 0);
    fprintf(text, "%d%c", (int)geteuid(), 0);
    for (int i = 0; i < count; i++)
        fprintf(text, "%s%c", begun[i], 0);
    fclose(text);
    return size == length && memcmp(mine, theirs, size) == 0;
}

/* Open files that the program would get: the standard three, and what was left open for it. */
static int inherited(int *files) {
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        int flags, number = atoi(entry->d_name);
        if (entry->d_name[0] == '.' || (flags = fcntl(number, F_GETFD)) < 0 || (flags & FD_CLOEXEC))
            continue;
        if (count == MOST_FILES)
            own_python();
        files[count++] = number;
    }
    if (folder != NULL)
        closedir(folder);
    return count;
}

static void write_list(FILE *text, char *const *words) {
    int count = 0;
    while (words[count] != NULL)
        count++;
    fprintf(text, "%d%c", count, 0);
    for (int i = 0; i < count; i++)
        fprintf(text, "%s%c", words[i], 0);
}

static int is_ignored(int number) {
    struct sigaction present;
    return sigaction(number, NULL, &present) == 0 && present.sa_handler == SIG_IGN;
}

/* Texts that end with a zero: two lists, each after its length, the folder and numbers. */
static void ask(const int *files, int count) {
    char *body, *folder = getcwd(NULL, 0);
    size_t size;
    mode_t mask = umask(0);
    umask(mask);
    FILE *text = open_memstream(&body, &size);
    write_list(text, arguments);
    write_list(text, environ);
    fprintf(text, "%s%c%d", folder == NULL ? "" : folder, 0, (int)mask);
    for (int i = 0; i < COUNT(SIGNALS); i++)
        fprintf(text, " %d", is_ignored(SIGNALS[i]));
    for (int i = 0; i < LIMITS; i++) {
        struct rlimit limit = {0, 0};
        getrlimit(i, &limit);
        fprintf(text, " %lld %lld", (long long)limit.rlim_cur, (long long)limit.rlim_max);
    }
    for (int i = 0; i < count; i++)
        fprintf(text, " %d", files[i]);
    fclose(text);
    if (folder == NULL)
        own_python();
    uint32_t length = (uint32_t)size;
    send_all((char *)&length, sizeof length);
    send_all(body, size);
}

static void hand_over(const int *files, int count) {
    char control[CMSG_SPACE(sizeof(int) * MOST_FILES)] = {0};
    char byte = '.';
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control};
    message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
    memcpy(CMSG_DATA(header), files, sizeof(int) * (size_t)count);
    if (sendmsg(connection, &message, MSG_NOSIGNAL) < 0)
        own_python();
}

static void pass_on(int number) {
    char byte = (char)number;
    send(connection, &byte, 1, MSG_NOSIGNAL);
}

/* As the child did, so that whoever started this process sees it. */
static void end(int status) {
    if (WIFSIGNALED(status)) {
        signal(WTERMSIG(status), SIG_DFL);
        kill(getpid(), WTERMSIG(status));
    }
    _exit(WEXITSTATUS(status));
}

int main(int count, char **words) {
    int files[MOST_FILES], opened;
    int32_t status;
    sigset_t passed;
    struct sigaction passing = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
    (void)count;
    sigprocmask(SIG_BLOCK, NULL, &before);
    arguments = words;
    name_itself();
    if (!connected(socket_for_it()) || !server_is_alike())
        own_python();
    opened = inherited(files);
    if (opened == 0)
        own_python();
    /* None before there is somebody to pass it on to, and none is missed: the program may say at once that it is ready. */
    sigemptyset(&passed);
    for (int i = 0; i < COUNT(SIGNALS); i++)
        sigaddset(&passed, SIGNALS[i]);
    sigprocmask(SIG_BLOCK, &passed, NULL);
    ask(files, opened);
    hand_over(files, opened);
    /* Those that are ignored, too: the child ignores them as well, until the program says otherwise. */
    for (int i = 0; i < COUNT(SIGNALS); i++)
        sigaction(SIGNALS[i], &passing, NULL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; i < opened; i++)
        dup2(nothing, files[i]);
    if (!receive_all(&status, sizeof status))
        _exit(1);
    end(status);
}

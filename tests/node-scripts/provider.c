/* Stands in for the program: its version, its check of a configuration, its answer to a kubelet. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int doctor(const char *path) {
    char text[65536] = "";
    FILE *file = path ? fopen(path, "r") : NULL;
    if (file == NULL) {
        fprintf(stderr, "error: cannot read %s\n", path ? path : "the configuration");
        return 2;
    }
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    if (strstr(text, "broken") != NULL) {
        fputs("error: line 1, column 1: `broken` is not known\n", stderr);
        return 2;
    }
    return 0;
}

int main(int argc, char **argv) {
    const char *config = NULL, *answer = getenv("FAKE_ANSWER");
    char request[65536] = "";
    int at = 1;
    if (at + 1 < argc && strcmp(argv[at], "--config") == 0) {
        config = argv[at + 1];
        at += 2;
    }
    if (at < argc && strcmp(argv[at], "--version") == 0) {
        puts("aliyun-acr-credential-provider " VERSION);
        return 0;
    }
    if (at + 1 < argc && strcmp(argv[at], "doctor") == 0 && strcmp(argv[at + 1], "--config-only") == 0)
        return doctor(config);
    if (at + 1 < argc && strcmp(argv[at], "render") == 0 && strcmp(argv[at + 1], "kubelet-config") == 0) {
        puts(getenv("FAKE_RENDER") ? getenv("FAKE_RENDER") : "");
        return 0;
    }
    if (at < argc)
        return 2;
    request[fread(request, 1, sizeof request - 1, stdin)] = 0;
    if (strstr(request, "CredentialProviderRequest") == NULL)
        return 2;
    if (answer != NULL && strcmp(answer, "fail") == 0) {
        fputs("error: AssumeRole refused: NoPermission\ncaused by: trust policy\nhint: mend it\n", stderr);
        return 4;
    }
    if (answer != NULL && strcmp(answer, "null") == 0)
        puts("{\"kind\":\"CredentialProviderResponse\",\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v1\",\"cacheKeyType\":\"Image\",\"cacheDuration\":\"0s\",\"auth\":null}");
    else
        puts("{\"kind\":\"CredentialProviderResponse\",\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v1\",\"cacheKeyType\":\"Registry\",\"cacheDuration\":\"59m30s\",\"auth\":{\"acme-registry.cn-hangzhou.cr.aliyuncs.com\":{\"username\":\"cr_temp_user\",\"password\":\"hunter2-not-for-print\"}}}");
    return 0;
}

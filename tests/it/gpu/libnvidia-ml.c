/* A library that answers like NVIDIA's, of two made-up GPUs, for tests/it/gpu.
 *
 * The file that FAKE_NVML names is read at every call. A line `power.1=999` has that call for that
 * GPU end with that number of NVML's errors; `hang=power` has the call hang for as long as the
 * line is there. With -DOLD it lacks what drivers before 510 lack.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3 };

struct card {
    const char *name, *uuid, *pci;
    unsigned gpu, memory;
    unsigned long long total, reserved, used, free;
    unsigned temperature, power, fan, sm, mem;
};

#define MIB (1ull << 20)
#define NONE (~0u)

static const struct card cards[2] = {
    {"NVIDIA RTX A4000", "GPU-11111111-aaaa", "00000000:01:00.0", 37, 12,
     16384 * MIB, 384 * MIB, 4000 * MIB, 12000 * MIB, 61, 87250, 42, 1560, 7001},
    {"Tesla T4", "GPU-22222222-bbbb", "00000000:41:00.0", 0, 0,
     15360 * MIB, 460 * MIB, 0, 14900 * MIB, 33, NONE, NONE, 300, 405},
};

static int has_line(const char *wanted, int *number) {
    char line[200];
    size_t length = strlen(wanted);
    const char *path = getenv("FAKE_NVML");
    FILE *file = path ? fopen(path, "r") : NULL;
    int found = 0;
    while (file && !found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        found = !strncmp(line, wanted, length) && (number ? line[length] == '=' : !line[length]);
        if (found && number) *number = atoi(line + length + 1);
    }
    if (file) fclose(file);
    return found;
}

/* How the call ends; `index` below 0 for one that is of no GPU. */
static int ends(const char *call, long index) {
    char line[100];
    int result = SUCCESS;
    snprintf(line, sizeof line, "hang=%s", call);
    while (has_line(line, NULL)) nanosleep(&(struct timespec){0, 10000000}, NULL);
    snprintf(line, sizeof line, index < 0 ? "%s" : "%s.%ld", call, index);
    has_line(line, &result);
    if (result == SUCCESS && index >= 0) {
        snprintf(line, sizeof line, "all.%ld", index);
        has_line(line, &result);
    }
    return result;
}

#define INDEX(device) ((long)((device) - cards))
#define CALL(call, device) \
    do { int result = ends(call, INDEX(device)); if (result) return result; } while (0)

static int number(unsigned from, unsigned *to) {
    if (from == NONE) return NOT_SUPPORTED;
    *to = from;
    return SUCCESS;
}

static int text(const char *from, char *to, unsigned length) {
    snprintf(to, length, "%s", from);
    return SUCCESS;
}

int nvmlInit_v2(void) { return ends("init", -1); }
int nvmlShutdown(void) { return ends("shutdown", -1); }

int nvmlDeviceGetCount_v2(unsigned *count) {
    int result = ends("count", -1);
    *count = 2;
    return result;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, const struct card **device) {
    if (index > 1) return INVALID_ARGUMENT;
    *device = &cards[index];
    return ends("handle", index);
}

int nvmlDeviceGetName(const struct card *device, char *to, unsigned length) {
    CALL("name", device);
    return text(device->name, to, length);
}

int nvmlDeviceGetUUID(const struct card *device, char *to, unsigned length) {
    CALL("uuid", device);
    return text(device->uuid, to, length);
}

struct pci { char legacy[16]; unsigned domain, bus, device, id, subsystem; char address[32]; };

int nvmlDeviceGetPciInfo_v3(const struct card *device, struct pci *pci) {
    CALL("pci", device);
    return text(device->pci, pci->address, sizeof pci->address);
}

int nvmlDeviceGetUtilizationRates(const struct card *device, unsigned to[2]) {
    CALL("utilization", device);
    to[0] = device->gpu;
    to[1] = device->memory;
    return SUCCESS;
}

int nvmlDeviceGetTemperature(const struct card *device, int sensor, unsigned *to) {
    CALL("temperature", device);
    return sensor ? INVALID_ARGUMENT : number(device->temperature, to);
}

int nvmlDeviceGetPowerUsage(const struct card *device, unsigned *to) {
    CALL("power", device);
    return number(device->power, to);
}

int nvmlDeviceGetClockInfo(const struct card *device, int clock, unsigned *to) {
    CALL("clock", device);
    return number(clock == 1 ? device->sm : clock == 2 ? device->mem : NONE, to);
}

#ifndef OLD
struct memory { unsigned version; unsigned long long total, reserved, free, used; };

int nvmlDeviceGetMemoryInfo_v2(const struct card *device, struct memory *to) {
    CALL("memory", device);
    to->total = device->total;
    to->reserved = device->reserved;
    to->free = device->free;
    to->used = device->used;
    return SUCCESS;
}

int nvmlDeviceGetFanSpeed_v2(const struct card *device, unsigned fan, unsigned *to) {
    CALL("fan", device);
    return fan ? INVALID_ARGUMENT : number(device->fan, to);
}
#endif

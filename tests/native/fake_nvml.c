/* A library that speaks the part of NVML's C interface that the worker asks for.
 *
 * Built as libnvidia-ml.so.1 and found through LD_LIBRARY_PATH, it stands in for the driver's own,
 * so that everything above the C interface, pynvml included, is the real thing. Device handles are
 * 1 + index. What it says is fixed; how it misbehaves is set by the environment:
 *
 *   FAKE_NVML_GPUS=n          how many there are (2)
 *   FAKE_NVML_INIT=code       nvmlInit answers this error
 *   FAKE_NVML_COUNT=code      counting the devices answers this error
 *   FAKE_NVML_ECC=none        ECC is not supported
 *   FAKE_NVML_EVENTS=none     events are not supported
 *   FAKE_NVML_PROCESSES=code  listing processes answers this error
 *   FAKE_NVML_XID=n           device 1 reports critical error n, once; "storm": without end
 *   FAKE_NVML_LOST_AFTER=n    device 1 is lost after n readings of its utilisation
 *   FAKE_NVML_HANG_AFTER=n    reading a utilisation never returns after n readings
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))

enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    INSUFFICIENT_SIZE = 7,
    TIMEOUT = 10,
    GPU_IS_LOST = 15,
};

#define XID_CRITICAL_ERROR 0x8ULL
#define GIB (1ULL << 30)

typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned int version; unsigned long long total, reserved, free, used; } MemoryV2;
typedef struct { unsigned int gpu, memory; } Utilization;
typedef struct {
    unsigned int pid;
    unsigned long long used_gpu_memory;
    unsigned int gpu_instance_id, compute_instance_id;
} Process;
typedef struct {
    void *device;
    unsigned long long event_type, event_data;
    unsigned int gpu_instance_id, compute_instance_id;
} Event;
typedef struct { void *device; int told; } EventSet;

static int initialized, readings, readings_of_device_1;

static int setting(const char *name, int otherwise) {
    const char *value = getenv(name);
    return value && *value ? atoi(value) : otherwise;
}

static int is_set(const char *name, const char *wanted) {
    const char *value = getenv(name);
    return value && strcmp(value, wanted) == 0;
}

static int index_of(void *device) { return (int)(long)device - 1; }

/* What every question about a device begins with. */
static int trouble(void *device) {
    int lost_after = setting("FAKE_NVML_LOST_AFTER", -1);
    if (!initialized) return UNINITIALIZED;
    if (index_of(device) < 0 || index_of(device) >= setting("FAKE_NVML_GPUS", 2)) return INVALID_ARGUMENT;
    if (index_of(device) == 1 && lost_after >= 0 && readings_of_device_1 >= lost_after) return GPU_IS_LOST;
    return SUCCESS;
}

API const char *nvmlErrorString(int code) {
    return code == GPU_IS_LOST ? "GPU is lost" : "an error of the stand-in";
}

API int nvmlInitWithFlags(unsigned int flags) {
    (void)flags;
    int code = setting("FAKE_NVML_INIT", SUCCESS);
    initialized += code == SUCCESS;
    return code;
}

API int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

API int nvmlShutdown(void) {
    if (!initialized) return UNINITIALIZED;
    initialized--;
    return SUCCESS;
}

API int nvmlSystemGetDriverVersion(char *text, unsigned int length) {
    if (!initialized) return UNINITIALIZED;
    snprintf(text, length, "570.86.15");
    return SUCCESS;
}

API int nvmlDeviceGetCount_v2(unsigned int *count) {
    *count = setting("FAKE_NVML_GPUS", 2);
    return setting("FAKE_NVML_COUNT", SUCCESS);
}

API int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device) {
    *device = (void *)(long)(index + 1);
    return trouble(*device);
}

API int nvmlDeviceGetName(void *device, char *text, unsigned int length) {
    snprintf(text, length, "Stand-in 90%d0", index_of(device));
    return trouble(device);
}

API int nvmlDeviceGetUUID(void *device, char *text, unsigned int length) {
    snprintf(text, length, "GPU-0000000%d", index_of(device));
    return trouble(device);
}

API int nvmlDeviceGetMemoryInfo(void *device, Memory *memory) {
    memory->total = 24 * GIB;
    memory->used = (6 + index_of(device)) * GIB;
    memory->free = memory->total - memory->used;
    return trouble(device);
}

API int nvmlDeviceGetMemoryInfo_v2(void *device, MemoryV2 *memory) {
    memory->total = 24 * GIB;
    memory->reserved = GIB;
    memory->used = (5 + index_of(device)) * GIB;
    memory->free = memory->total - memory->reserved - memory->used;
    return trouble(device);
}

API int nvmlDeviceGetUtilizationRates(void *device, Utilization *rates) {
    int hang_after = setting("FAKE_NVML_HANG_AFTER", -1);
    if (hang_after >= 0 && readings >= hang_after) for (;;) pause();
    int code = trouble(device);
    readings++;
    readings_of_device_1 += index_of(device) == 1;
    rates->gpu = 75 + index_of(device);
    rates->memory = 30;
    return code;
}

API int nvmlDeviceGetTemperature(void *device, int sensor, unsigned int *celsius) {
    if (sensor != 0) return INVALID_ARGUMENT;
    *celsius = 60 + index_of(device);
    return trouble(device);
}

API int nvmlDeviceGetPowerUsage(void *device, unsigned int *milliwatts) {
    *milliwatts = 250500;
    return trouble(device);
}

API int nvmlDeviceGetTotalEccErrors(void *device, int kind, int counter, unsigned long long *count) {
    if (is_set("FAKE_NVML_ECC", "none")) return NOT_SUPPORTED;
    if (counter != 0) return INVALID_ARGUMENT; /* volatile */
    *count = kind == 0 ? 3 : 0;                /* corrected, uncorrected */
    return trouble(device);
}

API int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned int *count, Process *found) {
    int code = setting("FAKE_NVML_PROCESSES", trouble(device));
    if (code != SUCCESS) return code;
    if (index_of(device) == 1) { /* nobody there */
        *count = 0;
        return SUCCESS;
    }
    if (*count < 2 || !found) {
        *count = 2;
        return INSUFFICIENT_SIZE;
    }
    *count = 2;
    found[0] = (Process){.pid = 4242, .used_gpu_memory = 5 * GIB};
    found[1] = (Process){.pid = 4243, .used_gpu_memory = ~0ULL}; /* the driver does not tell */
    return SUCCESS;
}

API int nvmlEventSetCreate(EventSet **set) {
    if (is_set("FAKE_NVML_EVENTS", "none")) return NOT_SUPPORTED;
    *set = calloc(1, sizeof **set);
    return SUCCESS;
}

API int nvmlDeviceRegisterEvents(void *device, unsigned long long types, EventSet *set) {
    if (types != XID_CRITICAL_ERROR) return INVALID_ARGUMENT;
    set->device = device;
    return trouble(device);
}

API int nvmlEventSetWait_v2(EventSet *set, Event *event, unsigned int timeout_ms) {
    (void)timeout_ms;
    int storm = is_set("FAKE_NVML_XID", "storm");
    int xid = storm ? 31 : setting("FAKE_NVML_XID", 0);
    if (!xid || index_of(set->device) != 1 || (set->told && !storm)) return TIMEOUT;
    set->told = 1;
    *event = (Event){.device = set->device, .event_type = XID_CRITICAL_ERROR, .event_data = xid};
    return SUCCESS;
}

API int nvmlEventSetFree(EventSet *set) {
    free(set);
    return SUCCESS;
}

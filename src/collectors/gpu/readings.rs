//! What there is to be said of GPUs, in our names, in those of NVIDIA's DCGM exporter, and in OpenTelemetry's.
//!
//! <https://docs.nvidia.com/datacenter/dcgm/latest/reference/dcgm-exporter-metrics.html>
//! <https://opentelemetry.io/docs/specs/semconv/hardware/gpu/>

use crate::model::{Family, Kind, Label, Reading, face, scaled};

/// A GPU's key: its index, name, UUID and address. A label without a value is left out.
const INDEX: usize = 0;
const NAME: usize = 1;
const UUID: usize = 2;
const PCI: usize = 3;

const GPU: &[Label] = &[Label::key("gpu", INDEX), Label::key("name", NAME), Label::key("uuid", UUID)];

/// The labels that DCGM's exporter gives, in its spelling.
const DCGM: &[Label] = &[
    Label::key("gpu", INDEX),
    Label::key("UUID", UUID),
    Label::key("pci_bus_id", PCI),
    Label::prefixed("device", INDEX, "nvidia"),
    Label::key("modelName", NAME),
];

const OTEL_ID: Label = Label::key("hw.id", UUID);
const OTEL_MODEL: Label = Label::key("hw.model", NAME);
const OTEL_NAME: Label = Label::prefixed("hw.name", INDEX, "nvidia");
const OTEL_VENDOR: Label = Label::constant("hw.vendor", "NVIDIA");
/// A component of a GPU has an identifier of its own.
const OTEL_PARENT: Label = Label::key("hw.parent", UUID);

const OTEL: &[Label] = &[OTEL_ID, OTEL_MODEL, OTEL_NAME, OTEL_VENDOR];
const OTEL_GENERAL: &[Label] =
    &[OTEL_ID, OTEL_MODEL, OTEL_NAME, OTEL_VENDOR, Label::constant("hw.gpu.task", "general")];
const OTEL_MEMORY: &[Label] = &[OTEL_ID, OTEL_MODEL, OTEL_NAME, OTEL_VENDOR, Label::constant("hw.gpu.task", "memory")];
const OTEL_POWER: &[Label] = &[OTEL_ID, OTEL_NAME, Label::constant("hw.type", "gpu")];
const OTEL_TEMPERATURE: &[Label] = &[
    Label::prefixed("hw.id", UUID, "temperature-"),
    OTEL_NAME,
    OTEL_PARENT,
    Label::constant("hw.sensor_location", "GPU_DIE"),
];
const OTEL_FAN: &[Label] = &[Label::prefixed("hw.id", UUID, "fan-"), OTEL_NAME, OTEL_PARENT];
const OTEL_CLOCK_SM: &[Label] = &[OTEL_ID, OTEL_MODEL, OTEL_NAME, OTEL_VENDOR, Label::constant("hw.gpu.clock", "sm")];
const OTEL_CLOCK_MEMORY: &[Label] =
    &[OTEL_ID, OTEL_MODEL, OTEL_NAME, OTEL_VENDOR, Label::constant("hw.gpu.clock", "memory")];

const PERCENT: f64 = 0.01;
const MILLI: f64 = 0.001;
const MHZ: f64 = 1e6;
const PER_MIB: f64 = 1.0 / 1_048_576.0;

/// How many GPUs the library knows.
pub static COUNT: Reading = Reading {
    native: face(&Family::gauge("system_gpu_count", "", "NVIDIA GPUs; 0 on a host without one."), &[]),
    node: face(&Family::gauge("DCGM_FI_DEV_COUNT", "", "NVIDIA GPUs; 0 on a host without one."), &[]),
    otel: face(&Family::new(Kind::UpDown, "hw.gpu.count", "{gpu}", "NVIDIA GPUs; 0 on a host without one."), &[]),
};

/// Time in which a kernel ran, in percent.
pub static UTILIZATION: Reading = Reading {
    native: face(
        &Family::gauge("system_gpu_utilization_percent", "percent", "Part of the time in which the GPU computed."),
        GPU,
    ),
    node: face(&Family::gauge("DCGM_FI_DEV_GPU_UTIL", "", "Percent of the time in which the GPU did something."), DCGM),
    otel: scaled(
        &Family::gauge("hw.gpu.utilization", "1", "Share of the time in which the GPU did this."),
        OTEL_GENERAL,
        PERCENT,
    ),
};

/// Time in which memory was read or written, in percent.
pub static MEMORY_UTILIZATION: Reading = Reading {
    native: face(
        &Family::gauge(
            "system_gpu_memory_utilization_percent",
            "percent",
            "Part of the time in which the GPU's memory was read or written.",
        ),
        GPU,
    ),
    node: face(
        &Family::gauge("DCGM_FI_DEV_MEM_COPY_UTIL", "", "Percent of the time in which memory was read or written."),
        DCGM,
    ),
    otel: scaled(
        &Family::gauge("hw.gpu.utilization", "1", "Share of the time in which the GPU did this."),
        OTEL_MEMORY,
        PERCENT,
    ),
};

/// All of its memory, in bytes.
pub static MEMORY_TOTAL: Reading = Reading {
    native: face(&Family::gauge("system_gpu_memory_total_bytes", "bytes", "Size of the GPU's memory."), GPU),
    node: scaled(&Family::gauge("DCGM_FI_DEV_FB_TOTAL", "", "Memory of the GPU, in MiB."), DCGM, PER_MIB),
    otel: face(&Family::new(Kind::UpDown, "hw.gpu.memory.limit", "By", "Memory of the GPU."), OTEL),
};

/// What is allocated of it, in bytes.
pub static MEMORY_USED: Reading = Reading {
    native: face(
        &Family::gauge(
            "system_gpu_memory_used_bytes",
            "bytes",
            "Allocated memory of the GPU, without what driver and firmware reserve.",
        ),
        GPU,
    ),
    node: scaled(&Family::gauge("DCGM_FI_DEV_FB_USED", "", "Memory that is in use, in MiB."), DCGM, PER_MIB),
    otel: face(&Family::new(Kind::UpDown, "hw.gpu.memory.usage", "By", "Memory that is in use."), OTEL),
};

/// What is free of it, in bytes.
pub static MEMORY_FREE: Reading = Reading {
    native: face(&Family::gauge("system_gpu_memory_free_bytes", "bytes", "Free memory of the GPU."), GPU),
    node: scaled(&Family::gauge("DCGM_FI_DEV_FB_FREE", "", "Memory that is not in use, in MiB."), DCGM, PER_MIB),
    otel: face(&Family::new(Kind::UpDown, "hw.gpu.memory.free", "By", "Memory that is not in use."), OTEL),
};

/// What is allocated of it, as a fraction.
pub static MEMORY_USED_RATIO: Reading = Reading {
    native: None,
    node: None,
    otel: face(&Family::gauge("hw.gpu.memory.utilization", "1", "Share of the memory that is in use."), OTEL),
};

/// Of the chip, in degrees Celsius.
pub static TEMPERATURE: Reading = Reading {
    native: face(&Family::gauge("system_gpu_temperature_celsius", "celsius", "Temperature of the GPU's chip."), GPU),
    node: face(&Family::gauge("DCGM_FI_DEV_GPU_TEMP", "", "Temperature of the GPU, in degrees Celsius."), DCGM),
    otel: face(&Family::gauge("hw.temperature", "Cel", "Temperature in degrees Celsius."), OTEL_TEMPERATURE),
};

/// What it draws, in milliwatts.
pub static POWER: Reading = Reading {
    native: face(
        &Family::gauge("system_gpu_power_usage_milliwatts", "milliwatts", "Power that the GPU's board draws."),
        GPU,
    ),
    node: scaled(&Family::gauge("DCGM_FI_DEV_POWER_USAGE", "", "Power that the board draws, in watts."), DCGM, MILLI),
    otel: scaled(&Family::gauge("hw.power", "W", "Power that is used now."), OTEL_POWER, MILLI),
};

/// How fast its fan is meant to be, in percent.
pub static FAN: Reading = Reading {
    native: face(
        &Family::gauge("system_gpu_fan_speed_percent", "percent", "Intended speed of the GPU's first fan."),
        GPU,
    ),
    node: face(&Family::gauge("DCGM_FI_DEV_FAN_SPEED", "", "Speed of the fan, in percent of its highest."), DCGM),
    otel: scaled(
        &Family::gauge("hw.fan.speed_ratio", "1", "Speed of the fan as a share of its highest."),
        OTEL_FAN,
        PERCENT,
    ),
};

/// Of its multiprocessors, in MHz.
pub static CLOCK_SM: Reading = Reading {
    native: face(&Family::gauge("system_gpu_clock_sm_mhz", "mhz", "Clock of the GPU's multiprocessors."), GPU),
    node: face(&Family::gauge("DCGM_FI_DEV_SM_CLOCK", "", "Clock of the processors, in MHz."), DCGM),
    otel: scaled(&Family::gauge("hw.gpu.speed", "Hz", "Current frequency of a clock of the GPU."), OTEL_CLOCK_SM, MHZ),
};

/// Of its memory, in MHz.
pub static CLOCK_MEMORY: Reading = Reading {
    native: face(&Family::gauge("system_gpu_clock_memory_mhz", "mhz", "Clock of the GPU's memory."), GPU),
    node: face(&Family::gauge("DCGM_FI_DEV_MEM_CLOCK", "", "Clock of the memory, in MHz."), DCGM),
    otel: scaled(
        &Family::gauge("hw.gpu.speed", "Hz", "Current frequency of a clock of the GPU."),
        OTEL_CLOCK_MEMORY,
        MHZ,
    ),
};

/// Everything that the collector may give.
pub static ALL: &[&[Reading]] = &[
    std::slice::from_ref(&COUNT),
    std::slice::from_ref(&UTILIZATION),
    std::slice::from_ref(&MEMORY_UTILIZATION),
    std::slice::from_ref(&MEMORY_TOTAL),
    std::slice::from_ref(&MEMORY_USED),
    std::slice::from_ref(&MEMORY_FREE),
    std::slice::from_ref(&MEMORY_USED_RATIO),
    std::slice::from_ref(&TEMPERATURE),
    std::slice::from_ref(&POWER),
    std::slice::from_ref(&FAN),
    std::slice::from_ref(&CLOCK_SM),
    std::slice::from_ref(&CLOCK_MEMORY),
];

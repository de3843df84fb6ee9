//! NVIDIA GPUs, told of by a library that a test has built and that does what the test says.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::support::program::{Daemon, Ran, TempDir, free_port, metricsd, run};
use crate::support::wait_for;

/// A folder with the library, the file that tells it what to do, and a host without a GPU of its own.
struct Fake {
    dir: TempDir,
}

impl Fake {
    fn new(options: &[&str]) -> Fake {
        let dir = TempDir::new();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/gpu/libnvidia-ml.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]).arg(dir.path().join("libnvidia-ml.so.1")).args(options).arg(source);
        let built = run(&mut compiler);
        assert_eq!(built.code, 0, "the linker's C compiler: {}", built.stderr);
        let fake = Fake { dir };
        fake.says("");
        fake
    }

    /// From now on the calls end as `lines` have it.
    fn says(&self, lines: &str) {
        let new = self.dir.write("says.new", lines);
        fs::rename(new, self.dir.path().join("says")).unwrap();
    }

    /// Shows the host a GPU on the bus.
    fn plug_in(&self) {
        let device = self.dir.path().join("sys/bus/pci/devices/0000:01:00.0");
        fs::create_dir_all(&device).unwrap();
        fs::write(device.join("vendor"), "0x10de\n").unwrap();
        fs::write(device.join("class"), "0x030000\n").unwrap();
    }

    /// The program with this library alone to read, and what `more` adds to the object of `gpu`.
    fn configured(&self, more: &str, port: u16) -> Command {
        let library = self.dir.path().join("libnvidia-ml.so.1");
        let config = format!(
            r#"{{"server": {{"host": "127.0.0.1", "port": {port}}},
                "collector": {{"interval_seconds": 0.1, "preset": "none", "enable_gpu": true, "enable_load": true,
                    "gpu": {{"library": {library:?}{more}}}}}}}"#
        );
        self.program(&self.dir.write("config.json", &config))
    }

    fn program(&self, config: &PathBuf) -> Command {
        let proc = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/vm/proc");
        let mut program = metricsd();
        program.arg("-config").arg(config).env("FAKE_NVML", self.dir.path().join("says"));
        program.env("HOST_PROC", proc).env("HOST_SYS", self.dir.path().join("sys"));
        program
    }

    fn start(&self, more: &str) -> Daemon {
        let port = free_port();
        Daemon::spawn(&mut self.configured(more, port), port)
    }

    fn once(&self, arguments: &[&str]) -> Ran {
        run(self.configured("", 1).arg("-once").args(arguments))
    }
}

/// The samples of GPUs on a page.
fn samples(page: &str) -> Vec<&str> {
    let is_one = |line: &&str| ["system_gpu_", "DCGM_", "hw_"].iter().any(|begins| line.starts_with(begins));
    page.lines().filter(is_one).collect()
}

fn page(daemon: &Daemon, path: &str) -> String {
    daemon.get(path).unwrap().1
}

fn state(daemon: &Daemon) -> (String, String) {
    let health: serde_json::Value = serde_json::from_str(&page(daemon, "/health")).unwrap();
    let gpu = &health["collectors"]["gpu"];
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    (text(&gpu["state"]), text(&gpu["error"]))
}

fn is(daemon: &Daemon, expected: &str) {
    wait_for(expected, || (state(daemon).0 == expected).then_some(()));
}

/// Waits for some rounds more.
fn goes_on(daemon: &Daemon) {
    let collections = || daemon.metric("metricsd_collections_total");
    let from = collections().unwrap();
    wait_for("more collections", || collections().filter(|now| *now >= from + 5.0));
}

/// Waits until the page shows these samples of GPUs and no others.
fn shows<'a>(daemon: &Daemon, expected: impl Iterator<Item = &'a str>) {
    let expected: Vec<&str> = expected.collect();
    wait_for("numbers of GPUs", || (samples(&daemon.get("/metrics")?.1) == expected).then_some(()));
}

/// How many lines of the log hold `text`.
fn lines(daemon: &Daemon, text: &str) -> usize {
    daemon.log().lines().filter(|line| line.contains(text)).count()
}

const NATIVE: &str = r#"system_gpu_count 2
system_gpu_utilization_percent{gpu="0",name="NVIDIA RTX A4000",uuid="GPU-11111111-aaaa"} 37
system_gpu_utilization_percent{gpu="1",name="Tesla T4",uuid="GPU-22222222-bbbb"} 0
system_gpu_memory_utilization_percent{gpu="0",name="NVIDIA RTX A4000",uuid="GPU-11111111-aaaa"} 12
system_gpu_memory_utilization_percent{gpu="1",name="Tesla T4",uuid="GPU-22222222-bbbb"} 0
system_gpu_memory_total_bytes{gpu="0",name="NVIDIA RTX A4000",uuid="GPU-11111111-aaaa"} 17179869184
system_gpu_memory_total_bytes{gpu="1",name="Tesla T4",uuid="GPU-22222222-bbbb"} 16106127360
system_gpu_memory_used_bytes{gpu="0",name="NVIDIA RTX A4000",uuid="GPU-11111111-aaaa"} 4194304000
system_gpu_memory_used_bytes{gpu="1",name="Tesla T4",uuid="GPU-22222222-bbbb"} 0
system_gpu_memory_free_bytes{gpu="0",name="NVIDIA RTX A4000",uuid="GPU-11111111-aaaa"} 12582912000
system_gpu_memory_free_bytes{gpu="1",name="Tesla T4",uuid="GPU-22222222-bbbb"} 15623782400
system_gpu_temperature_celsius{gpu="0",name="NVIDIA RTX A4000",uuid="GPU-11111111-aaaa"} 61
system_gpu_temperature_celsius{gpu="1",name="Tesla T4",uuid="GPU-22222222-bbbb"} 33
system_gpu_power_usage_milliwatts{gpu="0",name="NVIDIA RTX A4000",uuid="GPU-11111111-aaaa"} 87250
system_gpu_fan_speed_percent{gpu="0",name="NVIDIA RTX A4000",uuid="GPU-11111111-aaaa"} 42
system_gpu_clock_sm_mhz{gpu="0",name="NVIDIA RTX A4000",uuid="GPU-11111111-aaaa"} 1560
system_gpu_clock_sm_mhz{gpu="1",name="Tesla T4",uuid="GPU-22222222-bbbb"} 300
system_gpu_clock_memory_mhz{gpu="0",name="NVIDIA RTX A4000",uuid="GPU-11111111-aaaa"} 7001
system_gpu_clock_memory_mhz{gpu="1",name="Tesla T4",uuid="GPU-22222222-bbbb"} 405"#;

#[test]
fn every_scheme_tells_what_each_gpu_has() {
    let fake = Fake::new(&[]);
    let daemon = fake.start("");
    shows(&daemon, NATIVE.lines());
    assert_eq!(daemon.log().matches("gpu").count(), 0, "what a device lacks is no news: {}", daemon.log());

    let node = page(&daemon, "/metrics/node");
    assert_eq!(samples(&node).len(), NATIVE.lines().count());
    let first = r#"{UUID="GPU-11111111-aaaa",device="nvidia0",gpu="0",modelName="NVIDIA RTX A4000",pci_bus_id="00000000:01:00.0"}"#;
    let second =
        r#"{UUID="GPU-22222222-bbbb",device="nvidia1",gpu="1",modelName="Tesla T4",pci_bus_id="00000000:41:00.0"}"#;
    assert!(node.contains("\nDCGM_FI_DEV_COUNT 2\n"), "{node}");
    for (name, labels, value) in [
        ("DCGM_FI_DEV_GPU_UTIL", first, "37"),
        ("DCGM_FI_DEV_MEM_COPY_UTIL", first, "12"),
        ("DCGM_FI_DEV_FB_TOTAL", first, "16384"),
        ("DCGM_FI_DEV_FB_USED", first, "4000"),
        ("DCGM_FI_DEV_FB_FREE", second, "14900"),
        ("DCGM_FI_DEV_GPU_TEMP", second, "33"),
        ("DCGM_FI_DEV_POWER_USAGE", first, "87.25"),
        ("DCGM_FI_DEV_FAN_SPEED", first, "42"),
        ("DCGM_FI_DEV_SM_CLOCK", first, "1560"),
        ("DCGM_FI_DEV_MEM_CLOCK", second, "405"),
    ] {
        assert!(node.contains(&format!("\n{name}{labels} {value}\n")), "{name}: {node}");
    }
}

#[test]
fn opentelemetrys_names_keep_their_dots_where_a_format_can_hold_them() {
    let fake = Fake::new(&[]);
    let ran = fake.once(&["-naming", "otel"]);
    let gpu = r#"hw_id="GPU-11111111-aaaa",hw_model="NVIDIA RTX A4000",hw_name="nvidia0",hw_vendor="NVIDIA""#;
    let of_first: Vec<String> = samples(&ran.stdout).iter().map(|line| line.replace(gpu, "GPU")).collect();
    let of_first: Vec<&str> = of_first.iter().map(String::as_str).filter(|line| !line.contains("22222222")).collect();
    assert_eq!(
        of_first,
        [
            "hw_gpu_count 2",
            r#"hw_gpu_utilization_ratio{hw_gpu_task="general",GPU} 0.37"#,
            r#"hw_gpu_utilization_ratio{hw_gpu_task="memory",GPU} 0.12"#,
            "hw_gpu_memory_limit_bytes{GPU} 17179869184",
            "hw_gpu_memory_usage_bytes{GPU} 4194304000",
            "hw_gpu_memory_free_bytes{GPU} 12582912000",
            "hw_gpu_memory_utilization_ratio{GPU} 0.244140625",
            r#"hw_temperature_celsius{hw_id="temperature-GPU-11111111-aaaa",hw_name="nvidia0",hw_parent="GPU-11111111-aaaa",hw_sensor_location="GPU_DIE"} 61"#,
            r#"hw_power_watts{hw_id="GPU-11111111-aaaa",hw_name="nvidia0",hw_type="gpu"} 87.25"#,
            r#"hw_fan_speed_ratio{hw_id="fan-GPU-11111111-aaaa",hw_name="nvidia0",hw_parent="GPU-11111111-aaaa"} 0.42"#,
            r#"hw_gpu_speed_hertz{hw_gpu_clock="sm",GPU} 1560000000"#,
            r#"hw_gpu_speed_hertz{hw_gpu_clock="memory",GPU} 7001000000"#,
        ]
    );

    let ran = fake.once(&["-naming", "otel", "-format", "json"]);
    let payload: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let metrics = payload["metrics"].as_array().unwrap();
    let power = metrics.iter().find(|metric| metric["name"] == "hw.power").unwrap();
    let labels = serde_json::json!({"hw.id": "GPU-11111111-aaaa", "hw.name": "nvidia0", "hw.type": "gpu"});
    assert_eq!((&power["labels"], &power["value"]), (&labels, &serde_json::json!(87.25)));
}

#[test]
fn the_systems_loader_finds_the_library_by_its_name() {
    let fake = Fake::new(&[]);
    let config = fake.dir.write("config.json", r#"{"collector": {"preset": "none", "enable_gpu": true}}"#);
    let ran = run(fake.program(&config).arg("-once").env("LD_LIBRARY_PATH", fake.dir.path()));
    assert_eq!(samples(&ran.stdout), NATIVE.lines().collect::<Vec<_>>(), "{}", ran.stderr);
}

#[test]
fn a_host_without_a_gpu_has_none_and_says_so_once() {
    let fake = Fake::new(&[]);
    let library = fake.dir.path().join("libnvidia-ml.so.1");
    fs::remove_file(&library).unwrap();
    let daemon = fake.start("");
    is(&daemon, "absent");
    goes_on(&daemon);
    assert_eq!(samples(&page(&daemon, "/metrics")), ["system_gpu_count 0"]);
    assert_eq!(lines(&daemon, "gpu"), 1, "{}", daemon.log());
    let said = format!("collector gpu: nothing to read here: cannot load {}: ", library.display());
    assert_eq!(lines(&daemon, &said), 1, "{}", daemon.log());

    // A driver that an image has, and no GPU to go with it.
    let fake = Fake::new(&[]);
    fake.says("init=9\n");
    let ran = fake.once(&[]);
    assert_eq!(samples(&ran.stdout), ["system_gpu_count 0"]);
    assert!(ran.stderr.contains("libnvidia-ml.so.1 says: Driver Not Loaded"), "{}", ran.stderr);

    // A GPU without a driver is something else: how many there are is not known.
    fake.plug_in();
    let ran = fake.once(&[]);
    assert_eq!(samples(&ran.stdout), [""; 0]);
    assert!(ran.stderr.contains("there is an NVIDIA GPU at 0000:01:00.0, but "), "{}", ran.stderr);
}

#[test]
fn what_the_library_refuses_is_said_in_its_words() {
    let fake = Fake::new(&[]);
    fake.says("init=18\n");
    let daemon = fake.start("");
    is(&daemon, "failed");
    goes_on(&daemon);
    assert!(state(&daemon).1.ends_with("libnvidia-ml.so.1 says: Driver/library version mismatch"));
    assert_eq!(samples(&page(&daemon, "/metrics")), [""; 0]);
    assert_eq!(lines(&daemon, "Driver/library version mismatch"), 1, "{}", daemon.log());

    // What is no library of NVIDIA's at all.
    let empty = fake.dir.write("empty.c", "int nothing;\n");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-o"]).arg(fake.dir.path().join("libnvidia-ml.so.1")).arg(empty);
    assert_eq!(run(&mut compiler).code, 0);
    let ran = fake.once(&[]);
    assert!(ran.stderr.contains("undefined symbol: nvmlInit_v2"), "{}", ran.stderr);
}

#[test]
fn one_number_that_fails_costs_itself_and_is_said_once() {
    let fake = Fake::new(&[]);
    fake.says("power.0=999\nname.1=4\n");
    let daemon = fake.start("");
    is(&daemon, "ok");
    goes_on(&daemon);
    let page = page(&daemon, "/metrics");
    assert_eq!(daemon.metric("system_gpu_count"), Some(2.0));
    let of_first = NATIVE.lines().filter(|line| line.contains("gpu=\"0\"") && !line.contains("power"));
    assert_eq!(samples(&page)[1..], of_first.collect::<Vec<_>>());
    let said = [
        "NVML says: Unknown Error; power of GPU 0 is missing",
        "NVML says: Insufficient Permissions; GPU 1 is missing",
    ];
    for line in said {
        assert_eq!(lines(&daemon, line), 1, "{}", daemon.log());
    }
    assert_eq!(lines(&daemon, "gpu"), 2, "{}", daemon.log());

    // Once it works, it is there, without a restart.
    fake.says("");
    shows(&daemon, NATIVE.lines());
}

#[test]
fn a_gpu_that_falls_off_the_bus_ends_and_the_other_goes_on() {
    let fake = Fake::new(&[]);
    let daemon = fake.start("");
    shows(&daemon, NATIVE.lines());
    fake.says("all.1=15\n");
    shows(&daemon, NATIVE.lines().filter(|line| !line.contains("gpu=\"1\"")));
    goes_on(&daemon);
    let said = "NVML says: GPU is lost; GPU 1 (Tesla T4, GPU-22222222-bbbb) is missing until it can be read";
    assert_eq!((lines(&daemon, said), lines(&daemon, "gpu")), (1, 1), "{}", daemon.log());
    assert_eq!(state(&daemon).0, "ok");
}

#[test]
fn a_driver_that_hangs_costs_its_own_collector_alone() {
    for call in ["init", "power"] {
        let fake = Fake::new(&[]);
        fake.says(&format!("hang={call}\n"));
        let daemon = fake.start(r#", "timeout": "300ms""#);
        is(&daemon, "stale");
        goes_on(&daemon);
        assert_eq!(daemon.metric("system_load_1m"), Some(0.42), "{call}");
        assert_eq!(samples(&page(&daemon, "/metrics")), [""; 0], "{call}");
        fake.says("");
        shows(&daemon, NATIVE.lines());
        // One that hangs when the program is to end does not keep it.
        fake.says(&format!("hang={call}\nhang=power\n"));
        is(&daemon, "stale");
        let mut daemon = daemon;
        daemon.signal(nix::sys::signal::Signal::SIGTERM);
        assert_eq!(daemon.wait(), 0);
    }
}

/// The system's loader would wait in `open`, and all others for the loader.
#[test]
fn a_library_whose_path_may_hang_stops_nobody() {
    let fake = Fake::new(&[]);
    let library = fake.dir.path().join("libnvidia-ml.so.1");
    fs::remove_file(&library).unwrap();
    nix::unistd::mkfifo(&library, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let daemon = fake.start("");
    // Something is there, and that it is of no use is not for want of a GPU.
    is(&daemon, "failed");
    goes_on(&daemon);
    assert!(state(&daemon).1.ends_with(": it is no regular file"), "{:?}", state(&daemon));
    assert_eq!(samples(&page(&daemon, "/metrics")), [""; 0]);
    drop(daemon);
    let ran = fake.once(&[]);
    assert!(samples(&ran.stdout).is_empty() && ran.stderr.contains(": it is no regular file"), "{}", ran.stderr);
}

#[test]
fn an_old_library_tells_what_it_can() {
    let fake = Fake::new(&["-DOLD"]);
    let daemon = fake.start("");
    is(&daemon, "ok");
    goes_on(&daemon);
    let page = page(&daemon, "/metrics");
    let is_new = |line: &str| ["_total_bytes", "_used_bytes", "_free_bytes", "_fan_"].iter().any(|n| line.contains(n));
    assert_eq!(samples(&page), NATIVE.lines().filter(|line| !is_new(line)).collect::<Vec<_>>());
    assert_eq!(lines(&daemon, "gpu"), 2, "{}", daemon.log());
    for (what, function) in [("memory", "nvmlDeviceGetMemoryInfo_v2"), ("fan speed", "nvmlDeviceGetFanSpeed_v2")] {
        let line = format!("undefined symbol: {function}; {what} of GPUs is missing until it can be read");
        assert_eq!(lines(&daemon, &line), 1, "{}", daemon.log());
    }
}

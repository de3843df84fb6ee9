//! The round: which chips there are, and one after the other what they say.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::super::collector::{CollectError, Collector, Tick};
use super::super::filter::Filter;
use super::super::partial::{Bound, Partial};
use super::chip::{Chip, Identity, Names, Round};
use super::names;
use crate::host::{HostPaths, Scratch, read_attribute};
use crate::model::Recorder;
use crate::order;

/// No host has as many chips; what is beyond is passed over, and said.
const MAX_CHIPS: usize = 512;

/// After how many rounds a chip's folder is listed again: a driver may add an attribute when its
/// chip is there already, and the kernel has no sign for that.
const ROUNDS_PER_LISTING: u32 = 20;

/// The collector.
#[derive(Debug)]
pub struct Hwmon {
    class: PathBuf,
    filter: Filter,
    known: Vec<Known>,
    names: Names,
    partial: Partial,
    bound: Bound,
}

/// What is remembered of a chip.
#[derive(Debug)]
struct Known {
    folder: String,
    identity: Identity,
    /// What it would be called, had it its device for itself.
    first_name: String,
    /// What it calls itself.
    name: String,
    /// None where it is left out.
    chip: Option<Chip>,
    /// Rounds until its folder is listed; 0: in this one.
    listed_in: u32,
}

impl Hwmon {
    /// Reads the chips of `host` that `filter` lets through.
    pub fn new(filter: &Filter, host: &HostPaths) -> Hwmon {
        Hwmon {
            class: host.sys("class/hwmon"),
            filter: filter.clone(),
            known: Vec::new(),
            names: Names::default(),
            partial: Partial::default(),
            bound: Bound::default(),
        }
    }

    /// Finds out which chips there are. What is known of those that are as they were stays.
    fn look(&mut self, scratch: &mut Scratch) -> Result<(), CollectError> {
        let failed = |error: io::Error| {
            let what = format!("cannot list {}: {error}", self.class.display());
            match error.kind() {
                io::ErrorKind::NotFound => CollectError::Absent(format!("{} does not exist", self.class.display())),
                _ => CollectError::Failed(what),
            }
        };
        let mut there: Vec<(String, Identity)> = Vec::new();
        for entry in fs::read_dir(&self.class).map_err(failed)? {
            let Ok(folder) = entry.map_err(failed)?.file_name().into_string() else { continue };
            // One that has gone a moment ago, or leads nowhere.
            let Some(identity) = Identity::of(&self.class.join(&folder)) else { continue };
            there.push((folder, identity));
        }
        order::sort_by(&mut there, |(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
        self.bound.tell(there.len() > MAX_CHIPS, names::COLLECTOR, "chips", MAX_CHIPS);
        there.truncate(MAX_CHIPS);
        let is_same = |(known, (folder, identity)): (&Known, &(String, Identity))| {
            known.folder == *folder && known.identity == *identity
        };
        if there.len() == self.known.len() && self.known.iter().zip(&there).all(is_same) {
            return Ok(());
        }
        let mut old = std::mem::take(&mut self.known);
        self.known =
            there.into_iter().map(|(folder, identity)| Known::new(&self.class, folder, identity, scratch)).collect();
        let chips: Vec<_> = self.known.iter().map(|known| (&*known.first_name, &*known.name, &*known.folder)).collect();
        let called = names::distinct(&chips);
        for (known, called) in self.known.iter_mut().zip(called) {
            if called.is_empty() || !self.filter.shows(&called, true) {
                continue;
            }
            let before = |old: &Known| {
                (&old.folder, &old.name) == (&known.folder, &known.name)
                    && old.chip.as_ref().is_some_and(|chip| chip.called == called)
            };
            let before = old.iter_mut().find(|old| before(old)).and_then(|old| old.chip.take());
            known.chip = Some(before.unwrap_or_else(|| Chip::new(self.class.join(&known.folder), called, &known.name)));
        }
        Ok(())
    }
}

impl Known {
    fn new(class: &Path, folder: String, identity: Identity, scratch: &mut Scratch) -> Known {
        let path = class.join(&folder);
        let name = read_attribute(&path.join("name"), scratch).map(|text| String::from_utf8_lossy(text).into_owned());
        let name = name.unwrap_or_default().trim().to_owned();
        let device = fs::canonicalize(path.join("device")).ok();
        let first_name = names::chip(device.as_ref().map(|path| path.to_string_lossy()).as_deref(), &name, &folder);
        Known { folder, identity, first_name, name, chip: None, listed_in: 0 }
    }
}

impl Collector for Hwmon {
    fn collect(&mut self, _tick: &Tick, scratch: &mut Scratch, out: &mut Recorder) -> Result<(), CollectError> {
        self.look(scratch)?;
        let Hwmon { known, names, partial, .. } = self;
        partial.begin();
        let mut round = Round { scratch, partial, names, read: 0, failed: 0 };
        let mut chips = 0;
        for known in known.iter_mut() {
            let Some(chip) = &mut known.chip else { continue };
            chips += 1;
            if known.listed_in == 0 {
                known.listed_in = if chip.list(&mut round) { ROUNDS_PER_LISTING } else { 1 };
            }
            known.listed_in = if chip.read(&mut round, out) { known.listed_in - 1 } else { 0 };
        }
        // A chip without any sensor is there all the same.
        let is_there = round.read > 0 || (chips > 0 && round.failed == 0);
        names.tidy();
        partial.end();
        partial.outcome(is_there, &format!("{} has no chips that are shown", self.class.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::super::filter::Pattern;
    use super::super::super::testing::{Folder, collect, collect_as, fixture, have_fixtures, owned, value};
    use super::*;
    use crate::model::Scheme;

    fn seen(host: &str, scheme: Scheme) -> Vec<(String, f64)> {
        collect_as(scheme, &mut Hwmon::new(&Filter::default(), &fixture(host)))
    }

    /// What `scheme` has of `chip`, without the label for it.
    fn of_chip(host: &str, scheme: Scheme, chip: &str) -> Vec<(String, f64)> {
        let of = format!("chip={chip},");
        let seen = seen(host, scheme).into_iter();
        seen.filter(|(name, _)| name.contains(&of)).map(|(name, value)| (name.replace(&of, ""), value)).collect()
    }

    #[test]
    fn node_exporters_names_are_its_rules() {
        if !have_fixtures() {
            return;
        }
        let expected = [
            ("node_hwmon_chip_names{chip_name=nct6798}", 1.0),
            ("node_hwmon_temp_fault{sensor=temp2}", 0.0),
            ("node_hwmon_temp_type{sensor=temp2}", 4.0),
            ("node_hwmon_fan_rpm{sensor=fan1}", 1200.0),
            ("node_hwmon_fan_alarm{sensor=fan1}", 0.0),
            ("node_hwmon_fan_max_rpm{sensor=fan1}", 4000.0),
            ("node_hwmon_fan_min_rpm{sensor=fan1}", 300.0),
            ("node_hwmon_fan_pulses{sensor=fan1}", 2.0),
            ("node_hwmon_in_volts{sensor=in0}", 0.888),
            ("node_hwmon_in_alarm{sensor=in0}", 0.0),
            ("node_hwmon_in_max_volts{sensor=in0}", 1.744),
            ("node_hwmon_in_min_volts{sensor=in0}", 0.0),
            ("node_hwmon_in_volts{sensor=in1}", 3.312),
            ("node_hwmon_in_alarm{sensor=in1}", 1.0),
            ("node_hwmon_in_max_alarm_volts{sensor=in1}", 0.001),
            ("node_hwmon_cpu_vid_volts{sensor=cpu0}", 1.1),
            ("node_hwmon_curr_amps{sensor=curr1}", 1.5),
            ("node_hwmon_power_watt{sensor=power1}", 12.5),
            ("node_hwmon_energy_joule_total{sensor=energy1}", 123.456789),
            ("node_hwmon_humidity{sensor=humidity1}", 0.0455),
            ("node_hwmon_sensor_label{label=mclk,sensor=freq1}", 1.0),
            ("node_hwmon_freq_freq_mhz{sensor=mclk}", 300.0),
            ("node_hwmon_pwm{sensor=pwm1}", 128.0),
            ("node_hwmon_pwm_enable{sensor=pwm1}", 5.0),
            ("node_hwmon_intrusion_alarm{sensor=intrusion0}", 1.0),
            ("node_hwmon_intrusion_beep_enabled{sensor=intrusion0}", 0.0),
            ("node_hwmon_voltage_regulator_version{sensor=vrm0}", 115.0),
            ("node_hwmon_beep_enabled{sensor=beep_enable0}", 1.0),
            ("node_hwmon_update_interval_seconds{sensor=update_interval0}", 1.0),
        ];
        let mut seen = of_chip("numa64", Scheme::NodeExporter, "platform_nct6775_656");
        assert_eq!(seen.remove(1), ("node_hwmon_temp_celsius{sensor=temp2}".to_owned(), -12.5));
        assert_eq!(seen, owned(&expected));
        let expected = [
            ("node_hwmon_chip_names{chip_name=power_meter}", 1.0),
            ("node_hwmon_power_average_watt{sensor=power1}", 450.0),
            ("node_hwmon_power_average_interval_seconds{sensor=power1}", 1.0),
            ("node_hwmon_power_cap_watt{sensor=power1}", 800.0),
        ];
        // Its attributes are those of its device; the model's number is a text.
        assert_eq!(of_chip("numa64", Scheme::NodeExporter, "lnxsybus:00_acpi000d:00"), owned(&expected));
    }

    #[test]
    fn native_and_otel_names_say_what_is_measured() {
        if !have_fixtures() {
            return;
        }
        let expected = [
            ("system_hwmon_temperature_celsius{chip_name=nvme,label=Composite,sensor=temp1}", 38.85),
            ("system_hwmon_alarm{chip_name=nvme,label=Composite,sensor=temp1,threshold=any}", 0.0),
            ("system_hwmon_temperature_crit_celsius{chip_name=nvme,label=Composite,sensor=temp1}", 84.85),
            ("system_hwmon_temperature_max_celsius{chip_name=nvme,label=Composite,sensor=temp1}", 81.85),
            ("system_hwmon_temperature_min_celsius{chip_name=nvme,label=Composite,sensor=temp1}", -273.15),
            ("system_hwmon_temperature_celsius{chip_name=nvme,label=Sensor 1,sensor=temp2}", 46.85),
        ];
        assert_eq!(of_chip("numa64", Scheme::Native, "nvme_nvme0"), owned(&expected));
        // What has no label is shown by its own name, what has no name by its chip's.
        let folder = host("hwmon-native", &[""]);
        let expected =
            [("system_hwmon_temperature_celsius{chip=hwmon0,chip_name=hwmon0,label=temp1,sensor=temp1}", 0.0)];
        assert_eq!(collect(&mut Hwmon::new(&Filter::default(), &folder.host())).unwrap(), owned(&expected));
        let numa = seen("numa64", Scheme::Otel);
        let core = "hw.name=coretemp,hw.parent=platform_coretemp_1,hw.sensor_location=Core 1";
        let of_core =
            |name: &str, more: &str| value(&numa, &format!("{name}{{hw.id=platform_coretemp_1_temp3,{more}{core}}}"));
        assert_eq!(of_core("hw.temperature", ""), Some(53.0));
        assert_eq!(of_core("hw.temperature.limit", "hw.limit_type=high.critical,"), Some(100.0));
        assert_eq!(of_core("system.linux.hwmon.alarm", "hw.limit_type=high.critical,"), Some(0.0));
        let board = "hw.name=nct6798,hw.parent=platform_nct6775_656";
        let of_board = |name: &str, sensor: &str, more: &str| {
            value(&numa, &format!("{name}{{hw.id=platform_nct6775_656_{sensor},{board}{more}}}"))
        };
        assert_eq!(of_board("hw.fan.speed", "fan1", ""), Some(1200.0));
        assert_eq!(of_board("hw.voltage", "in0", ""), Some(0.888));
        assert_eq!(of_board("hw.power", "power1", ",hw.type=sensor"), Some(12.5));
        assert_eq!(of_board("hw.energy", "energy1", ",hw.type=sensor"), Some(123.456789));
        assert_eq!(of_board("system.linux.hwmon.humidity", "humidity1", ""), Some(45.5));
    }

    #[test]
    fn chips_that_share_a_device_have_names_of_their_own() {
        if !have_fixtures() {
            return;
        }
        let chips: Vec<_> = seen("numa64", Scheme::NodeExporter)
            .into_iter()
            .filter_map(|(name, _)| {
                Some(name.strip_prefix("node_hwmon_chip_names{chip=")?.split(',').next()?.to_owned())
            })
            .collect();
        let expected = [
            "lnxsybus:00_acpi000d:00",
            "nvme_nvme0",
            "platform_coretemp_0",
            "platform_coretemp_1",
            "0000:60:01_1_0000:61:00_0_mlx5",
            "0000:60:01_1_0000:61:00_0_mlx5_port1",
            "platform_nct6775_656",
        ];
        assert_eq!(chips, expected);
    }

    /// A host with a chip for each of `chips`, which have no device.
    fn host(name: &str, chips: &[&str]) -> Folder {
        let folder = Folder::new(name);
        for (at, chip) in chips.iter().enumerate() {
            folder.write(&format!("sys/class/hwmon/hwmon{at}/name"), format!("{chip}\n"));
            folder.write(&format!("sys/class/hwmon/hwmon{at}/temp1_input"), format!("{at}000\n"));
        }
        folder
    }

    fn temperatures(hwmon: &mut Hwmon) -> String {
        let all = collect_as(Scheme::NodeExporter, hwmon).into_iter();
        let all = all.filter_map(|(name, value)| {
            let name = name.strip_prefix("node_hwmon_temp_celsius{chip=")?.strip_suffix("}")?.replace(",sensor=", "/");
            Some(format!("{name}={value}"))
        });
        all.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_bad_sensor_spoils_itself_alone() {
        let folder = host("hwmon-bad", &["a", "b"]);
        let file = |name: &str| folder.host().sys("class/hwmon").join(name);
        let mut hwmon = Hwmon::new(&Filter::default(), &folder.host());
        // Nothing, no number, and what gives an error: the first page of a process's memory is EIO.
        folder.write("sys/class/hwmon/hwmon0/temp2_input", "");
        folder.write("sys/class/hwmon/hwmon0/temp3_input", "hot\n");
        symlink("/proc/self/mem", file("hwmon0/temp4_input")).unwrap();
        symlink("/nowhere", file("hwmon0/temp5_input")).unwrap();
        folder.folder("sys/class/hwmon/hwmon0/temp6_input");
        folder.write("sys/class/hwmon/hwmon0/temp7_input", "7000");
        nix::unistd::mkfifo(&file("hwmon0/temp8_input"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for _ in 0..2 {
            assert_eq!(temperatures(&mut hwmon), "a/temp1=0 a/temp7=7 b/temp1=1");
        }
        for at in 0..9 {
            let _ = fs::remove_file(file(&format!("hwmon0/temp{at}_input")));
        }
        folder.write("sys/class/hwmon/hwmon0/temp4_input", "4000\n");
        assert_eq!(temperatures(&mut hwmon), "a/temp4=4 b/temp1=1");
    }

    #[test]
    fn where_nothing_can_be_read_the_round_has_failed() {
        let folder = host("hwmon-failed", &["a"]);
        folder.write("sys/class/hwmon/hwmon0/temp1_input", "");
        let error = collect(&mut Hwmon::new(&Filter::default(), &folder.host())).unwrap_err();
        assert!(matches!(error, CollectError::Failed(_)));
        assert!(error.to_string().ends_with("hwmon0/temp1_input line 1: expected a number, got \"\""), "{error}");
    }

    #[test]
    fn a_host_without_chips_is_no_failure_and_a_chip_without_sensors_is_there() {
        let folder = Folder::new("hwmon-none");
        let mut hwmon = Hwmon::new(&Filter::default(), &folder.host());
        assert!(matches!(collect(&mut hwmon), Err(CollectError::Absent(_))));
        folder.folder("sys/class/hwmon");
        let absent = collect(&mut hwmon).unwrap_err();
        assert!(matches!(absent, CollectError::Absent(_)));
        assert!(absent.to_string().ends_with("sys/class/hwmon has no chips that are shown"), "{absent}");
        folder.write("sys/class/hwmon/hwmon0/name", "bare\n");
        let expected = [("node_hwmon_chip_names{chip=bare,chip_name=bare}", 1.0)];
        assert_eq!(collect_as(Scheme::NodeExporter, &mut hwmon), owned(&expected));
    }

    #[test]
    fn chips_come_and_go() {
        let folder = host("hwmon-hotplug", &["a", "b", "c"]);
        let place = |name: &str| folder.host().sys("class/hwmon").join(name);
        let mut hwmon = Hwmon::new(&Filter::default(), &folder.host());
        assert_eq!(temperatures(&mut hwmon), "a/temp1=0 b/temp1=1 c/temp1=2");
        fs::remove_dir_all(place("hwmon1")).unwrap();
        assert_eq!(temperatures(&mut hwmon), "a/temp1=0 c/temp1=2");
        // Another one gets its number.
        folder.write("sys/class/hwmon/hwmon1/name", "d\n");
        folder.write("sys/class/hwmon/hwmon1/temp3_input", "9000\n");
        assert_eq!(temperatures(&mut hwmon), "a/temp1=0 d/temp3=9 c/temp1=2");
        folder.write("sys/class/hwmon/hwmon10/temp1_input", "5000\n");
        // One that leads nowhere.
        symlink("/nowhere", place("hwmon11")).unwrap();
        assert_eq!(temperatures(&mut hwmon), "a/temp1=0 d/temp3=9 c/temp1=2 hwmon10/temp1=5");
        assert_eq!(hwmon.names.0.len(), 1, "of all chips");
    }

    #[test]
    fn chips_that_are_left_out_are_not_touched() {
        let folder = host("hwmon-filter", &["acpitz", "coretemp"]);
        let pattern = || vec![Pattern::new("acpi.*").unwrap()];
        let only = Filter { include: pattern(), ..Filter::default() };
        assert_eq!(temperatures(&mut Hwmon::new(&only, &folder.host())), "acpitz/temp1=0");
        let without = Filter { exclude: pattern(), ..Filter::default() };
        let mut hwmon = Hwmon::new(&without, &folder.host());
        assert_eq!(temperatures(&mut hwmon), "coretemp/temp1=1");
        assert!(hwmon.known[0].chip.is_none());
    }

    #[test]
    fn labels_may_be_anything_and_frequencies_of_one_label_are_given_once() {
        let folder = host("hwmon-labels", &["gpu"]);
        let write = |name: &str, text: &[u8]| folder.write(&format!("sys/class/hwmon/hwmon0/{name}"), text);
        write("temp1_label", b"\"\xff\\\n");
        write("freq1_input", b"1000000\n");
        write("freq1_label", b"S-CLK\n");
        write("freq2_input", b"2000000\n");
        write("freq2_label", b"s.clk\n");
        write("freq3_input", b"3000000\n");
        let seen = collect_as(Scheme::NodeExporter, &mut Hwmon::new(&Filter::default(), &folder.host()));
        let expected = [
            ("node_hwmon_chip_names{chip=gpu,chip_name=gpu}", 1.0),
            ("node_hwmon_sensor_label{chip=gpu,label=\"\u{fffd}\\,sensor=temp1}", 1.0),
            ("node_hwmon_temp_celsius{chip=gpu,sensor=temp1}", 0.0),
            ("node_hwmon_sensor_label{chip=gpu,label=S-CLK,sensor=freq1}", 1.0),
            ("node_hwmon_freq_freq_mhz{chip=gpu,sensor=s_clk}", 1.0),
            ("node_hwmon_sensor_label{chip=gpu,label=s.clk,sensor=freq2}", 1.0),
        ];
        assert_eq!(seen, owned(&expected));
    }

    #[test]
    fn folders_are_listed_again_now_and_then() {
        let folder = host("hwmon-listing", &["a"]);
        let mut hwmon = Hwmon::new(&Filter::default(), &folder.host());
        assert_eq!(temperatures(&mut hwmon), "a/temp1=0");
        folder.write("sys/class/hwmon/hwmon0/temp2_input", "2000\n");
        // As in sysfs, where a folder does not say that something came.
        hwmon.known[0].identity = Identity::of(&folder.host().sys("class/hwmon/hwmon0")).unwrap();
        for _ in 1..ROUNDS_PER_LISTING {
            assert_eq!(temperatures(&mut hwmon), "a/temp1=0");
        }
        assert_eq!(temperatures(&mut hwmon), "a/temp1=0 a/temp2=2");
    }
}

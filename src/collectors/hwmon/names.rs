//! What an attribute's file name says, and what a chip is called.

/// The collector's name.
pub const COLLECTOR: &str = "hwmon";

/// The kinds of sensors whose attributes are read, in the order in which they are shown.
pub const KINDS: [&str; 14] = [
    "temp",
    "fan",
    "in",
    "cpu",
    "curr",
    "power",
    "energy",
    "humidity",
    "freq",
    "pwm",
    "intrusion",
    "vrm",
    "beep_enable",
    "update_interval",
];

/// What an attribute's name says: `temp2_crit_alarm` is the property `crit_alarm` of the sensor 2
/// of the kind `temp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Parts<'a> {
    /// Which of [`KINDS`].
    pub kind: usize,
    /// 0 where there is none: of the chip itself.
    pub number: u32,
    /// Empty where the attribute is called as its sensor is (`pwm1`).
    pub property: &'a str,
}

/// The parts of a file's name; none where it is no sensor's.
pub fn split(file: &str) -> Option<Parts<'_>> {
    let digits = file.find(|c: char| c.is_ascii_digit()).unwrap_or(file.len());
    let (kind, rest) = file.split_at(digits);
    let kind = KINDS.iter().position(|known| *known == kind)?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (number, rest) = rest.split_at(end);
    let number = if number.is_empty() { 0 } else { number.parse().ok()? };
    let property = match rest {
        "" => "",
        _ => rest.strip_prefix('_').filter(|property| !property.is_empty())?,
    };
    Some(Parts { kind, number, property })
}

/// What node_exporter makes of a text that is to be a part of a name or a chip's: lower case, `_`
/// for what is neither letter, digit, `:` nor `_`, and none of these at its ends.
pub fn clean(text: &str) -> String {
    let plain = |c: char| matches!(c, 'a'..='z' | '0'..='9' | ':' | '_');
    let cleaned: String =
        text.chars().map(|c| c.to_ascii_lowercase()).map(|c| if plain(c) { c } else { '_' }).collect();
    cleaned.trim_matches('_').to_owned()
}

/// What a chip is called whose device, name and folder are these: after its device, which is the
/// same after the next start, where it has one.
///
/// `device` is the path of the device (`/sys/devices/platform/coretemp.0`), which gives
/// `platform_coretemp_0`.
pub fn chip(device: Option<&str>, name: &str, folder: &str) -> String {
    let device = device.map(|path| {
        let mut parts = path.rsplit('/').map(clean);
        let (own, bus) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if bus.is_empty() || own.is_empty() { own } else { format!("{bus}_{own}") }
    });
    [device.unwrap_or_default(), clean(name), clean(folder)]
        .into_iter()
        .find(|called| !called.is_empty())
        .unwrap_or_default()
}

/// Gives each of the chips a name of its own. Those that share a device, and so the first name, get
/// their own behind it, or their folder's where that is none or another's too. Of each: the first
/// name, its own, its folder.
pub fn distinct(chips: &[(&str, &str, &str)]) -> Vec<String> {
    let alike = |one: &dyn Fn(&(&str, &str, &str)) -> bool| chips.iter().filter(|other| one(other)).count() > 1;
    let distinct = chips.iter().map(|(first, name, folder)| {
        if !alike(&|other| other.0 == *first) {
            return (*first).to_owned();
        }
        let own = clean(name);
        let is_its_own = !own.is_empty() && !alike(&|other| other.0 == *first && clean(other.1) == own);
        format!("{first}_{}", if is_its_own { own } else { clean(folder) })
    });
    distinct.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_says_kind_number_and_property() {
        let parts = |file| split(file).map(|Parts { kind, number, property }| (KINDS[kind], number, property));
        assert_eq!(parts("temp2_crit_alarm"), Some(("temp", 2, "crit_alarm")));
        assert_eq!(parts("in0_input"), Some(("in", 0, "input")));
        assert_eq!(parts("pwm1"), Some(("pwm", 1, "")));
        assert_eq!(parts("pwm1_auto_point2_temp"), Some(("pwm", 1, "auto_point2_temp")));
        assert_eq!(parts("update_interval"), Some(("update_interval", 0, "")));
        assert_eq!(parts("temp4294967295_input"), Some(("temp", u32::MAX, "input")));
        // A folder of every device is called so.
        assert_eq!(parts("power"), Some(("power", 0, "")));
        for other in
            ["", "1", "name", "uevent", "temp1x", "temp1_", "tempx_input", "in_x", "temp4294967296_input", "beep_mask"]
        {
            assert_eq!(parts(other), None, "{other}");
        }
    }

    #[test]
    fn chips_are_called_after_their_devices() {
        let called = |device, name, folder| chip(device, name, folder);
        assert_eq!(called(Some("/sys/devices/platform/coretemp.0"), "coretemp", "hwmon1"), "platform_coretemp_0");
        assert_eq!(
            called(Some("/sys/devices/pci0000:00/0000:00:18.3"), "k10temp", "hwmon0"),
            "pci0000:00_0000:00:18_3"
        );
        assert_eq!(
            called(Some("/sys/devices/virtual/thermal/thermal_zone0"), "acpitz", "hwmon0"),
            "thermal_thermal_zone0"
        );
        assert_eq!(called(Some("/-/Nvme0"), "", ""), "nvme0");
        assert_eq!(called(Some("/"), "NCT-6779", "hwmon2"), "nct_6779");
        assert_eq!(called(None, "nct6779", "hwmon2"), "nct6779");
        assert_eq!(called(None, "--", "hwmon2"), "hwmon2");
        assert_eq!(called(None, "", "-"), "");
    }

    #[test]
    fn chips_that_share_a_device_are_told_apart() {
        let asus = [("wmi", "asus", "hwmon3"), ("x", "y", "hwmon4"), ("wmi", "asus-sensors", "hwmon5")];
        assert_eq!(distinct(&asus), ["wmi_asus", "x", "wmi_asus_sensors"]);
        let alike = [("phy0", "a", "hwmon1"), ("phy0", "a", "hwmon2"), ("phy0", "", "hwmon3"), ("phy0", "b", "hwmon4")];
        assert_eq!(distinct(&alike), ["phy0_hwmon1", "phy0_hwmon2", "phy0_hwmon3", "phy0_b"]);
        // What differs only in what a name cannot hold is alike.
        assert_eq!(distinct(&[("d", "a-b", "hwmon1"), ("d", "a.b", "hwmon2")]), ["d_hwmon1", "d_hwmon2"]);
    }

    #[test]
    fn what_a_name_cannot_hold_becomes_a_line() {
        assert_eq!(clean("Core 0"), "core_0");
        assert_eq!(clean("  Ädd°x-"), "dd_x");
        assert_eq!(clean("0000:00:18.3"), "0000:00:18_3");
        assert_eq!(clean("___"), "");
    }
}

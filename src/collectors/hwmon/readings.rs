//! What an attribute is called in each scheme, and its unit.

use super::names::{KINDS, clean};
use crate::model::{Family, Item, Kind, Label, Learnt, Reading, Scheme, face};

/// What a sensor's key holds, at which place.
const CHIP: usize = 0;
const SENSOR: usize = 1;
const CHIP_NAME: usize = 2;
const LABEL: usize = 3;
const ID: usize = 4;
const CLEAN_LABEL: usize = 5;
const SHOWN_NAME: usize = 6;
const SHOWN_LABEL: usize = 7;

/// The labels of metricsd's own names, and what more there is to say.
macro_rules! native {
    ($($name:literal $value:literal),*) => {
        &[
            Label::key("chip", CHIP),
            Label::key("sensor", SENSOR),
            Label::key("chip_name", SHOWN_NAME),
            Label::key("label", SHOWN_LABEL),
            $(Label::constant($name, $value)),*
        ]
    };
}

/// OpenTelemetry's attributes of hardware, and what more there is to say.
macro_rules! otel {
    ($($name:literal $value:literal),*) => {
        &[
            Label::key("hw.id", ID),
            Label::key("hw.name", CHIP_NAME),
            Label::key("hw.parent", CHIP),
            Label::key("hw.sensor_location", LABEL),
            $(Label::constant($name, $value)),*
        ]
    };
}

const TEMPERATURE_LIMIT: Family = Family::gauge("hw.temperature.limit", "Cel", "Temperature that is not to be passed.");
const FAN_LIMIT: Family = Family::gauge("hw.fan.speed.limit", "rpm", "Speed of a fan that is not to be passed.");
const VOLTAGE_LIMIT: Family = Family::gauge("hw.voltage.limit", "V", "Voltage that is not to be passed.");
const ALARMS: Family =
    Family::gauge("system_hwmon_alarm", "", "Whether the chip gives an alarm for the sensor (1) or not (0).");
const OTEL_ALARMS: Family =
    Family::gauge("system.linux.hwmon.alarm", "", "Whether the chip gives an alarm for the sensor (1) or not (0).");

static TEMPERATURE: Reading = Reading {
    native: face(&Family::gauge("system_hwmon_temperature_celsius", "celsius", "Temperature."), native!()),
    node: None,
    otel: face(&Family::gauge("hw.temperature", "Cel", "Temperature in degrees Celsius."), otel!()),
};
static TEMPERATURE_MIN: Reading = Reading {
    native: face(
        &Family::gauge("system_hwmon_temperature_min_celsius", "celsius", "Temperature below which it is too cold."),
        native!(),
    ),
    node: None,
    otel: face(&TEMPERATURE_LIMIT, otel!("hw.limit_type" "low.degraded")),
};
static TEMPERATURE_MAX: Reading = Reading {
    native: face(
        &Family::gauge("system_hwmon_temperature_max_celsius", "celsius", "Temperature above which it is too hot."),
        native!(),
    ),
    node: None,
    otel: face(&TEMPERATURE_LIMIT, otel!("hw.limit_type" "high.degraded")),
};
static TEMPERATURE_CRIT: Reading = Reading {
    native: face(
        &Family::gauge("system_hwmon_temperature_crit_celsius", "celsius", "Temperature above which it is critical."),
        native!(),
    ),
    node: None,
    otel: face(&TEMPERATURE_LIMIT, otel!("hw.limit_type" "high.critical")),
};
static FAN: Reading = Reading {
    native: face(&Family::gauge("system_hwmon_fan_rpm", "", "Speed of a fan, in revolutions a minute."), native!()),
    node: None,
    otel: face(&Family::gauge("hw.fan.speed", "rpm", "Speed of a fan, in revolutions a minute."), otel!()),
};
static FAN_MIN: Reading = Reading {
    native: face(&Family::gauge("system_hwmon_fan_min_rpm", "", "Speed below which a fan is too slow."), native!()),
    node: None,
    otel: face(&FAN_LIMIT, otel!("hw.limit_type" "low.degraded")),
};
static FAN_MAX: Reading = Reading {
    native: face(&Family::gauge("system_hwmon_fan_max_rpm", "", "Highest speed of a fan."), native!()),
    node: None,
    otel: face(&FAN_LIMIT, otel!("hw.limit_type" "max")),
};
static VOLTAGE: Reading = Reading {
    native: face(&Family::gauge("system_hwmon_voltage_volts", "volts", "Voltage."), native!()),
    node: None,
    otel: face(&Family::gauge("hw.voltage", "V", "Voltage."), otel!()),
};
static VOLTAGE_MIN: Reading = Reading {
    native: face(
        &Family::gauge("system_hwmon_voltage_min_volts", "volts", "Voltage below which it is too low."),
        native!(),
    ),
    node: None,
    otel: face(&VOLTAGE_LIMIT, otel!("hw.limit_type" "low.degraded")),
};
static VOLTAGE_MAX: Reading = Reading {
    native: face(
        &Family::gauge("system_hwmon_voltage_max_volts", "volts", "Voltage above which it is too high."),
        native!(),
    ),
    node: None,
    otel: face(&VOLTAGE_LIMIT, otel!("hw.limit_type" "high.degraded")),
};
static CURRENT: Reading = Reading {
    native: face(&Family::gauge("system_hwmon_current_amperes", "amperes", "Current."), native!()),
    node: None,
    otel: face(&Family::gauge("system.linux.hwmon.current", "A", "Current."), otel!()),
};
static POWER: Reading = Reading {
    native: face(&Family::gauge("system_hwmon_power_watts", "watts", "Power that is used now."), native!()),
    node: None,
    // What the sensor is a part of is not known here.
    otel: face(&Family::gauge("hw.power", "W", "Power that is used now."), otel!("hw.type" "sensor")),
};
static POWER_AVERAGE: Reading = Reading {
    native: face(
        &Family::gauge("system_hwmon_power_average_watts", "watts", "Power that was used in the chip's last interval."),
        native!(),
    ),
    node: None,
    otel: face(
        &Family::gauge("system.linux.hwmon.power.average", "W", "Power that was used in the chip's last interval."),
        otel!(),
    ),
};
static ENERGY: Reading = Reading {
    native: face(&Family::counter("system_hwmon_energy_joules_total", "joules", "Energy that was used."), native!()),
    node: None,
    otel: face(&Family::counter("hw.energy", "J", "Energy that was used."), otel!("hw.type" "sensor")),
};
static HUMIDITY: Reading = Reading {
    native: face(&Family::gauge("system_hwmon_humidity_percent", "percent", "Relative humidity."), native!()),
    node: None,
    otel: face(&Family::gauge("system.linux.hwmon.humidity", "%", "Relative humidity."), otel!()),
};
static FREQUENCY: Reading = Reading {
    native: face(&Family::gauge("system_hwmon_frequency_hertz", "hertz", "Frequency."), native!()),
    node: None,
    otel: face(&Family::gauge("system.linux.hwmon.frequency", "Hz", "Frequency."), otel!()),
};
static ALARM: Reading =
    Reading { native: face(&ALARMS, native!("threshold" "any")), node: None, otel: face(&OTEL_ALARMS, otel!()) };
static MIN_ALARM: Reading = Reading {
    native: face(&ALARMS, native!("threshold" "min")),
    node: None,
    otel: face(&OTEL_ALARMS, otel!("hw.limit_type" "low.degraded")),
};
static MAX_ALARM: Reading = Reading {
    native: face(&ALARMS, native!("threshold" "max")),
    node: None,
    otel: face(&OTEL_ALARMS, otel!("hw.limit_type" "high.degraded")),
};
static CRIT_ALARM: Reading = Reading {
    native: face(&ALARMS, native!("threshold" "crit")),
    node: None,
    otel: face(&OTEL_ALARMS, otel!("hw.limit_type" "high.critical")),
};
static FAULT: Reading = Reading {
    native: face(&Family::gauge("system_hwmon_fault", "", "Whether the sensor is broken (1) or not (0)."), native!()),
    node: None,
    otel: face(&Family::gauge("system.linux.hwmon.fault", "", "Whether the sensor is broken (1) or not (0)."), otel!()),
};

/// What the chip calls itself, beside what it is called here.
pub static CHIP_NAMES: Reading = Reading {
    native: None,
    node: face(
        &Family::gauge("node_hwmon_chip_names", "", "What a chip calls itself."),
        &[Label::key("chip", CHIP), Label::key("chip_name", CHIP_NAME)],
    ),
    otel: None,
};
/// What the board's maker calls the sensor.
pub static SENSOR_LABEL: Reading = Reading {
    native: None,
    node: face(
        &Family::gauge("node_hwmon_sensor_label", "", "What a sensor is called."),
        &[Label::key("chip", CHIP), Label::key("label", LABEL), Label::key("sensor", SENSOR)],
    ),
    otel: None,
};

/// Everything this collector may give, but for node_exporter's families of attributes.
pub static READINGS: &[&[Reading]] = &[
    std::slice::from_ref(&TEMPERATURE),
    std::slice::from_ref(&TEMPERATURE_MIN),
    std::slice::from_ref(&TEMPERATURE_MAX),
    std::slice::from_ref(&TEMPERATURE_CRIT),
    std::slice::from_ref(&FAN),
    std::slice::from_ref(&FAN_MIN),
    std::slice::from_ref(&FAN_MAX),
    std::slice::from_ref(&VOLTAGE),
    std::slice::from_ref(&VOLTAGE_MIN),
    std::slice::from_ref(&VOLTAGE_MAX),
    std::slice::from_ref(&CURRENT),
    std::slice::from_ref(&POWER),
    std::slice::from_ref(&POWER_AVERAGE),
    std::slice::from_ref(&ENERGY),
    std::slice::from_ref(&HUMIDITY),
    std::slice::from_ref(&FREQUENCY),
    std::slice::from_ref(&ALARM),
    std::slice::from_ref(&MIN_ALARM),
    std::slice::from_ref(&MAX_ALARM),
    std::slice::from_ref(&CRIT_ALARM),
    std::slice::from_ref(&FAULT),
    std::slice::from_ref(&CHIP_NAMES),
    std::slice::from_ref(&SENSOR_LABEL),
];

/// The item of a sensor, with what the readings' labels need. What has no name and no label of its
/// own is shown by that of its chip and its sensor, so that a chart has something to say.
pub fn item(chip: &str, name: &str, sensor: &str, label: &str) -> Item {
    let [id, clean_label] = [format!("{chip}_{sensor}"), clean(label)];
    let or = |own, other| if str::is_empty(own) { other } else { own };
    Item::new(&[chip, sensor, name, label, &id, &clean_label, or(name, chip), or(label, sensor)])
}

/// What an attribute's number is divided by in metricsd's own names and in OpenTelemetry's, and
/// its reading there; none: it is not shown.
pub fn reading(kind: &str, property: &str) -> Option<(&'static Reading, f64)> {
    Some(match (kind, property) {
        ("temp", "input") => (&TEMPERATURE, 1e3),
        ("temp", "min") => (&TEMPERATURE_MIN, 1e3),
        ("temp", "max") => (&TEMPERATURE_MAX, 1e3),
        ("temp", "crit") => (&TEMPERATURE_CRIT, 1e3),
        ("fan", "input") => (&FAN, 1.0),
        ("fan", "min") => (&FAN_MIN, 1.0),
        ("fan", "max") => (&FAN_MAX, 1.0),
        ("in", "input") => (&VOLTAGE, 1e3),
        ("in", "min") => (&VOLTAGE_MIN, 1e3),
        ("in", "max") => (&VOLTAGE_MAX, 1e3),
        ("curr", "input") => (&CURRENT, 1e3),
        ("power", "input") => (&POWER, 1e6),
        ("power", "average") => (&POWER_AVERAGE, 1e6),
        ("energy", "input") => (&ENERGY, 1e6),
        ("humidity", "input") => (&HUMIDITY, 1e3),
        ("freq", "input") => (&FREQUENCY, 1.0),
        (_, "alarm") => (&ALARM, 1.0),
        (_, "min_alarm") => (&MIN_ALARM, 1.0),
        (_, "max_alarm") => (&MAX_ALARM, 1.0),
        (_, "crit_alarm") => (&CRIT_ALARM, 1.0),
        (_, "fault") => (&FAULT, 1.0),
        _ => return None,
    })
}

/// What node_exporter makes of an attribute, and what its number is divided by: a rule, since
/// drivers have attributes that no list has. `is_plain` says that the sensor has an attribute that
/// is called as itself (`pwm1`), which then has the short name. None: it is not shown.
///
/// The rule is followed where it is odd, too: alarms that are not `alarm` itself get the unit of
/// their sensor, and a humidity is a tenth of the ratio that it is said to be.
pub fn node(kind: &str, property: &str, is_plain: bool, has_label: bool) -> Option<(Learnt, f64)> {
    let own = match property {
        "" => String::new(),
        "input" if !is_plain => String::new(),
        _ => format!("_{}", clean(property)),
    };
    let name = format!("node_hwmon_{kind}{own}");
    let (name, divisor) = match (kind, property) {
        ("beep_enable", "") => ("node_hwmon_beep_enabled".to_owned(), 1.0),
        ("vrm", "") => ("node_hwmon_voltage_regulator_version".to_owned(), 1.0),
        ("update_interval", "") => ("node_hwmon_update_interval_seconds".to_owned(), 1e3),
        ("beep_enable" | "vrm" | "update_interval", _) | (_, "label") => return None,
        (_, "fault" | "alarm") => (name, 1.0),
        (_, "beep") => (format!("{name}_enabled"), 1.0),
        ("in" | "cpu", _) => (format!("{name}_volts"), 1e3),
        ("temp", "type") => (name, 1.0),
        ("temp", _) => (format!("{name}_celsius"), 1e3),
        ("curr", _) => (format!("{name}_amps"), 1e3),
        ("energy", _) => (format!("{name}_joule_total"), 1e6),
        ("power", "accuracy") => (name, 1e6),
        ("power", "average_interval" | "average_interval_min" | "average_interval_max") => {
            (format!("{name}_seconds"), 1e3)
        }
        ("power", _) => (format!("{name}_watt"), 1e6),
        ("humidity", _) => (name, 1e6),
        ("fan", "input" | "min" | "max" | "target") => (format!("{name}_rpm"), 1.0),
        // The label tells these apart, not the sensor.
        ("freq", "input") if !has_label => return None,
        ("freq", "input") => (format!("{name}_freq_mhz"), 1e6),
        _ => (name, 1.0),
    };
    let counts = if kind == "energy" { Kind::Counter } else { Kind::Gauge };
    let what = if property.is_empty() { "value" } else { property };
    let help = format!("{} of a hardware sensor ({kind}).", what.escape_default());
    let sensor = if (kind, property) == ("freq", "input") { CLEAN_LABEL } else { SENSOR };
    let labels = [Label::key("chip", CHIP), Label::key("sensor", sensor)];
    Some((Learnt::new(Scheme::NodeExporter, Family::new(counts, &name, "", &help), &labels), divisor))
}

/// The properties that drivers have by the kernel's documentation, for ours.
const KNOWN_PROPERTIES: &[(&str, &str)] = &[
    (
        "temp",
        "input min max crit crit_hyst max_hyst emergency lcrit alarm crit_alarm max_alarm min_alarm fault type offset",
    ),
    ("fan", "input min max target alarm min_alarm fault div pulses"),
    ("in", "input min max crit lcrit alarm min_alarm max_alarm"),
    ("curr", "input min max crit alarm crit_alarm max_alarm"),
    ("power", "input average cap max crit alarm accuracy average_interval"),
    ("energy", "input"),
    ("humidity", "input"),
    ("freq", "input"),
    ("pwm", "enable mode freq"),
    ("intrusion", "alarm beep"),
];

/// node_exporter's families of the attributes that drivers have.
pub fn known_keys() -> Vec<Learnt> {
    let of_sensors = KNOWN_PROPERTIES
        .iter()
        .flat_map(|(kind, properties)| properties.split(' ').map(move |property| (*kind, property)));
    let of_chips = KINDS.iter().filter(|kind| kind.contains('_') || ["pwm", "vrm"].contains(kind));
    let all = of_sensors.chain(of_chips.map(|kind| (*kind, "")));
    all.filter_map(|(kind, property)| node(kind, property, false, true)).map(|(learnt, _)| learnt).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_exporters_names_follow_its_rule() {
        let named = |kind, property| {
            let (learnt, divisor) = node(kind, property, false, true)?;
            let family = learnt.face(Scheme::NodeExporter).unwrap().family;
            Some((family.name.strip_prefix("node_hwmon_").unwrap().to_owned(), family.kind, divisor))
        };
        for (kind, property, name, divisor) in [
            ("temp", "input", "temp_celsius", 1e3),
            ("temp", "max", "temp_max_celsius", 1e3),
            ("temp", "crit_hyst", "temp_crit_hyst_celsius", 1e3),
            ("temp", "crit_alarm", "temp_crit_alarm_celsius", 1e3),
            ("temp", "alarm", "temp_alarm", 1.0),
            ("temp", "type", "temp_type", 1.0),
            ("fan", "input", "fan_rpm", 1.0),
            ("fan", "min", "fan_min_rpm", 1.0),
            ("fan", "pulses", "fan_pulses", 1.0),
            ("fan", "beep", "fan_beep_enabled", 1.0),
            ("in", "input", "in_volts", 1e3),
            ("in", "min_alarm", "in_min_alarm_volts", 1e3),
            ("cpu", "vid", "cpu_vid_volts", 1e3),
            ("curr", "input", "curr_amps", 1e3),
            ("power", "input", "power_watt", 1e6),
            ("power", "average", "power_average_watt", 1e6),
            ("power", "average_interval", "power_average_interval_seconds", 1e3),
            ("power", "accuracy", "power_accuracy", 1e6),
            ("humidity", "input", "humidity", 1e6),
            ("freq", "input", "freq_freq_mhz", 1e6),
            ("pwm", "", "pwm", 1.0),
            ("pwm", "auto_point1_temp", "pwm_auto_point1_temp", 1.0),
            ("intrusion", "alarm", "intrusion_alarm", 1.0),
            ("beep_enable", "", "beep_enabled", 1.0),
            ("vrm", "", "voltage_regulator_version", 1.0),
            ("update_interval", "", "update_interval_seconds", 1e3),
            ("temp", "Odd-One", "temp_odd_one_celsius", 1e3),
        ] {
            assert_eq!(named(kind, property), Some((name.to_owned(), Kind::Gauge, divisor)), "{kind} {property}");
        }
        assert_eq!(named("energy", "input"), Some(("energy_joule_total".to_owned(), Kind::Counter, 1e6)));
        assert_eq!(named("temp", "label"), None);
        assert_eq!(named("vrm", "input"), None);
        assert_eq!(node("freq", "input", false, false), None);
        let (learnt, _) = node("fan", "input", true, false).unwrap();
        assert_eq!(learnt.face(Scheme::NodeExporter).unwrap().family.name, "node_hwmon_fan_input_rpm");
    }
}

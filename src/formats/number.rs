//! Numbers as text.

/// The largest whole number that a double, and so most readers, hold exactly.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Writes a finite number: whole ones without a fraction, others as the shortest text that reads back the same.
pub fn write_number(value: f64, out: &mut Vec<u8>) {
    // Writing a number to memory does not fail.
    let _ = if value.fract() == 0.0 && value.abs() < MAX_EXACT {
        serde_json::to_writer(out, &(value as i64))
    } else {
        serde_json::to_writer(out, &value)
    };
}

//! A measured number with its budget beside it.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether something that is a matter of counting was over its budget.
static FAILED: AtomicBool = AtomicBool::new(false);

/// Prints what was measured, its budget, and a mark where it is over. A time depends on the
/// machine and its other work, so it fails nothing.
pub fn measured(what: &str, value: f64, unit: &str, budget: f64) {
    let mark = if value > budget { "   <-- OVER" } else { "" };
    println!("  {what:<58} {value:>9.3} {unit:<3} (budget {budget}){mark}");
}

/// The same where more is better.
pub fn measured_at_least(what: &str, value: f64, unit: &str, budget: f64) {
    let mark = if value < budget { "   <-- UNDER" } else { "" };
    println!("  {what:<58} {value:>9.3} {unit:<3} (budget at least {budget}){mark}");
}

/// The same for what is counted and the same on every machine: over its budget, the bench fails.
pub fn counted(what: &str, value: f64, unit: &str, budget: f64) {
    measured(what, value, unit, budget);
    if value > budget {
        FAILED.store(true, Ordering::Relaxed);
    }
}

/// A number without a budget, in the same columns.
pub fn told(what: &str, value: f64, unit: &str) {
    println!("  {what:<58} {value:>9.3} {unit}");
}

/// Ends the bench: not well where a count was over its budget.
pub fn end() {
    if FAILED.load(Ordering::Relaxed) {
        eprintln!("a budget that is a matter of counting is exceeded");
        std::process::exit(1);
    }
}

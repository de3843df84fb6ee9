//! The metricsd program.

fn main() {}

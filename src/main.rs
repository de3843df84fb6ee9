//! The metricsd program.

use std::process::ExitCode;

fn main() -> ExitCode {
    metricsd::app::main(std::env::args_os().skip(1)).into()
}

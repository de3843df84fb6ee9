//! The program while it serves: start, wait for a signal or a mishap, stop.

use std::time::Instant;

use crossbeam_channel::{Receiver, select};

use super::reload::Reloads;
use super::service::{Service, Setup};
use super::signals::Signal;
use crate::cli::Exit;
use crate::config::Config;
use crate::host::monotonic;
use crate::telemetry::{VERSION, rough_duration};

/// From start to end.
pub fn serve(setup: Setup, config: Config) -> Exit {
    let begun = Instant::now();
    log::info!("metricsd {VERSION} starts; configuration: {}", config.source);
    for warning in &config.warnings {
        log::warn!("{warning}");
    }
    let (mut service, signals) = match Service::start(setup, config) {
        Ok(started) => started,
        Err(exit) => return exit,
    };
    log::info!("started in {}; collecting every {:?}", rough_duration(begun.elapsed()), service.config.interval);
    let exit = wait(&mut service, &signals);
    service.stop(&signals);
    exit
}

/// Waits for the end: a signal, or a thread that should not have ended.
fn wait(service: &mut Service, signals: &Receiver<Signal>) -> Exit {
    let mut reloads = Reloads::default();
    loop {
        let prepared = reloads.prepared();
        let look_again = service.sched.look(&mut service.threads);
        service.first_rounds.look(monotonic());
        service.after_burst.look(&service.telemetry.latest, monotonic());
        select! {
            recv(signals) -> signal => match signal {
                Ok(Signal::Reload) => reloads.ask(service),
                Ok(Signal::Stop) => {
                    service.notify.stopping();
                    log::info!("stopping; a second signal ends the program at once");
                    return Exit::Ok;
                }
                Err(_) => {
                    log::error!("the signals thread is gone; stopping");
                    return Exit::Internal;
                }
            },
            recv(prepared) -> outcome => reloads.finish(service, outcome.ok()),
            recv(service.scrapes.found()) -> found => if let Ok(found) = found {
                service.endpoints_found(found);
            },
            recv(service.threads.ends()) -> ended => {
                // We hold a sender ourselves, so there is always an end in it.
                if ended.is_ok_and(|ended| service.is_lost(&ended)) {
                    return Exit::Internal;
                }
            }
            default(look_again) => {}
        }
    }
}

//! The newest frame of each source, for those who pull.

use std::sync::{Mutex, PoisonError};

use crate::model::Frame;

/// The newest frame of each source, in the order in which the sources first appeared.
#[derive(Debug, Default)]
pub struct Latest(Mutex<Vec<Frame>>);

impl Latest {
    /// Takes `frame` in place of its source's last one.
    pub fn put(&self, frame: &Frame) {
        let mut frames = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match frames.iter_mut().find(|have| have.source == frame.source) {
            Some(have) => *have = frame.clone(),
            None => frames.push(frame.clone()),
        }
    }

    /// Forgets a source: its last numbers are no longer true.
    pub fn remove(&self, source: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|frame| &*frame.source != source);
    }

    /// All of them.
    pub fn frames(&self) -> Vec<Frame> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

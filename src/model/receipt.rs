//! The receipt of a payload: word back to a source that must neither send it twice nor lose it.
//!
//! A receipt is copied to all who have a part of the payload in hand: lanes, and each of the bodies
//! that they make of it. Each says that its part is taken care of, or drops its receipt without a
//! word, be it for a panic: then that part is lost. Once all have spoken, whoever waits hears of it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What has become of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// All who take it have delivered it, or have it on disk, or were refused for good.
    Taken,
    /// Somebody has lost a part of it for want of room or time, counted. It may be sent again.
    Lost,
}

/// One part of what a receipt is for. [`Receipt::taken`] or dropped: nothing else ends it.
#[derive(Clone)]
pub struct Receipt(Option<Arc<Shared>>);

struct Shared {
    lost: AtomicBool,
    /// Called once, by the last of them.
    then: Mutex<Option<Then>>,
}

type Then = Box<dyn FnOnce(Fate) + Send>;

impl Receipt {
    /// A receipt. `then` is called once, on the thread of whoever speaks last, with locks held perhaps: it
    /// has to be quick, wait for nothing, and take no lock that is held while a payload is handed over.
    pub fn new(then: impl FnOnce(Fate) + Send + 'static) -> Receipt {
        let then: Then = Box::new(then);
        Receipt(Some(Arc::new(Shared { lost: AtomicBool::new(false), then: Mutex::new(Some(then)) })))
    }

    /// This part is taken care of.
    pub fn taken(mut self) {
        self.0 = None;
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            shared.lost.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let fate = if *self.lost.get_mut() { Fate::Lost } else { Fate::Taken };
        if let Some(then) = self.then.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            then(fate);
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receipt")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    fn receipt() -> (Receipt, Receiver<Fate>) {
        let (tell, told) = channel();
        (Receipt::new(move |fate| tell.send(fate).unwrap()), told)
    }

    #[test]
    fn it_comes_when_the_last_one_has_spoken_and_once() {
        let (receipt, told) = receipt();
        let (first, second) = (receipt.clone(), receipt.clone());
        receipt.taken();
        first.taken();
        assert!(told.try_recv().is_err());
        second.taken();
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [Fate::Taken]);
    }

    #[test]
    fn who_says_nothing_has_lost_it() {
        let (receipt, told) = receipt();
        drop(receipt.clone());
        assert!(told.try_recv().is_err());
        receipt.taken();
        assert_eq!(told.recv(), Ok(Fate::Lost));
        let (receipt, told) = self::receipt();
        let holder = receipt.clone();
        receipt.taken();
        std::thread::spawn(move || {
            let _holder = holder;
            panic!("on purpose");
        })
        .join()
        .unwrap_err();
        assert_eq!(told.recv(), Ok(Fate::Lost));
    }
}

//! A body on its way in parts: what is still to be sent of it, and what its receiver found too large.

use std::sync::Arc;

use super::body::Body;

/// The parts of one body that are still to be sent, in order.
#[derive(Debug)]
pub struct Parts {
    /// The next one last.
    left: Vec<Part>,
    /// How many samples each part had that was too large; none for one that says nothing of sizes.
    too_large: Vec<Option<u64>>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Part {
    /// A body by itself.
    pub body: Arc<Body>,
    /// Which of those that were too large it is part of.
    of: Vec<usize>,
}

impl Parts {
    /// A body that is whole yet.
    pub fn new(body: &Arc<Body>) -> Parts {
        Parts { left: vec![Part { body: Arc::clone(body), of: Vec::new() }], too_large: Vec::new() }
    }

    /// Takes the next part.
    pub fn next(&mut self) -> Option<Part> {
        self.left.pop()
    }

    /// The next part is this one.
    pub fn put_back(&mut self, part: Part) {
        self.left.push(part);
    }

    /// Whether all of `body` is still to be sent, as it is.
    pub fn is_whole(&self, body: &Arc<Body>) -> bool {
        matches!(&self.left[..], [only] if Arc::ptr_eq(&only.body, body))
    }

    /// The one that is next.
    #[cfg(test)]
    pub fn first(&self) -> &Body {
        &self.left.last().unwrap().body
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Samples that are still to be sent.
    pub fn samples(&self) -> u64 {
        self.left.iter().map(|part| part.body.samples).sum()
    }

    /// The next parts are these bodies, into which `part` was divided.
    pub fn put_divided(&mut self, part: &Part, bodies: impl DoubleEndedIterator<Item = Body>) {
        let parts = bodies.map(|body| Part { body: Arc::new(body), of: part.of.clone() });
        self.left.extend(parts.rev());
    }

    /// The receiver finds `part` too large.
    pub fn was_too_large(&mut self, part: &mut Part) {
        part.of.push(self.too_large.len());
        self.too_large.push(Some(part.body.samples));
    }

    /// The receiver finds `part` too large, and it cannot be divided: a huge label perhaps. Then
    /// this may be all that was wrong with whatever it was part of, and nothing is learned from that.
    pub fn was_too_large_alone(&mut self, part: &Part) {
        part.of.iter().for_each(|of| self.too_large[*of] = None);
    }

    /// How many samples a part may have, as far as this body has shown: half of the smallest one that
    /// was too large. None where nothing was.
    pub fn most(&self) -> Option<u64> {
        self.too_large.iter().flatten().min().map(|least| least.div_ceil(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(samples: u64) -> Body {
        Body { bytes: Vec::new(), samples, time_ms: 0, content: Arc::default() }
    }

    /// Sends a body to a receiver that takes `limit` samples, and not the one numbered `poison`;
    /// gives the sizes of its requests, and what was learned.
    fn send(samples: u64, limit: u64, poison: Option<u64>) -> (Vec<u64>, Option<u64>) {
        // The time of a body is the number of its first sample here.
        let mut parts = Parts::new(&Arc::new(body(samples)));
        let mut sizes = Vec::new();
        let divide = |part: &Part, most: u64| {
            let count = part.body.samples.div_ceil(most).max(2);
            let end = |piece: u64| part.body.samples * piece / count;
            let piece = |at: u64| Body { time_ms: part.body.time_ms + end(at) as i64, ..body(end(at + 1) - end(at)) };
            (0..count).map(piece).collect::<Vec<_>>()
        };
        while let Some(mut part) = parts.next() {
            let size = part.body.samples;
            if let Some(most) = parts.most().filter(|most| size > *most && size > 1) {
                parts.put_divided(&part, divide(&part, most).into_iter());
                continue;
            }
            sizes.push(size);
            let first = part.body.time_ms as u64;
            let refuses = size > limit || poison.is_some_and(|poison| (first..first + size).contains(&poison));
            match (refuses, size) {
                (false, _) => {}
                (true, 1) => parts.was_too_large_alone(&part),
                (true, _) => {
                    parts.was_too_large(&mut part);
                    parts.put_divided(&part, divide(&part, size.div_ceil(2)).into_iter());
                }
            }
        }
        (sizes, parts.most())
    }

    #[test]
    fn a_limit_is_found_once_a_body() {
        let (sizes, most) = send(1000, 100, None);
        assert_eq!(sizes[..4], [1000, 500, 250, 125]);
        assert_eq!(sizes[4..], [62, 63].repeat(8), "from there on all are small enough");
        assert_eq!(most, Some(63));
        assert_eq!(send(100, 100, None), (vec![100], None));
    }

    #[test]
    fn one_sample_that_is_too_large_says_nothing_of_sizes() {
        for poison in [0, 3, 7] {
            let (sizes, most) = send(8, 100, Some(poison));
            assert_eq!(most, None);
            assert_eq!(sizes.iter().filter(|size| **size == 1).count(), 2, "{sizes:?}");
        }
        // Beside a limit it hides only what it is part of.
        assert_eq!(send(1000, 100, Some(999)).1, Some(63));
    }

    #[test]
    fn a_limit_that_nothing_passes_is_none() {
        assert_eq!(send(4, 0, None).1, None);
    }
}

//! The buffers of a connection, which it lets go of while it idles.
//!
//! ureq's own stay with the connection, tens of kilobytes each. A program that scrapes a
//! thousand targets has a thousand connections, and nearly all of them idle.

use ureq::unversioned::transport::Buffers;

/// The input begins with this: most answers need no more.
const MIN_INPUT: usize = 2 << 10;

/// The input grows up to this while answers fill it: fewer reads for large ones. An answer's
/// head has to fit into it.
const MAX_INPUT: usize = 64 << 10;

/// There is room for so much output where there is any: for ureq, which writes whole lines, no
/// header may be longer.
const LINE: usize = 16 << 10;

/// There is always room for so much of a request's body.
const PIECE: usize = 4 << 10;

/// What came in and is to go out on one connection.
#[derive(Default)]
pub struct ConnectionBuffers {
    input: Vec<u8>,
    /// `input[consumed..filled]` came in and has not been taken yet.
    filled: usize,
    consumed: usize,
    /// The last look at the input has taken something of it.
    progressed: bool,
    /// The last read has filled the input: there is more.
    is_tight: bool,
    output: Vec<u8>,
    /// `output[..gathered]` is to be sent.
    gathered: usize,
}

impl ConnectionBuffers {
    /// Adds the first `amount` bytes of what [`Buffers::output`] gave to what is to be sent.
    pub fn gather(&mut self, amount: usize) {
        self.gathered += amount;
    }

    /// What is to be sent.
    pub fn gathered(&self) -> &[u8] {
        &self.output[..self.gathered]
    }

    /// Forgets what was to be sent.
    pub fn sent(&mut self) {
        self.gathered = 0;
    }

    /// Lets go of all that is empty.
    pub fn release(&mut self) {
        if self.gathered == 0 {
            self.output = Vec::new();
        }
        if self.consumed == self.filled {
            (self.filled, self.consumed, self.is_tight) = (0, 0, false);
            self.input = Vec::new();
        }
    }

    fn room(&mut self, least: usize) {
        if self.output.len() - self.gathered < least {
            let size = (2 * self.output.len()).max(self.gathered + least).max(LINE);
            self.output.resize(size, 0);
        }
    }
}

impl Buffers for ConnectionBuffers {
    fn output(&mut self) -> &mut [u8] {
        self.room(LINE);
        &mut self.output[self.gathered..]
    }

    fn input(&self) -> &[u8] {
        &self.input[self.consumed..self.filled]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        if self.consumed > 0 {
            self.input.copy_within(self.consumed..self.filled, 0);
            self.filled -= self.consumed;
            self.consumed = 0;
        }
        if self.is_tight || self.filled == self.input.len() {
            self.is_tight = false;
            let size = (4 * self.input.len()).clamp(MIN_INPUT, MAX_INPUT);
            self.input.resize(size, 0);
        }
        &mut self.input[self.filled..]
    }

    fn input_appended(&mut self, amount: usize) {
        self.filled += amount;
        self.is_tight = self.filled == self.input.len();
    }

    fn input_consume(&mut self, amount: usize) {
        self.progressed = amount > 0;
        self.consumed += amount;
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        self.room(PIECE);
        // ureq looks at the first only where a body has no length; ours have one.
        (&mut self.input[self.filled..], &mut self.output[self.gathered..])
    }

    fn can_use_input(&self) -> bool {
        self.filled > self.consumed && self.progressed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(buffers: &mut ConnectionBuffers, bytes: &[u8]) {
        buffers.input_append_buf()[..bytes.len()].copy_from_slice(bytes);
        buffers.input_appended(bytes.len());
    }

    #[test]
    fn what_came_in_stays_in_order_until_it_is_taken() {
        let mut buffers = ConnectionBuffers::default();
        receive(&mut buffers, b"head");
        assert!(!buffers.can_use_input(), "nothing has been taken yet");
        buffers.input_consume(2);
        assert!(buffers.can_use_input());
        receive(&mut buffers, b"er");
        assert_eq!(buffers.input(), b"ader");
        buffers.input_consume(0);
        assert!(!buffers.can_use_input(), "it wants more");
        buffers.input_consume(4);
        assert_eq!(buffers.input(), b"");
    }

    #[test]
    fn the_input_grows_while_it_is_filled_and_has_a_bound() {
        let mut buffers = ConnectionBuffers::default();
        let mut sizes = Vec::new();
        for _ in 0..6 {
            let size = buffers.input_append_buf().len();
            sizes.push(size);
            buffers.input_appended(size);
            buffers.input_consume(size);
        }
        assert_eq!(sizes, [2 << 10, 8 << 10, 32 << 10, 64 << 10, 64 << 10, 64 << 10]);
        // What nobody takes fills it, and then there is no room.
        let mut buffers = ConnectionBuffers::default();
        while !buffers.input_append_buf().is_empty() {
            let size = buffers.input_append_buf().len();
            buffers.input_appended(size);
        }
        assert_eq!(buffers.input().len(), MAX_INPUT);
    }

    #[test]
    fn what_is_gathered_stays_where_it_is_as_the_output_grows() {
        let mut buffers = ConnectionBuffers::default();
        let mut expected = Vec::new();
        for piece in 0..40u8 {
            let (_, output) = buffers.tmp_and_output();
            assert!(output.len() >= PIECE);
            output[..3000].fill(piece);
            buffers.gather(3000);
            expected.extend([piece; 3000]);
            assert!(buffers.output().len() >= LINE);
        }
        assert_eq!(buffers.gathered(), expected);
        buffers.sent();
        assert_eq!(buffers.gathered(), b"");
    }

    #[test]
    fn an_idle_connection_keeps_no_room() {
        let mut buffers = ConnectionBuffers::default();
        buffers.output();
        for _ in 0..4 {
            let size = buffers.input_append_buf().len();
            buffers.input_appended(size);
            buffers.input_consume(size);
        }
        buffers.release();
        assert_eq!((buffers.input.capacity(), buffers.output.capacity()), (0, 0));
        // What has not been taken, or not been sent, is not lost.
        receive(&mut buffers, b"more");
        buffers.output()[..4].copy_from_slice(b"bye!");
        buffers.gather(4);
        buffers.release();
        assert_eq!((buffers.input(), buffers.gathered()), (&b"more"[..], &b"bye!"[..]));
    }
}

//! From frames to bytes, one file a format. No I/O, no clocks, no threads.

pub mod text;

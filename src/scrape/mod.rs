//! Applications that are asked for their numbers: targets, the threads that ask them, and what
//! becomes of a page.
//!
//! A target is a source of its own: its page's series are its items, in the page's order, and it
//! gives a frame with each scrape. What makes a scrape cheap is that nearly nothing changes between
//! two of them but numbers ([`crate::exposition`]).

mod fetch;
mod fields;
mod files;
mod json;
mod labels;
mod page_format;
mod pool;
mod reading_table;
mod said;
mod series;
mod settings;
mod staged;
mod target;
#[cfg(test)]
mod tests;

pub use fields::{EndpointFields, TABLE, settle};
pub use files::{Followed, from_file_sd};
pub use labels::{distinct_labels, is_of_scrape};
pub use pool::{Deliver, Kind, Pool, THREADS, scrape_once};
pub use reading_table::ReadingTable;
pub use said::Said;
pub use settings::{Limits, PageFormat, Settings};
pub use staged::sources_of;
pub use target::Context;

//! What a destination or a page sees of what was read: by which names, with which labels. Pure.

mod combinations;
mod label_table;
mod view;

pub use combinations::Combinations;
pub use label_table::ViewLabels;
pub use view::{Perspective, View, ViewSeries};

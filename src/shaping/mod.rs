//! What a destination or a page sees of what was read: by which names, with which labels, and
//! what rules (`transforms`) leave of it. Pure.
//!
//! [`Rules`] do something to one [`Series`] at a time. A list of them anywhere in a configuration
//! is a [`GivenRules`], whose fields are [`RULE_TABLE`]. For what is sent they are part of a
//! [`Perspective`], and applied when its [`View`] of a chunk is compiled; what concerns several
//! chunks is a lane's [`Stage`].

mod admitted;
mod combinations;
mod fields;
mod flows;
mod fold;
mod given;
mod identity;
mod label_table;
mod matching;
mod md5;
mod names;
mod pattern;
mod reach;
mod recipe;
mod relabel;
mod room;
mod rule;
mod rules;
mod series;
mod series_text;
mod shaped;
mod stage;
mod template;
#[cfg(test)]
pub(crate) mod testing;
mod view;
mod windows;

pub use combinations::Combinations;
pub use fields::RULE_TABLE;
pub use flows::sources;
pub use fold::{Fold, Function, Grouping};
pub use given::{GivenRule, GivenRules};
pub use label_table::ViewLabels;
pub use names::{WrittenLabels, own_labels, prometheus_labels, prometheus_name};
pub use recipe::FromRecipe;
pub use rule::Rule;
pub use rules::{Outcome, Rules, Step};
pub use series::Series;
pub use stage::Stage;
pub use view::{Perspective, Unshaped, View, ViewSeries};
pub use windows::MAX_GROUPS;

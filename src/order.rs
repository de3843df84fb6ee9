//! Sorting, by one routine for all types.
//!
//! The standard library's stable sort is made anew for each type and each order: 5.5 KB of code
//! every time, which was 4 % of the program. Here the places are sorted, which are numbers whatever
//! stands there. Where speed counts more than size, the standard library's is the faster one.

use std::cmp::Ordering;

/// Shorter ones are sorted where they stand.
const FEW: usize = 20;

/// Sorts `items` by `order`; what is equal keeps its order.
pub fn sort_by<T>(items: &mut [T], mut order: impl FnMut(&T, &T) -> Ordering) {
    if items.len() <= FEW {
        for end in 1..items.len() {
            let mut at = end;
            while at > 0 && order(&items[at], &items[at - 1]).is_lt() {
                items.swap(at, at - 1);
                at -= 1;
            }
        }
        return;
    }
    let mut from: Vec<usize> = (0..items.len()).collect();
    sort_places(&mut from, &mut |a, b| order(&items[a], &items[b]));
    // Along each circle: what stood at `from[at]` goes to `at`, and its place is the next to fill.
    for start in 0..from.len() {
        let mut at = start;
        while from[at] != start {
            let next = std::mem::replace(&mut from[at], at);
            items.swap(at, next);
            at = next;
        }
        from[at] = at;
    }
}

/// Sorts `items` by what `key` says of each; what is equal keeps its order.
pub fn sort_by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    sort_by(items, |a, b| key(a).cmp(&key(b)));
}

/// Sorts `items`; what is equal keeps its order.
pub fn sort<T: Ord>(items: &mut [T]) {
    sort_by(items, T::cmp);
}

fn sort_places(places: &mut [usize], order: &mut dyn FnMut(usize, usize) -> Ordering) {
    places.sort_by(|a, b| order(*a, *b));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::random;

    #[test]
    fn it_sorts_as_the_standard_library_does() {
        let mut random = random();
        for len in (0..60).chain([500, 5_000]) {
            let items: Vec<(usize, usize)> = (0..len).map(|_| (random(20), random(1000))).collect();
            let (mut ours, mut theirs) = (items.clone(), items.clone());
            sort_by_key(&mut ours, |item| item.0);
            theirs.sort_by_key(|item| item.0);
            assert_eq!(ours, theirs, "what is equal");
            let (mut ours, mut theirs) = (items.clone(), items);
            sort(&mut ours);
            theirs.sort();
            assert_eq!(ours, theirs, "{len}");
        }
    }
}

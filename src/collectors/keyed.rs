//! What a collector remembers of each cpu, disk or interface, in its file's order.

/// The entry for the `at`-th thing of a file, made by `new` where it was not there before.
///
/// The kernel lists the same things in the same order round after round, so the entry is
/// nearly always at its place already; only where it is not, the rest of the list is
/// searched. A caller goes through its file with `at` counting from 0, and afterwards
/// truncates the list to the number of things seen: what has vanished has moved behind.
pub fn entry<T>(list: &mut Vec<T>, at: usize, is: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> &mut T {
    if !list.get(at).is_some_and(&is) {
        match list.iter().skip(at).position(is) {
            Some(offset) => list[at..=at + offset].rotate_right(1),
            None => list.insert(at.min(list.len()), new()),
        }
    }
    &mut list[at]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goes through `names` and says which entries had to be made.
    fn round(list: &mut Vec<(char, u32)>, names: &str, number: u32) -> String {
        let mut made = String::new();
        for (at, name) in names.chars().enumerate() {
            entry(
                list,
                at,
                |e| e.0 == name,
                || {
                    made.push(name);
                    (name, number)
                },
            );
        }
        list.truncate(names.chars().count());
        made
    }

    #[test]
    fn entries_survive_what_comes_goes_and_moves() {
        let mut list = Vec::new();
        assert_eq!(round(&mut list, "abcd", 1), "abcd");
        assert_eq!(round(&mut list, "abcd", 2), "");
        assert_eq!(round(&mut list, "acd", 3), "");
        assert_eq!(round(&mut list, "xacd", 4), "x");
        assert_eq!(round(&mut list, "dxab", 5), "b");
        assert_eq!(list, [('d', 1), ('x', 4), ('a', 1), ('b', 5)]);
        assert_eq!(round(&mut list, "", 6), "");
        assert!(list.is_empty());
    }
}

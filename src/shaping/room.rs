//! How much room a `limit` has left, and who has some: the series that came first.

use std::collections::HashMap;

use super::rule::Limit;
use super::shaped::Meeting;

/// After a reload the series that had room before have it for so long, until their sources have given them again.
const RESERVED_MS: i64 = 300_000;

/// A limit's series.
#[derive(Debug)]
pub struct Room {
    limit: Limit,
    /// By identity.
    series: HashMap<u64, Holder>,
    /// How many of them each name has, by a hash of it.
    names: HashMap<u64, u64>,
    /// Those of the series that nobody gives now, by identity.
    idle: Vec<u64>,
}

#[derive(Debug)]
struct Holder {
    /// How many give it; 0: it is idle.
    count: u32,
    name: u64,
    /// Until when it keeps its room while it is idle.
    until_ms: i64,
}

impl Room {
    /// An empty one.
    pub fn new(limit: Limit) -> Room {
        Room { limit, series: HashMap::new(), names: HashMap::new(), idle: Vec::new() }
    }

    /// Gives the series room, if there is some.
    pub fn claim(&mut self, meeting: &Meeting<'_>) -> bool {
        if let Some(holder) = self.series.get_mut(&meeting.identity()) {
            holder.count += 1;
            return true;
        }
        let name = meeting.name_hash();
        let is_full = |most: Option<u64>, count: u64| most.is_some_and(|most| count >= most);
        let of_name = self.names.get(&name).copied().unwrap_or_default();
        if is_full(self.limit.series, self.series.len() as u64) || is_full(self.limit.per_name, of_name) {
            return false;
        }
        self.series.insert(meeting.identity(), Holder { count: 1, name, until_ms: i64::MIN });
        *self.names.entry(name).or_default() += 1;
        true
    }

    /// The series, which has room, is given by one less. Where nobody gives it, it has its room until
    /// [`Room::let_go`].
    pub fn release(&mut self, meeting: &Meeting<'_>) {
        let identity = meeting.identity();
        let Some(holder) = self.series.get_mut(&identity) else { return };
        holder.count = holder.count.saturating_sub(1);
        if holder.count == 0 {
            holder.until_ms = i64::MIN;
            self.idle.push(identity);
        }
    }

    /// Takes the room of those that nobody gives. Whether there is more now.
    pub fn let_go(&mut self, now_ms: i64) -> bool {
        let Room { series, names, idle, .. } = self;
        let before = series.len();
        idle.retain(|identity| {
            let Some(holder) = series.get(identity).filter(|holder| holder.count == 0) else { return false };
            if holder.until_ms > now_ms {
                return true;
            }
            if let Some(count) = names.get_mut(&holder.name) {
                *count -= 1;
                if *count == 0 {
                    names.remove(&holder.name);
                }
            }
            series.remove(identity);
            false
        });
        series.len() < before
    }

    /// All that have room are to claim it anew, and keep it for a while until they do.
    pub fn reserve(&mut self, now_ms: i64) {
        self.idle.clear();
        for (identity, holder) in &mut self.series {
            *holder = Holder { count: 0, until_ms: now_ms.saturating_add(RESERVED_MS), ..*holder };
            self.idle.push(*identity);
        }
    }
}

//! ◆ Names of a group's allocations: `job.group[0]`, `job.group[1]` … the lowest free one first.

use std::collections::BTreeSet;

use crate::model::Allocation;

/// The names of a group's allocations.
#[derive(Debug, Clone)]
pub(super) struct Names {
    job: String,
    group: String,
    count: u64,
    taken: BTreeSet<u64>,
}

impl Names {
    /// The names that `allocs` have, of a group that should have `count`.
    pub(super) fn taken_by<'a>(
        job: &str,
        group: &str,
        count: i64,
        allocs: impl IntoIterator<Item = &'a Allocation>,
    ) -> Self {
        Self {
            job: job.to_owned(),
            group: group.to_owned(),
            count: u64::try_from(count).unwrap_or(0),
            taken: allocs.into_iter().filter_map(Allocation::index).collect(),
        }
    }

    /// The name with that number.
    pub(super) fn name(&self, index: u64) -> String {
        format!("{}.{}[{index}]", self.job, self.group)
    }

    /// Somebody gave this name up.
    pub(super) fn release(&mut self, alloc: &Allocation) {
        if let Some(index) = alloc.index() {
            self.taken.remove(&index);
        }
    }

    /// The numbers of the `n` highest names, which are given up first.
    pub(super) fn highest(&self, n: usize) -> BTreeSet<u64> {
        self.taken.iter().rev().take(n).copied().collect()
    }

    /// The next `n` names: free ones below the count, then ones that are taken twice.
    pub(super) fn next(&mut self, n: usize) -> Vec<String> {
        let free = (0..self.count).filter(|index| !self.taken.contains(index));
        let mut chosen: Vec<u64> = free.take(n).collect();
        let missing = n - chosen.len();
        chosen.extend((0..self.count.max(1)).cycle().take(missing));
        self.taken.extend(&chosen);
        chosen.into_iter().map(|index| self.name(index)).collect()
    }

    /// Names for `n` canaries: those that are to be replaced, then free ones, then ones beyond the count.
    pub(super) fn next_canaries<'a>(
        &mut self,
        n: usize,
        existing: impl IntoIterator<Item = &'a Allocation>,
        replaced: impl IntoIterator<Item = &'a Allocation>,
    ) -> Vec<String> {
        let existing: BTreeSet<u64> = existing.into_iter().filter_map(Allocation::index).collect();
        let replaced: BTreeSet<u64> = replaced.into_iter().filter_map(Allocation::index).collect();
        let free = (0..self.count).filter(|index| !self.taken.contains(index));
        let candidates =
            replaced.iter().copied().filter(|i| *i < self.count).chain(free).chain(self.count..);
        let mut chosen = BTreeSet::new();
        for index in candidates {
            if chosen.len() >= n {
                break;
            }
            if !existing.contains(&index) {
                chosen.insert(index);
            }
        }
        self.taken.extend(&chosen);
        chosen.into_iter().map(|index| self.name(index)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Names;
    use crate::model::Allocation;

    fn named(names: &[&str]) -> Vec<Allocation> {
        names.iter().map(|n| Allocation { name: (*n).into(), ..Allocation::default() }).collect()
    }

    #[test]
    fn the_lowest_free_name_is_next_and_the_highest_goes_first() {
        let allocs = named(&["j.g[0]", "j.g[2]"]);
        let mut names = Names::taken_by("j", "g", 4, &allocs);
        assert_eq!(names.highest(1).into_iter().collect::<Vec<_>>(), [2]);
        assert_eq!(names.next(3), ["j.g[1]", "j.g[3]", "j.g[0]"]);
    }

    #[test]
    fn canaries_take_the_names_of_those_they_will_replace() {
        let old = named(&["j.g[0]", "j.g[1]"]);
        let mut names = Names::taken_by("j", "g", 2, &old);
        assert_eq!(names.next_canaries(3, &named(&[]), &old), ["j.g[0]", "j.g[1]", "j.g[2]"]);
    }
}

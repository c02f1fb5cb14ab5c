//! Fair shares: which partitions a process claims and which it hands over, from what all processes know.

use std::cmp::Reverse;

/// The changes that a process has to make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Partitions without an owner to claim now.
    pub claim: Vec<u32>,
    /// Partitions to release, since others own fewer than their share.
    pub surplus: Vec<u32>,
}

/// The share of `node`, one of the processes `alive`, in `partitions` partitions of which `held` have owners.
///
/// Shares differ by at most one. The larger ones go to the processes that hold the most, so that a fair state is stable.
/// A dead process's partitions stay with it until its lease ends.
pub fn fair_share(node: &str, alive: &[String], held: &[(u32, String)], partitions: u32) -> Share {
    let held_by = |owner: &str| held.iter().filter(|(_, holder)| holder == owner).count();
    let mut by_holdings: Vec<&String> = alive.iter().collect();
    by_holdings.sort_by_key(|owner| (Reverse(held_by(owner)), *owner));
    let Some(rank) = by_holdings.iter().position(|owner| *owner == node) else { return Share::default() };
    let partitions_in_all = partitions as usize;
    let larger = usize::from(rank < partitions_in_all % alive.len());
    let share = partitions_in_all / alive.len() + larger;

    let own = held.iter().filter(|(_, holder)| holder == node).map(|(partition, _)| *partition);
    let surplus: Vec<u32> = own.skip(share).collect();
    let free = (0..partitions).filter(|partition| !held.iter().any(|(of, _)| of == partition));
    Share { claim: free.take(share.saturating_sub(held_by(node))).collect(), surplus }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn name(number: usize) -> String {
        format!("node-{number}")
    }

    /// One process's look and its changes. The catalog refuses a claim of a held partition.
    fn act(node: &str, alive: &[String], owners: &mut BTreeMap<u32, String>, partitions: u32) -> usize {
        let held: Vec<(u32, String)> = owners.iter().map(|(partition, owner)| (*partition, owner.clone())).collect();
        let Share { claim, surplus } = fair_share(node, alive, &held, partitions);
        for partition in &surplus {
            assert_eq!(owners.remove(partition).as_deref(), Some(node), "a process releases its own");
        }
        for partition in &claim {
            assert!(*partition < partitions && !owners.contains_key(partition), "a claim is of a free partition");
            owners.insert(*partition, node.to_owned());
        }
        claim.len() + surplus.len()
    }

    #[test]
    fn a_process_that_comes_gets_its_share_and_one_that_is_alone_has_all() {
        let (one, two) = ([name(1)], [name(1), name(2)]);
        let mut owners = BTreeMap::new();
        act(&one[0], &one, &mut owners, 4);
        assert_eq!(owners.len(), 4);
        assert_eq!(act(&two[1], &two, &mut owners, 4), 0, "nothing is free");
        assert_eq!(act(&two[0], &two, &mut owners, 4), 2);
        assert_eq!(act(&two[1], &two, &mut owners, 4), 2);
        assert_eq!(owners.values().filter(|owner| **owner == two[1]).count(), 2);
        assert_eq!(fair_share("unknown", &two, &[], 4), Share::default());
    }

    proptest! {
        #[test]
        fn shares_become_fair_in_three_rounds_and_then_nothing_moves(
            partitions in 1u32..33, live in 1usize..9, gone in 0usize..3,
            start in prop::collection::vec(0usize..12, 0..33), order in any::<prop::sample::Index>(),
        ) {
            let alive: Vec<String> = (0..live).map(name).collect();
            // Some partitions are free and some are of processes that were dead; their leases have ended.
            let held = (0..partitions).zip(&start).filter(|(_, owner)| **owner < live);
            let mut owners: BTreeMap<u32, String> = held.map(|(partition, owner)| (partition, name(*owner))).collect();
            let kept: Vec<usize> = alive
                .iter()
                .map(|node| owners.values().filter(|owner| *owner == node).count())
                .collect();
            let first = order.index(live);
            let turns: Vec<&String> = alive.iter().cycle().skip(first + gone).take(live).collect();
            let mut moves = 0;
            for node in turns.iter().cycle().take(3 * live) {
                moves += act(node, &alive, &mut owners, partitions);
            }
            let of = |node: &String| owners.values().filter(|owner| *owner == node).count();
            let (least, most) = (partitions as usize / live, (partitions as usize).div_ceil(live));
            for node in &alive {
                prop_assert!((least..=most).contains(&of(node)), "{owners:?}");
            }
            prop_assert_eq!(owners.len(), partitions as usize);
            for node in &turns {
                prop_assert_eq!(act(node, &alive, &mut owners, partitions), 0, "a fair state is stable");
            }
            // No more moves than partitions that were free, and those above the largest share, once each way.
            let above: usize = kept.iter().map(|held| held.saturating_sub(least)).sum();
            let free = partitions as usize - kept.iter().sum::<usize>();
            prop_assert!(moves <= free + 2 * above, "{} moves", moves);
        }
    }
}

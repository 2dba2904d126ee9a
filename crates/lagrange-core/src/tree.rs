//! The fixed binary tree over logical shards along which every sum runs.
//!
//! f32 addition is not associative, so a sum's bits depend on its order. Every sum over shards therefore runs
//! along one tree that depends only on the number of shards: node (level, index) covers the shards
//! `[index << level, (index + 1) << level)` below that number, and its value is left + right (or left alone
//! where nothing lies to the right). A worker that owns a whole subtree may send its root instead of its
//! leaves: the result has the same bits whoever did the additions.

use std::collections::BTreeMap;

/// A node of the tree. Level 0 is a shard.
///
/// ```
/// use lagrange_core::tree::{Node, cover};
///
/// // Of four shards, 2 and 3 are a subtree.
/// assert_eq!(cover(&[1, 2, 3], 4), [Node::leaf(1), Node { level: 1, index: 1 }]);
/// assert_eq!(Node { level: 1, index: 1 }.shards(4), 2..4);
/// assert_eq!(Node::root(4).shards(4), 0..4);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// Height above the leaves.
    pub level: u32,
    /// Position within the level.
    pub index: u32,
}

impl Node {
    /// The leaf of `shard`.
    #[must_use]
    pub fn leaf(shard: u32) -> Self {
        Self {
            level: 0,
            index: shard,
        }
    }

    /// The root of the tree over `shards` shards.
    #[must_use]
    pub fn root(shards: u32) -> Self {
        Self {
            level: shards.max(1).next_power_of_two().trailing_zeros(),
            index: 0,
        }
    }

    /// The shards below this node, of `shards` in all. Empty if the node lies outside the tree.
    #[must_use]
    pub fn shards(self, shards: u32) -> std::ops::Range<u32> {
        let edge = |index: u64| {
            index
                .saturating_mul(1 << self.level.min(32))
                .min(shards.into()) as u32
        };
        edge(self.index.into())..edge(u64::from(self.index) + 1)
    }

    fn parent(self) -> Self {
        Self {
            level: self.level + 1,
            index: self.index / 2,
        }
    }

    fn sibling(self) -> Self {
        Self {
            level: self.level,
            index: self.index ^ 1,
        }
    }
}

/// The fewest nodes that cover exactly `owned`, in the order of their shards.
#[must_use]
pub fn cover(owned: &[u32], shards: u32) -> Vec<Node> {
    let mut sums = PartialSums::new(shards);
    for &shard in owned {
        sums.add(Node::leaf(shard), (), |(), ()| ());
    }
    let mut nodes: Vec<_> = sums.into_nodes().map(|(node, ())| node).collect();
    nodes.sort_by_key(|node| node.shards(shards).start);
    nodes
}

/// Partial sums by node: adding a node's value merges it upwards as far as siblings are present.
///
/// ```
/// use lagrange_core::tree::{Node, PartialSums};
///
/// let mut sums = PartialSums::new(3);
/// for (shard, value) in [(2, 0.5), (0, 1.0), (1, 2.0)] {
///     sums.add(Node::leaf(shard), value, |left, right| left + right);
/// }
/// assert_eq!(sums.into_total(), Some(3.5));
/// ```
#[derive(Debug, Clone)]
pub struct PartialSums<T> {
    shards: u32,
    nodes: BTreeMap<Node, T>,
}

impl<T> PartialSums<T> {
    /// An empty sum over `shards` shards.
    #[must_use]
    pub fn new(shards: u32) -> Self {
        Self {
            shards,
            nodes: BTreeMap::new(),
        }
    }

    /// Adds the value of `node`; `merge(left, right)` sums two siblings.
    pub fn add(&mut self, node: Node, value: T, mut merge: impl FnMut(T, T) -> T) {
        let (mut node, mut value) = (node, value);
        while node.level < Node::root(self.shards).level {
            if node.index.is_multiple_of(2) {
                if node.sibling().shards(self.shards).is_empty() {
                    node = node.parent();
                    continue;
                }
                match self.nodes.remove(&node.sibling()) {
                    Some(right) => value = merge(value, right),
                    None => break,
                }
            } else {
                match self.nodes.remove(&node.sibling()) {
                    Some(left) => value = merge(left, value),
                    None => break,
                }
            }
            node = node.parent();
        }
        self.nodes.insert(node, value);
    }

    /// The total; `None` while shards are missing.
    #[must_use]
    pub fn into_total(mut self) -> Option<T> {
        self.nodes.remove(&Node::root(self.shards))
    }

    /// Whether every shard is in the sum.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.nodes.contains_key(&Node::root(self.shards))
    }

    /// The partial sums so far, node by node.
    pub fn into_nodes(self) -> impl Iterator<Item = (Node, T)> {
        self.nodes.into_iter()
    }
}

/// `left += right`, element by element: the sum of two partial sums.
///
/// # Panics
/// If the lengths differ.
pub fn add_into<T: Copy + std::ops::AddAssign>(left: &mut [T], right: &[T]) {
    assert_eq!(left.len(), right.len(), "partial sums of one kind");
    for (l, r) in left.iter_mut().zip(right) {
        *l += *r;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tree_sum(values: &[f32], order: &[usize]) -> f32 {
        let mut sums = PartialSums::new(values.len() as u32);
        for &shard in order {
            sums.add(Node::leaf(shard as u32), values[shard], |l, r| l + r);
        }
        sums.into_total().expect("complete")
    }

    #[test]
    fn three_shards_are_summed_left_to_right() {
        assert_eq!(cover(&[0, 1, 2], 3), [Node { level: 2, index: 0 }]);
        assert_eq!(
            cover(&[1, 2], 3),
            [Node::leaf(1), Node { level: 1, index: 1 }]
        );
        assert_eq!(cover(&[], 3), []);
    }

    #[test]
    fn a_node_outside_the_tree_covers_nothing() {
        for (level, index) in [(0, 16), (40, 1), (u32::MAX, u32::MAX)] {
            assert!(Node { level, index }.shards(16).is_empty());
        }
    }

    proptest! {
        #[test]
        fn the_sum_does_not_depend_on_arrival_or_ownership(
            values in prop::collection::vec(-1e6f32..1e6, 1..40),
            keys in prop::collection::vec((any::<u32>(), 0usize..5), 40),
        ) {
            let n = values.len();
            let in_order: Vec<_> = (0..n).collect();
            let mut shuffled = in_order.clone();
            shuffled.sort_by_key(|&i| keys[i].0);
            let expected = tree_sum(&values, &in_order);
            prop_assert_eq!(expected.to_bits(), tree_sum(&values, &shuffled).to_bits());

            // Five workers own arbitrary shards and send the roots of what they cover.
            let mut total = PartialSums::new(n as u32);
            for worker in 0..5 {
                let mut own = PartialSums::new(n as u32);
                let owned: Vec<u32> = (0..n).filter(|&i| keys[i].1 == worker).map(|i| i as u32).collect();
                for &shard in &owned {
                    own.add(Node::leaf(shard), values[shard as usize], |l, r| l + r);
                }
                let mut nodes: Vec<_> = own.into_nodes().collect();
                nodes.sort_by_key(|(node, _)| node.shards(n as u32).start);
                let covered: Vec<_> = nodes.iter().map(|(node, _)| *node).collect();
                prop_assert_eq!(covered, cover(&owned, n as u32));
                for (node, value) in nodes {
                    total.add(node, value, |l, r| l + r);
                }
            }
            prop_assert!(total.is_complete());
            prop_assert_eq!(expected.to_bits(), total.into_total().expect("complete").to_bits());
        }
    }
}

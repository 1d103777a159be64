//! Answers: what is opened, or asked for.

/// Whose sets are disjoint, and whose may lie in each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A feeder, or a part of one: no two sets of feeders have a meter in common.
    Feeder,
    /// Several feeders: a set may contain those of feeders and of smaller areas.
    Area,
}

/// A kind of answer, such as totals. The numbers of one kind can be added up and subtracted; those of another are others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(pub u8);

/// An answer about an interval: opened, or asked for.
#[derive(Debug)]
pub struct Answer<'a, S> {
    /// Of a feeder or of an area.
    pub level: Level,
    /// What it says.
    pub kind: Kind,
    /// The meters it is about.
    pub set: &'a S,
}

impl<S> Clone for Answer<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Answer<'_, S> {}

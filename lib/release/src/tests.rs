//! An adversary who asks for everything and combines what it gets, in worlds small enough to try it all.

mod adversary;
mod areas;
mod bills;
mod decisions;
mod worlds;

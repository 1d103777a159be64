//! Takes the place of the crate of the same name below `cxx`, which compiles an empty C++ file to find
//! out how to link the standard library, and fails in a way that tells a newcomer nothing.
//!
//! This one depends on nothing, so it is among the first things built, and without a C++ compiler its
//! message comes before anything else fails. Empty otherwise.

//! What is left of a set outside the sets that were opened inside it.

use crate::answer::Answer;
use crate::set::Set;

/// What is left of `whole` outside those of `answers` that are about fewer of its meters and no others.
pub(crate) fn rest<'a, S: Set + 'a>(
    whole: &Answer<'_, S>,
    answers: impl Iterator<Item = Answer<'a, S>>,
) -> S {
    let mut rest = whole.set.clone();
    for inside in answers.filter(|answer| is_inside(answer.set, whole.set)) {
        rest.remove(inside.set);
    }
    rest
}

/// Another kind of answer may be about the same meters: it leaves them to both.
fn is_inside<S: Set>(set: &S, whole: &S) -> bool {
    set != whole && set.is_subset(whole)
}

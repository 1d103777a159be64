use super::*;

#[test]
fn any_threshold_of_holders_have_every_stream_and_fewer_never_do() {
    for n in 2..=MAX_HOLDERS {
        for threshold in 2..=n {
            let streams: Vec<_> = HolderSet::all_of(threshold - 1, n).collect();
            let all_of = |together: HolderSet| {
                let has = |absent: &HolderSet| together.iter().any(|at| !absent.contains(at));
                streams.iter().all(has)
            };
            for size in 1..=n {
                let have = HolderSet::all_of(size, n).all(all_of);
                let miss = HolderSet::all_of(size, n).all(|together| !all_of(together));
                assert_eq!((have, miss), (size >= threshold, size < threshold));
            }
        }
    }
}

#[test]
fn sets_of_places_ascend_and_know_who_is_in_them() {
    let sets: Vec<_> = HolderSet::all_of(2, 4).collect();
    assert_eq!(sets.len(), 6);
    assert!(sets.is_sorted());
    let set = HolderSet::of([0, 3, 9]);
    assert_eq!(set.iter().collect::<Vec<_>>(), [0, 3]);
    assert_eq!(format!("{set:?}"), "{0, 3}");
    assert!(!set.contains(9));
}

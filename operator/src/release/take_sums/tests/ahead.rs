use super::*;
use crate::release::take_result::Unagreed;
use crate::release::take_sums::ahead::Ahead;

#[test]
fn mask_keys_are_agreed_on_while_no_sum_waits_and_never_before_one() {
    let mut bench = Bench::new();
    let job = bench.job(0);
    let unagreed = Unagreed {
        feeder: job.feeder.clone(),
        epoch: FIRST_EPOCH,
        members: job.members.clone(),
    };
    let numbers = 0..job.members.next_number();
    let taker = bench.taker.as_mut().unwrap();
    taker.ahead = Ahead::new(vec![unagreed]);
    let (jobs, mut queue) = mpsc::channel(2);
    jobs.try_send(Work::Take(job.clone())).unwrap();
    let mut group = Vec::new();
    assert!(taker.next_group(&mut queue, &mut group));
    assert_eq!(group.len(), 1);
    let agreed = |taker: &mut SumTaker| {
        let has = |number: &u32| taker.opener.has_agreed(&job.feeder, FIRST_EPOCH, *number);
        numbers.clone().filter(has).count()
    };
    assert_eq!(agreed(taker), 0);
    taker.agree_ahead();
    assert_eq!(agreed(taker), 8);
    drop(jobs);
    assert!(!taker.next_group(&mut queue, &mut group));
}

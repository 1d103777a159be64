//! Readings are cut off where the noise of holders is made for that.

use packed::layout::{Encoding, Entered};
use wire::{FeederId, Plan, WindowStart, most_quanta};

/// The most that a reading may enter as, of either sign, in Wh; none: what the feeder's reference allows.
pub(super) fn most_wh(
    plan: &Plan,
    feeder: &FeederId,
    window: WindowStart,
    encoding: &Encoding,
) -> Option<i64> {
    let clip = plan.noise_clip(feeder, window)?;
    let most = most_quanta(clip.0, plan.interval_s, encoding.quantum_wh);
    most.checked_mul(encoding.quantum_wh)?.try_into().ok()
}

/// Readings are cut off when they are taken, and here again: no plan may have been there then.
pub(super) fn clip(readings: &mut [Option<Entered>], most_wh: Option<i64>) {
    let Some(most) = most_wh else {
        return;
    };
    for entered in readings.iter_mut().flatten() {
        let clipped = entered.wh.clamp(-most, most);
        entered.clamped |= clipped != entered.wh;
        entered.wh = clipped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_is_cut_off_and_counts_as_clamped() {
        let entered = |wh, clamped| Some(Entered { wh, clamped });
        let before = [
            entered(9, false),
            entered(-7, false),
            None,
            entered(6, true),
        ];
        let mut readings = before;
        clip(&mut readings, None);
        assert_eq!(readings, before);
        clip(&mut readings, Some(7));
        let expected = [entered(7, true), entered(-7, false), None, entered(6, true)];
        assert_eq!(readings, expected);
    }
}

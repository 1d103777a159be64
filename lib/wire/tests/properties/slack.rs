//! CBOR that says the same but is not deterministic.

/// How one head is written against the rules of determinism.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Slack {
    Longer,
    Indefinite,
}

/// Writes one head, against the rules if it is the one that `slack.0` counts down to; whether it did.
fn head(major: u8, n: u64, slack: &mut (usize, Slack), out: &mut Vec<u8>) -> bool {
    let here = slack.0 == 0;
    slack.0 = slack.0.wrapping_sub(1);
    let shortest = |out: &mut Vec<u8>| {
        let short = super::written(&ciborium::Value::Integer(n.into()));
        out.push(short[0] | major << 5);
        out.extend(&short[1..]);
    };
    match (here, slack.1) {
        (true, Slack::Longer) => {
            out.push(major << 5 | 27);
            out.extend(n.to_be_bytes());
            // Where eight bytes are the shortest there is no longer form.
            n <= u64::from(u32::MAX)
        }
        (true, Slack::Indefinite) if matches!(major, 4 | 5) => {
            out.push(major << 5 | 31);
            true
        }
        (true, Slack::Indefinite) if matches!(major, 2 | 3) => {
            out.push(major << 5 | 31);
            shortest(out);
            true
        }
        _ => {
            shortest(out);
            false
        }
    }
}

/// Writes `value` deterministically, except head number `slack.0`, counted down.
pub(crate) fn write_slack(
    value: &ciborium::Value,
    slack: &mut (usize, Slack),
    out: &mut Vec<u8>,
) -> bool {
    use ciborium::Value::{Array, Bytes, Integer, Map, Null, Text};
    let mut any = false;
    let broken = match value {
        Integer(n) => {
            let n = i128::from(*n);
            let (major, n) = if n < 0 { (1, -1 - n) } else { (0, n) };
            any |= head(major, n as u64, slack, out);
            false
        }
        Bytes(bytes) => {
            let broken = head(2, bytes.len() as u64, slack, out);
            out.extend(bytes);
            broken
        }
        Text(text) => {
            let broken = head(3, text.len() as u64, slack, out);
            out.extend(text.as_bytes());
            broken
        }
        Array(items) => {
            let broken = head(4, items.len() as u64, slack, out);
            for item in items {
                any |= write_slack(item, slack, out);
            }
            broken
        }
        Map(pairs) => {
            let broken = head(5, pairs.len() as u64, slack, out);
            for (name, item) in pairs {
                any |= write_slack(name, slack, out) | write_slack(item, slack, out);
            }
            broken
        }
        Null => {
            let here = slack.0 == 0;
            slack.0 = slack.0.wrapping_sub(1);
            let longer = here && matches!(slack.1, Slack::Longer);
            out.extend_from_slice(if longer { &[0xf8, 22] } else { &[0xf6] });
            any |= longer;
            false
        }
        other => panic!("{other:?} is not part of the format"),
    };
    if broken && matches!(slack.1, Slack::Indefinite) {
        out.push(0xff);
    }
    any | broken
}

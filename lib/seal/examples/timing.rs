//! Does the time that sealing takes depend on secrets, and how long is it?
//!
//! ```text
//! cargo run --release -p seal --example timing -- [measurements; 100000 unless told]
//! ```
//! For every kernel of this processor, every loop that touches secrets is timed on two classes of input in random
//! order: a fixed one (`v` = 0, random bits all zero, a plaintext of zeros), and one drawn at random each time. Welch's
//! t says how far apart the means of the two classes are, in standard deviations of their difference (Reparaz, Balasch
//! and Verbauwhede, "Dude, is my code constant time?", 2017). The slowest tenth is left out: those are interrupts.
//!
//! The last line is a control that stops early for random input: it must be seen to depend on it.
//!
//! If the time does not depend on the input, |t| is nearly always below 3, however many measurements there are. A leak
//! is a |t| that grows with the square root of their number. Beyond 4.5 the program ends with status 1: then run it
//! again, with ten times the measurements and nothing else on the machine. To pass proves nothing about another
//! processor, nor that no input takes longer; what the compiler made of the loops is checked by `.ci/constant-time`.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use packed::{ADDITIVE_SMALL, PUBLIC_KEY_WORDS, RING};
use rand::{Rng, RngExt};
use seal::steps::{Block, Loops, Polynomial, factors};
use seal::{Kernel, PublicKey};

/// |t| from which times are taken to depend on the input.
const LIMIT: f64 = 4.5;

/// Coefficients in a plaintext: a report of 24 readings has 96.
const PLAINTEXT: usize = 96;

/// A loop, on its input in a [`Bench`].
type Step = fn(&mut Bench, Loops);

const STEPS: [(&str, Step); 6] = [
    ("ternary", |bench, loops| {
        loops.ternary(first(&bench.input.random), &mut bench.output.0);
    }),
    ("forward", |bench, loops| {
        loops.forward(&mut bench.input.v.0, &mut bench.output.0);
    }),
    ("multiply", |bench, loops| {
        loops.multiply(
            factors(&bench.key),
            &bench.input.values.0,
            &mut bench.output.0,
        );
    }),
    ("inverse", |bench, loops| {
        loops.inverse(&mut bench.input.products.0, &mut bench.output.0);
    }),
    ("errors", |bench, loops| {
        loops.errors(&bench.input.random, &mut bench.errors);
    }),
    ("add", |bench, loops| {
        loops.add(&bench.input.v.0, &mut bench.input.products.0);
    }),
];

/// What the loops work on, made from one choice of random bits.
struct Input {
    random: Vec<[Block; 2]>,
    v: Polynomial,
    values: Polynomial,
    products: Polynomial,
    plaintext: Vec<u64>,
}

struct Bench {
    key: PublicKey,
    input: Input,
    output: Polynomial,
    errors: Vec<u64>,
    report: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let mut rng = rand::rng();
        let words: Vec<_> = (0..PUBLIC_KEY_WORDS)
            .map(|_| rng.random_range(0..RING.modulus))
            .collect();
        let packed = packed::pack(&RING, &words).expect("residues");
        Self {
            key: PublicKey::from_packed(&packed).expect("a packed key"),
            input: Input {
                random: vec![[[0; 64]; 2]; 32],
                v: Polynomial::zero(),
                values: Polynomial::zero(),
                products: Polynomial::zero(),
                plaintext: vec![0; PLAINTEXT],
            },
            output: Polynomial::zero(),
            errors: vec![0; 32 * 24],
            report: Vec::new(),
        }
    }

    /// New input of a class, by the same work whichever it is.
    fn draw(&mut self, loops: Loops, random: bool) {
        let mut rng = rand::rng();
        // A mask that the compiler does not know to be all or nothing: it would make a branch, and the branch
        // predictor would remember the class.
        let mask = black_box(u64::from(random)).wrapping_neg();
        let Input {
            random,
            v,
            values,
            products,
            plaintext,
        } = &mut self.input;
        rng.fill_bytes(random.as_flattened_mut().as_flattened_mut());
        loops.ternary(first(random), &mut v.0);
        for word in &mut v.0 {
            *word &= mask;
        }
        for byte in random.as_flattened_mut().as_flattened_mut() {
            *byte &= mask as u8;
        }
        for word in plaintext {
            *word = rng.random_range(0..RING.modulus) & mask;
        }
        // The loops overwrite what they read.
        let kept = v.0;
        loops.forward(&mut v.0, &mut values.0);
        v.0 = kept;
        loops.multiply(factors(&self.key), &values.0, &mut products.0);
    }

    fn encrypt(&mut self, kernel: Kernel) {
        self.report.clear();
        let plaintext = &self.input.plaintext;
        seal::encrypt_with(
            kernel,
            &self.key,
            &ADDITIVE_SMALL,
            plaintext,
            &mut self.report,
        )
        .expect("a plaintext of residues");
    }

    /// Whether the input was random, and the time in nanoseconds.
    fn measure(
        &mut self,
        loops: Loops,
        count: usize,
        step: impl Fn(&mut Self),
    ) -> Vec<(bool, f64)> {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let random = rand::rng().random();
            self.draw(loops, random);
            let start = Instant::now();
            step(black_box(self));
            let nanoseconds = start.elapsed().as_nanos() as f64;
            black_box(&self.output);
            times.push((random, nanoseconds));
        }
        times
    }
}

/// The blocks that `v` is made of.
fn first(random: &[[Block; 2]]) -> &[Block; 32] {
    random.as_flattened().first_chunk().expect("64 blocks")
}

/// Welch's t of what is not among the slowest tenth of all.
fn welch(times: &[(bool, f64)]) -> f64 {
    let limit = quantile(times, 0.9);
    let class = |random: bool| {
        let kept = times
            .iter()
            .filter(|time| time.0 == random && time.1 <= limit);
        let kept: Vec<_> = kept.map(|time| time.1).collect();
        let count = kept.len() as f64;
        let mean = kept.iter().sum::<f64>() / count;
        let squares: f64 = kept.iter().map(|time| (time - mean).powi(2)).sum();
        (mean, squares / (count - 1.0) / count)
    };
    let (fixed, random) = (class(false), class(true));
    (fixed.0 - random.0) / (fixed.1 + random.1).sqrt()
}

fn quantile(times: &[(bool, f64)], part: f64) -> f64 {
    let mut times: Vec<_> = times.iter().map(|time| time.1).collect();
    times.sort_by(f64::total_cmp);
    times[((times.len() - 1) as f64 * part) as usize]
}

/// What must not pass: stops at the first coefficient of `v` that is not zero, late or soon.
fn control(bench: &mut Bench) {
    bench.output.0[0] = bench
        .input
        .v
        .0
        .iter()
        .take_while(|&&word| word == 0)
        .count() as u64;
}

/// Prints a line; true if the times do not depend on the class.
fn report(kernel: Kernel, step: &str, times: &[(bool, f64)]) -> bool {
    let t = welch(times);
    let median = quantile(times, 0.5) / 1000.0;
    let constant = t.abs() < LIMIT;
    let verdict = if constant {
        ""
    } else {
        "  depends on the input"
    };
    println!(
        "{:9} {step:9} {median:9.2} {t:8.2}{verdict}",
        kernel.to_string()
    );
    constant
}

fn main() -> ExitCode {
    let count = match std::env::args().nth(1).map(|count| count.parse()) {
        None => 100_000,
        Some(Ok(count)) if count >= 100 => count,
        Some(_) => {
            eprintln!("usage: timing [measurements, at least 100]");
            return ExitCode::from(2);
        }
    };
    let mut bench = Bench::new();
    let mut constant = true;
    println!("{:9} {:9} {:>9} {:>8}", "kernel", "step", "median µs", "t");
    for kernel in Kernel::available() {
        let loops = Loops::of(kernel).expect("an available kernel");
        for (name, step) in STEPS {
            let times = bench.measure(loops, count, |bench| step(bench, loops));
            constant &= report(kernel, name, &times);
        }
        let times = bench.measure(loops, count, |bench| bench.encrypt(kernel));
        constant &= report(kernel, "encrypt", &times);
    }
    let loops = Loops::of(Kernel::Portable).expect("runs everywhere");
    if report(
        Kernel::Portable,
        "control",
        &bench.measure(loops, count, control),
    ) {
        println!(
            "The control, which does depend on the input, was not seen: too few measurements."
        );
        constant = false;
    }
    ExitCode::from(u8::from(!constant))
}

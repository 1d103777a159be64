//! A table of every crate's shape: `cargo run -p e2e --bin structure`; `-- circles` lists the files that use each other,
//! `-- excesses` what is too long.

use e2e::structure::{Function, MAX_FUNCTION_LINES as LONG, here, workspace};

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("circles") => circles(),
        Some("excesses") => excesses(),
        _ => table(),
    }
}

fn excesses() {
    for package in workspace(&here()) {
        for (what, how_much) in package.measures().excesses() {
            println!("{what}: {how_much}");
        }
    }
}

fn table() {
    println!(
        "code, tests: lines that run, lines around them · pub: public items a thousand lines of code"
    );
    println!(
        "long: functions over {LONG} lines in code and in tests · args: most arguments of one\n"
    );
    println!(
        "{:<14} {:>6} {:>6} {:>5} {:>7} {:>4} {:>7}  longest functions",
        "crate", "code", "tests", "pub", "long", "args", "circles"
    );
    for package in workspace(&here()) {
        let measures = package.measures();
        let (tests, code): (Vec<&Function>, Vec<&Function>) = measures
            .functions
            .iter()
            .partition(|function| function.test);
        let long = |functions: &[&Function]| functions.iter().filter(|f| f.lines > LONG).count();
        let most = code.iter().map(|function| function.arguments).max();
        let longest = code.iter().take(3);
        let longest: Vec<String> = longest.map(|f| format!("{} {}", f.name, f.lines)).collect();
        println!(
            "{:<14} {:>6} {:>6} {:>5.1} {:>7} {:>4} {:>7}  {}",
            package.name,
            measures.lines,
            measures.lines_around,
            measures.public as f64 * 1000.0 / measures.lines.max(1) as f64,
            format!("{}+{}", long(&code), long(&tests)),
            most.unwrap_or(0),
            package.circles().len(),
            longest.join(" · "),
        );
    }
}

fn circles() {
    for package in workspace(&here()) {
        for circle in package.circles() {
            println!("{}: {circle}", package.name);
        }
    }
}

//! Files that use each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::names::{Found, Names};
use super::source::Target;
use super::uses;

/// Files that use each other, directly or by way of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circle {
    /// The files, below the workspace, in order.
    pub files: Vec<String>,
    /// Who uses whom for what: user, used, names.
    pub uses: Vec<(String, String, Vec<String>)>,
}

/// For each file, the files it uses and what of them.
type Graph = BTreeMap<usize, BTreeMap<usize, BTreeSet<String>>>;

pub(super) fn find(target: &Target) -> Vec<Circle> {
    let graph = graph(target);
    let reach: BTreeMap<usize, BTreeSet<usize>> = graph
        .keys()
        .map(|&file| (file, reached(&graph, file)))
        .collect();
    let mut circles = Vec::new();
    let mut seen = BTreeSet::new();
    for (&file, reached) in &reach {
        let circle: Vec<usize> = reached
            .iter()
            .copied()
            .filter(|other| reach.get(other).is_some_and(|back| back.contains(&file)))
            .collect();
        if circle.len() > 1 && seen.insert(circle.clone()) {
            circles.push(Circle::of(target, &graph, &circle));
        }
    }
    circles
}

fn graph(target: &Target) -> Graph {
    let names = Names::of(target);
    let mut graph = Graph::new();
    for (index, module) in target.modules.iter().enumerate() {
        if module.test {
            continue;
        }
        let uses = graph.entry(module.file).or_default();
        for path in uses::paths(module) {
            let Some(Found::Item { module: of, name }) = names.find(index, &path) else {
                continue;
            };
            let defined = &target.modules[of];
            let above = target.is_above(of, index);
            if defined.file != module.file && !defined.test && !above {
                uses.entry(defined.file).or_default().insert(name);
            }
        }
    }
    graph
}

/// The files that `file` uses, directly or by way of others.
fn reached(graph: &Graph, file: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut todo = vec![file];
    while let Some(file) = todo.pop() {
        let used = graph.get(&file).into_iter().flat_map(BTreeMap::keys);
        todo.extend(used.copied().filter(|&used| reached.insert(used)));
    }
    reached
}

impl Circle {
    fn of(target: &Target, graph: &Graph, circle: &[usize]) -> Self {
        let path = |file: usize| target.files[file].path.clone();
        let mut uses = Vec::new();
        for &file in circle {
            for (used, names) in &graph[&file] {
                if circle.contains(used) {
                    uses.push((path(file), path(*used), names.iter().cloned().collect()));
                }
            }
        }
        let mut files: Vec<String> = circle.iter().map(|&file| path(file)).collect();
        files.sort();
        Self { files, uses }
    }
}

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.files.join(" "))?;
        for (user, used, names) in &self.uses {
            write!(f, "\n    {user} uses {used} for {}", names.join(", "))?;
        }
        Ok(())
    }
}

//! A name, followed to where it is defined.

use std::collections::{HashMap, HashSet};

use proc_macro2::TokenTree;
use syn::{ForeignItem, Ident, Item, UseTree};

use super::source::{Module, Target, for_tests};

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Module(usize),
    Item { module: usize, name: String },
}

/// The names each module knows.
pub(super) struct Names<'t> {
    target: &'t Target,
    scopes: Vec<Scope>,
}

#[derive(Default)]
struct Scope {
    defined: HashSet<String>,
    /// Words in calls of macros that make items: any of them may be the name of one.
    made: HashSet<String>,
    imported: HashMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
}

/// Paths that were being followed when another was asked for: imports of each other end here.
type Following = HashSet<(usize, Vec<String>)>;

impl<'t> Names<'t> {
    pub(super) fn of(target: &'t Target) -> Self {
        let scopes = target.modules.iter().map(Scope::of).collect();
        Self { target, scopes }
    }

    /// What `path` means in `module`, if it is of this target.
    pub(super) fn find(&self, module: usize, path: &[String]) -> Option<Found> {
        self.follow(module, path, &mut HashSet::new())
    }

    fn follow(&self, module: usize, path: &[String], following: &mut Following) -> Option<Found> {
        if !following.insert((module, path.to_vec())) {
            return None;
        }
        let (first, rest) = path.split_first()?;
        let found = match first.as_str() {
            "crate" => Found::Module(0),
            "self" => Found::Module(module),
            "super" => Found::Module(self.target.modules[module].parent?),
            name => self.look_up(module, name, following)?,
        };
        rest.iter()
            .try_fold(found, |found, name| match (found, name.as_str()) {
                // What is inside an item (a variant, a function of a type) is defined where the item is.
                (Found::Module(module), "super") => {
                    Some(Found::Module(self.target.modules[module].parent?))
                }
                (Found::Module(module), name) => self.look_up(module, name, following),
                (item, _) => Some(item),
            })
    }

    fn look_up(&self, module: usize, name: &str, following: &mut Following) -> Option<Found> {
        let scope = &self.scopes[module];
        let here = || Found::Item {
            module,
            name: name.to_owned(),
        };
        if scope.defined.contains(name) {
            return Some(here());
        }
        if let Some(child) = self.target.child(module, name) {
            return Some(Found::Module(child));
        }
        if let Some(path) = scope.imported.get(name) {
            return self.follow(module, path, following);
        }
        let through_glob = scope.globs.iter().find_map(|glob| {
            let Found::Module(from) = self.follow(module, glob, &mut following.clone())? else {
                return None;
            };
            let mut path = vec!["self".to_owned()];
            path.push(name.to_owned());
            self.follow(from, &path, following)
        });
        through_glob.or_else(|| scope.made.contains(name).then(here))
    }
}

impl Scope {
    fn of(module: &Module) -> Self {
        let mut scope = Self::default();
        for item in &module.items {
            scope.enter(item);
        }
        scope
    }

    fn enter(&mut self, item: &Item) {
        if module_of_tests(item) {
            return;
        }
        match item {
            Item::Use(import) => self.import(&import.tree, Vec::new()),
            Item::ForeignMod(foreign) => {
                for item in &foreign.items {
                    self.defined
                        .extend(foreign_name(item).map(Ident::to_string));
                }
            }
            Item::Macro(call) if call.ident.is_none() => {
                let words = call.mac.tokens.clone().into_iter();
                self.made.extend(words.filter_map(|token| match token {
                    TokenTree::Ident(word) => Some(word.to_string()),
                    _ => None,
                }));
            }
            _ => self.defined.extend(name_of(item).map(Ident::to_string)),
        }
    }

    fn import(&mut self, tree: &UseTree, mut path: Vec<String>) {
        match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                self.import(&step.tree, path);
            }
            UseTree::Name(name) if name.ident == "self" => {
                let last = path.last().cloned().unwrap_or_default();
                self.imported.insert(last, path);
            }
            UseTree::Name(name) => {
                path.push(name.ident.to_string());
                self.imported.insert(name.ident.to_string(), path);
            }
            UseTree::Rename(rename) => {
                if rename.ident != "self" {
                    path.push(rename.ident.to_string());
                }
                self.imported.insert(rename.rename.to_string(), path);
            }
            UseTree::Glob(_) => self.globs.push(path),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, path.clone());
                }
            }
        }
    }
}

/// Whether an item that is not a module is for tests alone.
pub(super) fn module_of_tests(item: &Item) -> bool {
    let attributes = match item {
        Item::Fn(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Const(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        _ => return false,
    };
    for_tests(attributes)
}

fn name_of(item: &Item) -> Option<&Ident> {
    Some(match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    })
}

fn foreign_name(item: &ForeignItem) -> Option<&Ident> {
    Some(match item {
        ForeignItem::Fn(item) => &item.sig.ident,
        ForeignItem::Static(item) => &item.ident,
        ForeignItem::Type(item) => &item.ident,
        _ => return None,
    })
}

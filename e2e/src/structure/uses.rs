//! The names that code mentions.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{ImplItemFn, Item, ItemUse, Macro, Path, UseTree, Visibility};

use super::names::module_of_tests;
use super::source::{Module, for_tests};

/// Every path that the code of a module names, that for tests left out.
pub(super) fn paths(module: &Module) -> BTreeSet<Vec<String>> {
    let mut paths = Paths::default();
    for item in &module.items {
        paths.visit_item(item);
    }
    paths.0
}

#[derive(Default)]
struct Paths(BTreeSet<Vec<String>>);

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast Item) {
        if !module_of_tests(item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if !for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_item_use(&mut self, import: &'ast ItemUse) {
        // To hand a name on is not to use it.
        if matches!(import.vis, Visibility::Inherited) {
            self.import(&import.tree, Vec::new());
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let names = path.segments.iter().map(|step| step.ident.to_string());
        if path.leading_colon.is_none() {
            self.0.insert(names.collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        visit::visit_macro(self, call);
        self.tokens(call.tokens.clone());
    }
}

impl Paths {
    fn import(&mut self, tree: &UseTree, mut path: Vec<String>) {
        match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                self.import(&step.tree, path);
            }
            UseTree::Name(name) => {
                if name.ident != "self" {
                    path.push(name.ident.to_string());
                }
                self.0.insert(path);
            }
            UseTree::Rename(rename) => {
                path.push(rename.ident.to_string());
                self.0.insert(path);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, path.clone());
                }
            }
            // The names it brings count where they are used.
            _ => {}
        }
    }

    /// Paths among the tokens of a macro's call, which `syn` does not read.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let colon =
            |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == ':');
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(first) => {
                    let field = at > 0
                        && matches!(&tokens[at - 1], TokenTree::Punct(p) if p.as_char() == '.');
                    let mut path = vec![first.to_string()];
                    while colon(at + 1)
                        && colon(at + 2)
                        && let Some(TokenTree::Ident(next)) = tokens.get(at + 3)
                    {
                        path.push(next.to_string());
                        at += 3;
                    }
                    // A lone small word is most often a variable.
                    let called = matches!(tokens.get(at + 1), Some(TokenTree::Group(_)));
                    let named = path.len() > 1
                        || called
                        || first.to_string().starts_with(char::is_uppercase);
                    if named && !field {
                        self.0.insert(path);
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }
}

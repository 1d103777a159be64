//! Lines, public items, the longest functions.

use std::collections::BTreeSet;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    FnArg, ImplItemFn, Item, ItemFn, ItemImpl, ItemTrait, Signature, TraitItemFn, Type, Visibility,
};

use super::names::module_of_tests;
use super::source::{Module, Target, for_tests};

/// What a crate is made of.
#[derive(Debug, Default)]
pub struct Measures {
    /// Lines of the code that runs.
    pub lines: usize,
    /// Lines of the code around it: tests, benchmarks, examples.
    pub lines_around: usize,
    /// Items and functions that are `pub`, re-exports and modules included, fields not, in the code that runs.
    pub public: usize,
    /// The files of the code that runs, with their lines; those of tests inside a file are not counted.
    pub files: Vec<(String, usize)>,
    /// Every function, that of tests included.
    pub functions: Vec<Function>,
}

/// A function or method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its file, below the workspace.
    pub file: String,
    /// Its name, after that of its type.
    pub name: String,
    /// From `fn` to the closing brace.
    pub lines: usize,
    /// Without `self`.
    pub arguments: usize,
    /// Only compiled for tests, benchmarks or examples.
    pub test: bool,
}

/// Lines of a file, its tests left out, above which it is too long.
const MAX_FILE_LINES: usize = 300;

/// Lines of a function above which it is too long.
pub const MAX_FUNCTION_LINES: usize = 60;

/// Arguments of a function, `self` left out, above which there are too many.
const MAX_ARGUMENTS: usize = 5;

impl Measures {
    /// Files and functions beyond what is agreed, each with how far: the file, `#` and the function, how much of what.
    #[must_use]
    pub fn excesses(&self) -> Vec<(String, String)> {
        let files = self
            .files
            .iter()
            .filter(|(_, lines)| *lines > MAX_FILE_LINES);
        let mut excesses: Vec<_> = files
            .map(|(file, lines)| (file.clone(), format!("{lines} lines")))
            .collect();
        for function in &self.functions {
            let what = format!("{}#{}", function.file, function.name);
            if function.lines > MAX_FUNCTION_LINES {
                excesses.push((what.clone(), format!("{} lines", function.lines)));
            }
            if function.arguments > MAX_ARGUMENTS {
                excesses.push((what, format!("{} arguments", function.arguments)));
            }
        }
        excesses.sort();
        excesses
    }

    pub(super) fn of(shipped: &[Target], around: &[Target]) -> Self {
        let mut measures = Self::default();
        let mut seen = BTreeSet::new();
        for target in shipped {
            measures.enter(target, false, &mut seen);
        }
        for target in around {
            measures.enter(target, true, &mut seen);
        }
        measures
            .functions
            .sort_by_key(|function| std::cmp::Reverse(function.lines));
        measures
    }

    /// Adds a target. A file that targets share counts once, for the first.
    fn enter<'t>(&mut self, target: &'t Target, around: bool, seen: &mut BTreeSet<&'t str>) {
        let files = target.files.iter();
        let new: Vec<bool> = files.map(|file| seen.insert(&file.path)).collect();
        let mut of_tests = vec![0; target.files.len()];
        for module in target.modules.iter().filter(|module| new[module.file]) {
            let file = &target.files[module.file];
            if module.test && !file.test {
                of_tests[module.file] += lines_of(module);
            }
            self.functions(module, &file.path, around);
        }
        for (index, file) in target
            .files
            .iter()
            .enumerate()
            .filter(|(index, _)| new[*index])
        {
            let lines = file.text.lines().count();
            if file.test || around {
                self.lines_around += lines;
            } else {
                let code = lines - of_tests[index];
                self.lines += code;
                self.lines_around += of_tests[index];
                self.files.push((file.path.clone(), code));
            }
        }
    }

    fn functions(&mut self, module: &Module, file: &str, around: bool) {
        let mut functions = Functions {
            file,
            owner: None,
            test: module.test || around,
            public: 0,
            found: Vec::new(),
        };
        for item in &module.items {
            functions.visit_item(item);
        }
        self.public += functions.public + usize::from(module.public && !functions.test);
        self.functions.append(&mut functions.found);
    }
}

/// The lines of a module inside a file, with the two that open it.
fn lines_of(module: &Module) -> usize {
    let (Some(first), Some(last)) = (module.items.first(), module.items.last()) else {
        return 0;
    };
    last.span().end().line - first.span().start().line + 4
}

struct Functions<'a> {
    file: &'a str,
    owner: Option<String>,
    test: bool,
    public: usize,
    found: Vec<Function>,
}

impl Functions<'_> {
    fn enter(&mut self, signature: &Signature, end: usize, test: bool) {
        let name = signature.ident.to_string();
        let arguments = signature.inputs.iter();
        self.found.push(Function {
            file: self.file.to_owned(),
            name: match &self.owner {
                Some(owner) => format!("{owner}::{name}"),
                None => name,
            },
            lines: end - signature.span().start().line + 1,
            arguments: arguments
                .filter(|one| matches!(one, FnArg::Typed(_)))
                .count(),
            test: self.test || test,
        });
    }

    fn count(&mut self, visibility: &Visibility) {
        self.public += usize::from(!self.test && matches!(visibility, Visibility::Public(_)));
    }

    fn owned(&mut self, owner: String, inside: impl FnOnce(&mut Self)) {
        let before = self.owner.replace(owner);
        inside(self);
        self.owner = before;
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let before = self.test;
        self.test |= module_of_tests(item);
        match item {
            Item::Const(item) => self.count(&item.vis),
            Item::Enum(item) => self.count(&item.vis),
            Item::Fn(item) => self.count(&item.vis),
            Item::Static(item) => self.count(&item.vis),
            Item::Struct(item) => self.count(&item.vis),
            Item::Trait(item) => self.count(&item.vis),
            Item::Type(item) => self.count(&item.vis),
            Item::Use(item) => self.count(&item.vis),
            _ => {}
        }
        visit::visit_item(self, item);
        self.test = before;
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        let end = function.block.span().end().line;
        self.enter(&function.sig, end, for_tests(&function.attrs));
        visit::visit_item_fn(self, function);
    }

    fn visit_item_impl(&mut self, block: &'ast ItemImpl) {
        let owner = match &*block.self_ty {
            Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
            _ => None,
        };
        self.owned(owner.unwrap_or_default(), |inside| {
            visit::visit_item_impl(inside, block)
        });
    }

    fn visit_item_trait(&mut self, block: &'ast ItemTrait) {
        self.owned(block.ident.to_string(), |inside| {
            visit::visit_item_trait(inside, block)
        });
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        let test = for_tests(&function.attrs);
        if !test {
            self.count(&function.vis);
        }
        self.enter(&function.sig, function.block.span().end().line, test);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        let end = function.span().end().line;
        self.enter(&function.sig, end, false);
        visit::visit_trait_item_fn(self, function);
    }
}

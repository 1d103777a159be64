//! The modules of a target, and the files they are in.

use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, Expr, ExprLit, Item, ItemMod, Lit, Meta, Visibility};

/// A library, a binary, a test: what begins at one root file.
pub(super) struct Target {
    /// Below the workspace, in the order they were found.
    pub(super) files: Vec<File>,
    /// The root first; a parent comes before its children.
    pub(super) modules: Vec<Module>,
}

pub(super) struct File {
    /// Below the workspace, with `/`.
    pub(super) path: String,
    pub(super) text: String,
    /// Only compiled for tests.
    pub(super) test: bool,
}

pub(super) struct Module {
    pub(super) name: String,
    pub(super) parent: Option<usize>,
    /// Index in [`Target::files`].
    pub(super) file: usize,
    /// Without the modules in it.
    pub(super) items: Vec<Item>,
    pub(super) public: bool,
    /// Only compiled for tests.
    pub(super) test: bool,
}

/// Where the files of a module's children are.
struct Place {
    file: PathBuf,
    children: PathBuf,
}

impl Target {
    /// Reads the root file and every file its modules are in. Both paths are absolute, without links.
    pub(super) fn read(root: &Path, file: &Path) -> Self {
        let mut target = Self {
            files: Vec::new(),
            modules: Vec::new(),
        };
        let place = Place {
            file: file.to_owned(),
            children: file.parent().expect("a folder").to_owned(),
        };
        let top = Module {
            name: String::new(),
            parent: None,
            file: 0,
            items: Vec::new(),
            public: false,
            test: false,
        };
        target.add_file(root, &place, top);
        target
    }

    fn add_file(&mut self, root: &Path, place: &Place, mut module: Module) {
        let file = &place.file;
        let text = fs::read_to_string(file);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed = syn::parse_file(&text);
        let parsed = parsed.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let path = file.strip_prefix(root).unwrap_or(file);
        module.file = self.files.len();
        module.items = parsed.items;
        self.files.push(File {
            path: path.to_string_lossy().replace('\\', "/"),
            text,
            test: module.test,
        });
        self.add(root, place, module);
    }

    fn add(&mut self, root: &Path, place: &Place, mut module: Module) {
        let index = self.modules.len();
        let (children, items) = module
            .items
            .into_iter()
            .partition(|item| matches!(item, Item::Mod(_)));
        module.items = items;
        let file = module.file;
        let test = module.test;
        self.modules.push(module);
        for child in children {
            let Item::Mod(child) = child else {
                unreachable!("partitioned above");
            };
            let mut module = Module {
                name: child.ident.to_string(),
                parent: Some(index),
                file,
                items: Vec::new(),
                public: matches!(child.vis, Visibility::Public(_)),
                test: test || for_tests(&child.attrs),
            };
            let place = place.child(&child);
            match child.content {
                Some((_, items)) => {
                    module.items = items;
                    self.add(root, &place, module);
                }
                None => self.add_file(root, &place, module),
            }
        }
    }

    /// Whether `module` is `other`'s parent, or a parent of one.
    pub(super) fn is_above(&self, module: usize, other: usize) -> bool {
        let mut at = self.modules[other].parent;
        while let Some(parent) = at {
            if parent == module {
                return true;
            }
            at = self.modules[parent].parent;
        }
        false
    }

    /// The child of a module with this name.
    pub(super) fn child(&self, module: usize, name: &str) -> Option<usize> {
        self.modules
            .iter()
            .position(|child| child.parent == Some(module) && child.name == name)
    }
}

impl Place {
    fn child(&self, child: &ItemMod) -> Self {
        let name = child.ident.to_string();
        if child.content.is_some() {
            return Self {
                file: self.file.clone(),
                children: self.children.join(name),
            };
        }
        if let Some(path) = path_of(&child.attrs) {
            let folder = self.file.parent().expect("a folder");
            let file = folder.join(path).canonicalize().expect("a file");
            let children = file.parent().expect("a folder").to_owned();
            return Self { file, children };
        }
        let beside = self.children.join(format!("{name}.rs"));
        let children = self.children.join(&name);
        let file = match beside.exists() {
            true => beside,
            false => children.join("mod.rs"),
        };
        Self { file, children }
    }
}

fn path_of(attributes: &[Attribute]) -> Option<String> {
    attributes
        .iter()
        .find_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
                Expr::Lit(ExprLit {
                    lit: Lit::Str(text),
                    ..
                }) => Some(text.value()),
                _ => None,
            },
            _ => None,
        })
}

/// Whether an item is compiled for tests alone.
pub(super) fn for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path
            .segments
            .last()
            .is_some_and(|last| last.ident == "test"),
        Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string() == "test",
        _ => false,
    })
}

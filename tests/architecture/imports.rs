//! The imports between modules, parsed from the sources with `syn`. Tests are skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::visit::{self, Visit};

/// The path of a module below the crate: `["poll", "listing"]`; empty for `lib.rs` and `main.rs`.
pub type Module = Vec<String>;

/// Every module file, and the modules of this crate that it imports.
pub struct Imports {
    of: BTreeMap<Module, BTreeSet<Module>>,
}

impl Imports {
    /// Reads files, given as paths below `src` with their texts.
    pub fn read<'s>(files: impl Iterator<Item = (&'s Path, &'s str)>) -> Self {
        let files: Vec<_> = files.map(|(path, text)| (module(path), path, text)).collect();
        let known: BTreeSet<Module> = files.iter().map(|(module, ..)| module.clone()).collect();
        let mut of: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
        for (module, path, text) in files {
            let file = syn::parse_file(text);
            let file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let mut reader = Reader { inside: module.clone(), found: BTreeSet::new() };
            reader.visit_file(&file);
            let targets = reader.found.iter().map(|path| file_of(path, &known));
            of.entry(module).or_default().extend(targets);
        }
        for (module, targets) in &mut of {
            targets.remove(module);
        }
        Self { of }
    }

    /// Every import: the importing and the imported module.
    pub fn all(&self) -> impl Iterator<Item = (&Module, &Module)> {
        self.of.iter().flat_map(|(from, to)| to.iter().map(move |to| (from, to)))
    }

    /// Cycles of modules with the same parent, including imports of their children: `parent: a b c`; the
    /// crate itself is `crate`.
    pub fn cycles(&self) -> BTreeSet<String> {
        let mut by_parent: BTreeMap<&[String], BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
        for (from, to) in self.all() {
            let depth = from.iter().zip(to).take_while(|(a, b)| a == b).count();
            if let (Some(a), Some(b)) = (from.get(depth), to.get(depth)) {
                by_parent.entry(&from[..depth]).or_default().entry(a).or_default().insert(b);
            }
        }
        let named = |parent: &[String]| match parent {
            [] => "crate".to_owned(),
            _ => parent.join("::"),
        };
        let groups = by_parent.into_iter().flat_map(|(parent, edges)| {
            let groups = cycle_groups(&edges).into_iter();
            groups.map(move |group| format!("{}: {}", named(parent), group.join(" ")))
        });
        groups.collect()
    }
}

/// The module that a file below `src` holds.
fn module(path: &Path) -> Module {
    let path = path.with_extension("");
    let mut names: Module =
        path.iter().map(|name| name.to_str().unwrap_or_default().to_owned()).collect();
    if matches!(names.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        names.pop();
    }
    names
}

/// The module file that contains the item of a path.
fn file_of(path: &[String], known: &BTreeSet<Module>) -> Module {
    let ends = (0..=path.len()).rev();
    ends.map(|end| path[..end].to_vec()).find(|module| known.contains(module)).unwrap_or_default()
}

/// The strongly connected components of more than one node.
fn cycle_groups<'s>(edges: &BTreeMap<&'s str, BTreeSet<&'s str>>) -> BTreeSet<Vec<&'s str>> {
    let reached = |from: &'s str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(node) = open.pop() {
            let next = edges.get(node).into_iter().flatten();
            open.extend(next.filter(|to| seen.insert(**to)));
        }
        seen
    };
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        edges.keys().map(|node| (*node, reached(node))).collect();
    let circle = |node: &str| -> Vec<&'s str> {
        let back = |other: &&&str| reach.get(**other).is_some_and(|of| of.contains(node));
        reach[node].iter().filter(back).copied().collect()
    };
    reach.keys().map(|node| circle(node)).filter(|group| group.len() > 1).collect()
}

/// Collects the paths that begin with `crate`, `self` or `super`, of `use` items and elsewhere.
struct Reader {
    /// The module that is being read, inline ones included.
    inside: Module,
    found: BTreeSet<Module>,
}

impl Reader {
    fn take(&mut self, path: &[String]) {
        let mut base = match path.first().map(String::as_str) {
            Some("crate") => Module::new(),
            Some("self" | "super") => self.inside.clone(),
            _ => return,
        };
        for name in path {
            match name.as_str() {
                "crate" | "self" => {}
                "super" => drop(base.pop()),
                _ => base.push(name.clone()),
            }
        }
        self.found.insert(base);
    }

    fn take_tree(&mut self, tree: &syn::UseTree, before: &[String]) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.take_tree(&path.tree, &with(&path.ident)),
            syn::UseTree::Name(name) => self.take(&with(&name.ident)),
            syn::UseTree::Rename(name) => self.take(&with(&name.ident)),
            syn::UseTree::Glob(_) => self.take(before),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.take_tree(tree, before));
            }
        }
    }
}

impl<'s> Visit<'s> for Reader {
    fn visit_item(&mut self, item: &'s syn::Item) {
        let attributes = match item {
            syn::Item::Fn(item) => &item.attrs[..],
            syn::Item::Impl(item) => &item.attrs[..],
            syn::Item::Mod(item) => &item.attrs[..],
            syn::Item::Use(item) => &item.attrs[..],
            _ => &[],
        };
        if !attributes.iter().any(is_cfg_test) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'s syn::ItemUse) {
        self.take_tree(&item.tree, &[]);
    }

    fn visit_item_mod(&mut self, item: &'s syn::ItemMod) {
        self.inside.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.inside.pop();
    }

    fn visit_path(&mut self, path: &'s syn::Path) {
        let names: Module = path.segments.iter().map(|one| one.ident.to_string()).collect();
        if names.len() > 1 {
            self.take(&names);
        }
        visit::visit_path(self, path);
    }

    /// A macro's tokens need not be Rust, so only its words are read.
    fn visit_macro(&mut self, called: &'s syn::Macro) {
        let text = called.tokens.to_string().replace(" :: ", "::").replace("::{", ":: {");
        let is_of_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        for word in text.split(|c| !is_of_path(c)).filter(|word| word.contains("::")) {
            let names: Module = word.split("::").map(str::to_owned).collect();
            self.take(&names);
        }
        visit::visit_macro(self, called);
    }

    /// `pub(super)` imports nothing.
    fn visit_visibility(&mut self, _: &'s syn::Visibility) {}
}

fn is_cfg_test(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Ident>().is_ok_and(|word| word == "test")
}

#[test]
fn finds_imports_in_every_form() {
    let files = [
        ("lib.rs", "pub mod a; pub mod b;"),
        ("a/mod.rs", "mod x; mod y; use crate::b::{Thing, other as that}; pub(super) struct A;"),
        (
            "a/x.rs",
            "use super::{A, y::*};
             mod inline { use super::super::y::Y; use self::own::Z; }
             #[cfg(test)] mod tests { use crate::c::C; use super::*; }",
        ),
        ("a/y.rs", "fn f() { print!(\"{}\", crate::a::x::X); let _: crate::b::Thing; }"),
        (
            "b.rs",
            "use std::fmt; use crate::c; #[cfg(test)] use crate::a::A; use crate::a as other;",
        ),
        ("c.rs", "fn f() { fmt::of(super::Nothing) }"),
    ];
    let imports = Imports::read(files.iter().map(|(path, text)| (Path::new(path), *text)));
    let named = |module: &Module| module.join("::");
    let all: Vec<_> = imports.all().map(|(a, b)| format!("{} {}", named(a), named(b))).collect();
    assert_eq!(all, ["a b", "a::x a", "a::x a::y", "a::y a::x", "a::y b", "b a", "b c", "c "]);
    let cycles: Vec<String> = imports.cycles().into_iter().collect();
    assert_eq!(cycles, ["a: x y", "crate: a b"]);
}
